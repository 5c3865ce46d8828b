"""Which of Whisper's results to trust, reject, or repeat.

In a short window Whisper occasionally repeats or truncates a sentence; in its native 30 s, hardly
ever. In any window it hallucinates words in noise, music and silence.
"""

import re
from typing import Any

import numpy as np

from data.recognition.whisper_text import PUNCTUATED, echoes
from data.text import HAN_LETTERS

_MIN_CONFIDENCE = 0.25
_MAX_LETTERS_A_SECOND = 40
_LETTERS_A_CHARACTER = 3  # of Chinese: as long to say
_MAX_COMPRESSION = 2.4  # gzip ratio of the text; more is a loop
# Repeating a good transcript costs some time; keeping a bad one costs words.
_SURE = 0.68
_FEWEST_A_SECOND = {"en": 7.0, "zh": 2.0}  # letters, characters
_SLOW_S = 0.5  # of a few words, which are spoken more slowly than a sentence
_CUT = "\ufffd"  # part of a character, where the longest possible text ends: a loop
_HAN = re.compile(f"[{HAN_LETTERS}]")
_REPEATED = re.compile(r"\b(\w+(?: \w+)+) \1\b|\b(\w+) \2 \2\b")
_MIXED = rf"[a-z\d{HAN_LETTERS}]"
_REPEATED_HAN = re.compile(
    rf"([{HAN_LETTERS}]{_MIXED}{{2,}}|{_MIXED}{{2,}}[{HAN_LETTERS}])\1|([{HAN_LETTERS}])\2{{3}}"
)


def is_believed(segment: Any, language: str) -> bool:
    """Whether to trust a segment: Whisper is confident, neither loops nor repeats its prompt, and
    the speaking rate is plausible."""
    letters = len(segment.text) + (_LETTERS_A_CHARACTER - 1) * len(_HAN.findall(segment.text))
    fits = letters <= _MAX_LETTERS_A_SECOND * (segment.end - segment.start)
    sure = np.exp(segment.avg_logprob) >= _MIN_CONFIDENCE
    looped = segment.compression_ratio >= _MAX_COMPRESSION or _CUT in segment.text
    return bool(
        fits and sure and not looped and not echoes(segment.text, PUNCTUATED.get(language, ""))
    )


def is_doubtful(segments: list[Any], speech_s: float, language: str) -> bool:
    """Whether a longer window may correct a result: it is broken, or Whisper is unsure.

    Args:
        segments: the result.
        speech_s: duration of speech, s.
        language: language code.
    """
    if is_broken(segments, speech_s, language):
        return True
    return any(np.exp(segment.avg_logprob) < _SURE for segment in segments)


def is_broken(segments: list[Any], speech_s: float, language: str) -> bool:
    """Whether the window may have made Whisper repeat or drop words; see `is_doubtful`."""
    text = "".join(segment.text for segment in segments)
    letters = sum(character.isalnum() for character in text)
    few = letters < _FEWEST_A_SECOND.get(language, 0.0) * (speech_s - _SLOW_S)
    return few or repeats(text)


def repeats(text: str) -> bool:
    """Whether a phrase occurs twice in a row, or a word three times."""
    words = " ".join(re.findall(r"[^\W_]+", text.lower().replace("'", "")))
    return bool(_REPEATED.search(words) or _REPEATED_HAN.search(words.replace(" ", "")))
