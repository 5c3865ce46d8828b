"""Languages by ISO 639-1 code: those that are heard and spoken, and codes with regions."""

import re

from data.errors import InputError

LANGUAGE_NAMES = {"en": "English", "zh": "Mandarin"}
LANGUAGES = tuple(LANGUAGE_NAMES)
OPENAI_NAMES = {"en": "english", "zh": "chinese"}
"""As Whisper and OpenAI's API name them in transcripts."""

_CODE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*")
# Whisper's names of languages that have another code, too.
_ALIASES = {"cmn": "zh", "fil": "tl", "iw": "he", "jv": "jw", "nb": "no"}
_KNOWN = frozenset(
    """
    aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de
    dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha haw he hi ho hr ht hu hy hz
    ia id ie ig ii ik io is it iu ja jw ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln
    lo lt lu lv mg mh mi mk ml mn mr ms mt my na nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl
    ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk
    tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo yue za zh zu
    """.split()
)


def primary_language(code: str) -> str:
    """The language of a code with or without a region, as Whisper names it: "pt" of "pt_BR"."""
    primary = re.split("[-_]", code)[0].lower()
    return _ALIASES.get(primary, primary)


def check_language_code(code: str, source: str) -> None:
    """Raises InputError unless `code` names a language; `source` says where it comes from."""
    if not _CODE.fullmatch(code) or primary_language(code) not in _KNOWN:
        raise InputError(
            f"{source}: unknown language {code!r}; give auto, or a code of ISO 639-1 with or "
            "without a region, such as en, zh, en-GB, zh-CN or pt_BR"
        )
