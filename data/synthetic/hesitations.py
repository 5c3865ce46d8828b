"""Hesitations: inserts a dash into a text, which the teacher renders as a hesitation.

Speakers hesitate after a function word ("to", "the"), after a filler ("um"), and occasionally after
any word within a clause. Places where the sentence could be complete are avoided, since there a
pause is ambiguous.
"""

import logging
import random
import re
import warnings
from functools import cache
from typing import Any

DASH = "\N{EM DASH}"
KINDS = ("filler", "function", "content")
_SHARES = (0.4, 0.4, 0.2)
_FUNCTION_WORDS = {
    "en": frozenset(
        "a an the my your his her our their this that these some any and or but so because if when "
        "while which of to in on at for from with by about into i we you they he she is are was "
        "were be will would can could should have has had do does please".split()
    ),
    "zh": frozenset(
        "的 在 跟 和 与 是 把 给 去 我 你 他 她 我们 要 想 就 也 从 对 这 那 因为 但是 所以".split()
    ),
}
_PARTICLES = frozenset(
    "的 了 吗 呢 吧 啊 呀 嘛 着 过 得 地".split()
)  # they cling to what is before
_FILLERS = {"en": ("um", "uh"), "zh": ("嗯", "呃", "那个")}
_WORD = re.compile(r"^[\w']+$")


def hesitant(text: str, language: str, rng: random.Random) -> tuple[str, str] | None:
    """The text with one dash, and the kind of its place, one of KINDS.

    Args:
        text: a turn's text.
        language: "en" or "zh".
        rng: source of randomness.

    Returns:
        None if no place has two words before and after it.
    """
    words = _words(text, language)
    places = [at for at in range(1, len(words) - 2) if _joins(*words[at : at + 3])]
    by_kind = {
        "filler": places,
        "function": [at for at in places if words[at].lower() in _FUNCTION_WORDS[language]],
        "content": [at for at in places if words[at].lower() not in _FUNCTION_WORDS[language]],
    }
    offered = [(kind, share) for kind, share in zip(KINDS, _SHARES, strict=True) if by_kind[kind]]
    if not offered:
        return None
    kind = rng.choices([kind for kind, _ in offered], [share for _, share in offered])[0]
    at = rng.choice(by_kind[kind])
    comma, space = (", ", " ") if language == "en" else ("，", "")
    held = f"{comma}{rng.choice(_FILLERS[language])}" if kind == "filler" else ""
    return f"{space.join(words[: at + 1])}{held}{DASH}{space.join(words[at + 1 :])}", kind


def _joins(before: str, after: str, last: str) -> bool:
    """Whether two words are in one clause that continues after them."""
    if not (_WORD.match(before) and _WORD.match(after) and re.search(r"\w", last)):
        return False
    begins = after[0].isupper() and after.lower() in _FUNCTION_WORDS["en"] and after != "I"
    return not begins and after not in _PARTICLES


def _words(text: str, language: str) -> list[str]:
    if language == "en":
        return text.split()
    return [word for word in _jieba().lcut(text) if word.strip()]


@cache
def _jieba() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jieba's own
        import jieba

    jieba.setLogLevel(logging.ERROR)
    return jieba
