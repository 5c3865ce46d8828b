"""Kokoro's voices: base voices, mixtures of them, and other vocal tract sizes.

A style has two halves: timbre, which carries the identity, and prosody. Both are weighted means
over base voices. `formant` works as in `data.synthetic.voices`: synthesised lower and slower and
played faster, so that formants move and F0 stays. Mixtures of two or three voices of either sex
with a formant factor of 0.90 to 1.15 are natural and distinct.
"""

import random
from dataclasses import dataclass
from functools import cache

_AMERICAN = (
    *("af_heart", "af_jessica", "af_sarah", "af_alloy", "af_aoede", "af_kore", "af_nova"),
    *("af_river", "af_sky", "am_adam", "am_echo", "am_eric", "am_fenrir", "am_liam"),
    *("am_michael", "am_puck", "am_santa"),
)
_BRITISH = (
    *("bf_emma", "bf_isabella", "bf_alice", "bf_lily"),
    *("bm_daniel", "bm_fable", "bm_george", "bm_lewis"),
)
_MANDARIN = (
    *("zf_xiaobei", "zf_xiaoxiao", "zf_xiaoyi", "zm_yunxi", "zm_yunyang", "zm_yunxia"),
    "zm_yunjian",
)
LEFT_OUT = {
    "af_bella": "sounds worst of all",
    "af_nicole": "whispers",
    "am_onyx": "sounds rough",
    "zf_xiaoni": "is not understood",
}
HELD_OUT_BASES = frozenset(("af_kore", "am_eric", "bf_lily", "bm_lewis", "zf_xiaoyi", "zm_yunxia"))
"""Base voices excluded from training, alone and in mixtures."""

NUM_MIXTURES = {"en": 240, "zh": 60}
NUM_HELD_OUT_MIXTURES = {"en": 18, "zh": 6}
_SPEAK_WELL = {
    "en": {"f": ("af_heart", "af_sarah", "bf_emma"), "m": ("am_michael", "am_fenrir", "bm_george")},
    "zh": {"f": ("zf_xiaobei",), "m": ("zm_yunxi", "zm_yunyang")},
}
_FORMANT_STEPS = (0.91, 0.94, 1.06, 1.12)
_FORMANT_LIMITS = (0.90, 1.15)
_SEED = 82

Shares = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class KokoroVoice:
    """One voice.

    Attributes:
        id: its name in a corpus.
        language: its native language, `en` or `zh`.
        accent: its English accent.
        sounds: base voices and weights of its timbre.
        speaks: base voices and weights of its prosody; the first determines the accent.
        abroad: likewise, for the other language: a native speaker's prosody.
        formant: factor on formants.
        base: whether it is an unmodified Kokoro voice.
        held_out: whether it is excluded from training.
    """

    id: str
    language: str
    accent: str
    sounds: Shares
    speaks: Shares
    abroad: Shares
    formant: float = 1.0
    base: bool = False
    held_out: bool = False

    synthesizer = "kokoro"


@cache
def kokoro_voices() -> dict[str, KokoroVoice]:
    """All voices by id, in a reproducible order."""
    bases = [_base(name) for name in (*_AMERICAN, *_BRITISH, *_MANDARIN)]
    sized = [
        _derived(f"{base.id}+t{formant}", base.sounds, base.sounds, formant)
        for base in bases
        if not base.held_out
        for formant in _FORMANT_STEPS
    ]
    found = [*bases, *sized, *_mixtures("en"), *_mixtures("zh")]
    return {voice.id: voice for voice in found}


def _base(name: str) -> KokoroVoice:
    own: Shares = ((name, 1.0),)
    return KokoroVoice(
        f"kokoro-{name}", _language(name), _accent(name), own, own, _abroad(name),
        base=True, held_out=name in HELD_OUT_BASES,
    )  # fmt: skip


def _derived(
    id: str, sounds: Shares, speaks: Shares, formant: float, held_out: bool = False
) -> KokoroVoice:
    name = speaks[0][0]
    return KokoroVoice(
        id, _language(name), _accent(name), sounds, speaks, _abroad(name), formant,
        held_out=held_out,
    )  # fmt: skip


def _mixtures(language: str) -> list[KokoroVoice]:
    """Mixtures of two or three voices; half are of one sex, a quarter have another voice's
    prosody."""
    rng = random.Random(f"{_SEED} {language}")
    names = [
        name
        for name in ((*_AMERICAN, *_BRITISH) if language == "en" else _MANDARIN)
        if name not in HELD_OUT_BASES
    ]
    num = NUM_MIXTURES[language]
    held_out = set(rng.sample(range(num), NUM_HELD_OUT_MIXTURES[language]))
    voices, seen = [], set()
    while len(voices) < num:
        first = rng.choice(names)
        same_sex = [name for name in names if name[1] == first[1]]
        group = same_sex if rng.random() < 0.5 else names
        others = rng.sample([n for n in group if n != first], rng.choice((1, 1, 2)))
        shares = [rng.uniform(0.3, 0.7) for _ in (first, *others)]
        total = sum(shares)
        sounds = tuple(
            (name, round(share / total, 3))
            for name, share in zip((first, *others), shares, strict=True)
        )
        formant = 1.0 if rng.random() < 0.25 else round(rng.uniform(*_FORMANT_LIMITS), 3)
        speaks = ((rng.choice(names), 1.0),) if rng.random() < 0.25 else sounds
        if (frozenset(name for name, _ in sounds), formant) in seen:
            continue
        seen.add((frozenset(name for name, _ in sounds), formant))
        id = f"kokoro-{language}-mix{len(voices):03d}"
        voices.append(_derived(id, sounds, speaks, formant, len(voices) in held_out))
    return voices


def _language(name: str) -> str:
    return "zh" if name.startswith("z") else "en"


def _abroad(name: str) -> Shares:
    """A native voice of the other language and the same sex, fixed per voice."""
    others = _SPEAK_WELL["en" if _language(name) == "zh" else "zh"][name[1]]
    return ((random.Random(f"{_SEED} abroad {name}").choice(others), 1.0),)


def _accent(name: str) -> str:
    return "en-gb" if name.startswith("b") else "en-us"
