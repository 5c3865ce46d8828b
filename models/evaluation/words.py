"""Word and character errors, transcribed by Whisper."""

import re

import numpy as np
from pypinyin import lazy_pinyin

from data.audio import SAMPLE_RATE, resample
from data.edit_distance import edit_errors
from data.recognition.whisper import WHISPER_HZ
from data.text import HAN_LETTERS
from models.evaluation import judges
from models.text import language_of
from models.text.frontend import MANDARIN
from models.text.languages.en import normalising as english
from models.text.languages.zh import normalising as mandarin

WORD_ERRORS = {"en": "WER", "zh": "toneless syllables wrong"}
CHARACTER_ERRORS = {"en": "CER", "zh": "characters wrong"}
_HAN = re.compile(f"[{HAN_LETTERS}]")
# Letters that are spelled out in one spelling ("3pm", "VS") and not in another ("three pm", "vs.").
_SPELLED_OUT = {" pee em": " pm", " ay em": " am", " vee ess ": " versus "}
_SAME = {"eye": "i", "vs": "versus"}  # "i" is spelled out as a letter, "I" is not
_MANDARIN_PART = re.compile(rf"[{HAN_LETTERS}]+|[^\W_{HAN_LETTERS}]+(?:'[a-z]+)*")


def spoken_language(text: str) -> str:
    """The main language of a text, `en` or `zh`."""
    return "zh" if language_of(text) == MANDARIN else "en"


def transcribe(samples: np.ndarray, language: str) -> str:
    """Transcribes samples `[T]` with Whisper; empty without speech.

    Args:
        samples: speech.
        language: `en` or `zh`, the language to decode.
    """
    if len(samples) < SAMPLE_RATE // 10:
        return ""
    wide = np.clip(resample(samples, SAMPLE_RATE, WHISPER_HZ), -1, 1).astype(np.float32)
    return judges.whisper().transcribe(wide, language, plainly=True).text


def words_of(text: str, language: str) -> list[str]:
    """Units of comparison: English words, or toneless syllables of Mandarin.

    Numbers are spelled out before Whisper's own normaliser, which leaves telephone numbers and
    times as written. Syllables, because Whisper base confuses homophones; a Latin word within
    Mandarin counts as one.
    """
    if language == "en":
        spelled = f" {english.normalise(text)} "
        for letters, written in _SPELLED_OUT.items():
            spelled = spelled.replace(letters, written)
        return [_SAME.get(word, word) for word in judges.english_normaliser()(spelled).split()]
    found = []
    for part in _mandarin_parts(text):
        found += lazy_pinyin(part) if _HAN.match(part) else [part]
    return found


def characters_of(text: str, language: str) -> list[str]:
    """Letters of English words, without spaces; Mandarin characters, a Latin word counting as
    one."""
    if language == "en":
        return list("".join(words_of(text, language)))
    return [c for part in _mandarin_parts(text) for c in (part if _HAN.match(part) else [part])]


def word_errors(text: str, heard: str, language: str) -> tuple[int, int]:
    """Errors of a transcript and the number of units in the text, in `words_of`."""
    said = words_of(text, language)
    return edit_errors(said, words_of(heard, language)), len(said)


def character_errors(text: str, heard: str, language: str) -> tuple[int, int]:
    """Errors of a transcript and the number of units in the text, in `characters_of`."""
    said = characters_of(text, language)
    return edit_errors(said, characters_of(heard, language)), len(said)


def _mandarin_parts(text: str) -> list[str]:
    """Runs of Chinese characters, and Latin words in lower case."""
    return _MANDARIN_PART.findall(mandarin.normalise(text).lower())
