"""Which of Whisper's words are believed, and which are listened for again.

In a short window Whisper now and then repeats a sentence or breaks off in one; in its own, of 30 s,
hardly ever. It writes words for noise, music and silence in any window.
"""

import re
from typing import Any

import numpy as np

from data.text import HAN_LETTERS

_MIN_CONFIDENCE = 0.25
_MAX_LETTERS_A_SECOND = 40
_MAX_COMPRESSION = 2.4  # of gzip on the text; more is a loop
# A good transcript that is heard again costs some time; a bad one that is kept costs words.
_SURE = 0.68
_FEWEST_A_SECOND = {"en": 7.0, "zh": 2.0}  # letters, characters
_REPEATED = re.compile(r"\b(\w+(?: \w+)+) \1\b|\b(\w+) \2 \2\b")
_REPEATED_HAN = re.compile(rf"([{HAN_LETTERS}]{{3,}})\1|([{HAN_LETTERS}])\2{{3}}")


def is_believed(segment: Any) -> bool:
    """Whether a segment's words were spoken: Whisper is sure of them, does not repeat itself, and
    nobody would have had to say them faster than people speak."""
    fits = len(segment.text) <= _MAX_LETTERS_A_SECOND * (segment.end - segment.start)
    sure = np.exp(segment.avg_logprob) >= _MIN_CONFIDENCE
    return bool(fits and sure and segment.compression_ratio < _MAX_COMPRESSION)


def is_doubtful(segments: list[Any], speech_s: float, language: str) -> bool:
    """Whether a short window may have made Whisper repeat or leave out words.

    Args:
        segments: what it heard.
        speech_s: how long somebody spoke.
        language: that was spoken.
    """
    text = "".join(segment.text for segment in segments)
    letters = sum(character.isalnum() for character in text)
    if letters < _FEWEST_A_SECOND.get(language, 0.0) * speech_s or repeats(text):
        return True
    return any(np.exp(segment.avg_logprob) < _SURE for segment in segments)


def repeats(text: str) -> bool:
    """Whether words are said twice in a row, or one word three times."""
    words = " ".join(re.findall(r"[^\W_]+", text.lower().replace("'", "")))
    return bool(_REPEATED.search(words) or _REPEATED_HAN.search(words.replace(" ", "")))
