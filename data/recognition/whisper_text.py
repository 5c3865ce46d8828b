"""What Whisper is told before an utterance, and how its Mandarin is written."""

import functools
import re
from typing import Any

from data.text import HAN_LETTERS

# Without a prompt Whisper writes hums as words.
INTERJECTIONS = {
    "en": "Mm-hm. Uh-huh. Yeah, right. Hmm. No, wait. Stop! Excuse me.",
    "zh": "嗯。对对。是的。哦，好的。等一下。不对！",
}
# Without a prompt Whisper writes Mandarin unpunctuated, in either script.
PUNCTUATED = {"zh": "以下是普通话的句子。"}

_HAN = re.compile(f"[{HAN_LETTERS}]+")
_VARIANTS = str.maketrans("麽", "么")  # which wetext leaves


def uniform(text: str, language: str) -> str:
    """A transcript in one script: Mandarin in simplified characters, which Whisper mixes with
    traditional ones; other languages unchanged.

    >>> uniform("這個景點是1997年開放的。", "zh")
    '这个景点是1997年开放的。'
    """
    if language != "zh":
        return text
    # wetext would spell out numbers too
    return _HAN.sub(lambda found: _wetext().normalize(found[0]), text).translate(_VARIANTS)


def echoes(text: str, prompt: str) -> bool:
    """Whether a text begins with most of the prompt, which Whisper repeats when it understands
    nothing."""
    heard, told = (re.sub(r"\W", "", one) for one in (text, prompt))
    return bool(told) and heard.startswith(told[: round(0.6 * len(told))])


@functools.cache
def _wetext() -> Any:
    from wetext import Normalizer

    return Normalizer(lang="zh", operator="tn", traditional_to_simple=True)
