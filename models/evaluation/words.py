"""What is said, judged by Whisper, and when, by pocketsphinx with its own English model."""

import re
from functools import cache
from typing import Any

import numpy as np
from pypinyin import lazy_pinyin

from data.audio import SAMPLE_RATE, resample
from data.errors import MissingModelError
from data.recognition.whisper import WHISPER_HZ
from models.evaluation import judges
from models.evaluation.melody import active_span
from models.evaluation.probes import edit_errors
from models.text import language_of, normalise
from models.text.frontend import MANDARIN
from models.text.languages.en import normalising as english
from models.text.languages.zh import normalising as mandarin

WORD_ERRORS = {"en": "WER", "zh": "toneless syllables wrong"}
CHARACTER_ERRORS = {"en": "CER", "zh": "characters wrong"}
_RATE = 16_000
_FRAME_S = 0.01
_HAN = re.compile(r"[\u3400-\u9fff]")
_MANDARIN_PART = re.compile(r"[\u3400-\u9fff]+|[^\W_\u3400-\u9fff]+(?:'[a-z]+)*")


def plain_words(text: str) -> list[str]:
    """The words of a text as a recogniser writes them: numbers spelled, lower case, no signs."""
    spelled = normalise(text).lower().replace("’", "'").replace("-", " ")
    cleaned = re.sub(r"[^a-z' ]", " ", spelled)
    return [word.strip("'") for word in cleaned.split() if word.strip("'")]


@cache
def _decoder(for_alignment: bool) -> Any:
    try:
        from pocketsphinx import Decoder
    except ImportError:
        raise MissingModelError(
            "pocketsphinx is not installed, so words cannot be judged; "
            "install it with: pip install -r requirements-test.txt"
        ) from None
    # Batch normalisation, so that an utterance is judged the same whatever came before it.
    options = {"samprate": _RATE, "cmn": "batch", "loglevel": "FATAL"}
    return Decoder(lm=None, **options) if for_alignment else Decoder(**options)


def _run(decoder: Any, samples: np.ndarray) -> None:
    wide = np.clip(resample(samples, SAMPLE_RATE, _RATE), -1, 1)
    decoder.reinit_feat()  # else its front end remembers the utterance before
    decoder.start_utt()
    decoder.process_raw((wide * 32767).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()


def spoken_language(text: str) -> str:
    """`en` or `zh`: the language that a text is mainly in."""
    return "zh" if language_of(text) == MANDARIN else "en"


def transcribe(samples: np.ndarray, language: str) -> str:
    """What Whisper hears in samples `[T]`; empty when it hears no speech.

    Args:
        samples: speech.
        language: `en` or `zh`, what it is to be heard as.
    """
    if len(samples) < SAMPLE_RATE // 10:
        return ""
    wide = np.clip(resample(samples, SAMPLE_RATE, WHISPER_HZ), -1, 1).astype(np.float32)
    return judges.whisper().transcribe(wide, language).text


def words_of(text: str, language: str) -> list[str]:
    """What is compared: English words, or toneless syllables of Mandarin.

    Numbers are read aloud before Whisper's own normaliser sees them, since it leaves telephone
    numbers and times as they were written. Syllables, because Whisper base writes homophones; a
    Latin word in Mandarin is one of them.
    """
    if language == "en":
        return judges.english_normaliser()(english.normalise(text)).split()
    found = []
    for part in _mandarin_parts(text):
        found += lazy_pinyin(part) if _HAN.match(part) else [part]
    return found


def characters_of(text: str, language: str) -> list[str]:
    """Letters of English words, without spaces; characters of Mandarin, a Latin word being one."""
    if language == "en":
        return list("".join(words_of(text, language)))
    return [c for part in _mandarin_parts(text) for c in (part if _HAN.match(part) else [part])]


def word_errors(text: str, heard: str, language: str) -> tuple[int, int]:
    """Errors of a transcript, and how much was said, in `words_of`."""
    said = words_of(text, language)
    return edit_errors(said, words_of(heard, language)), len(said)


def character_errors(text: str, heard: str, language: str) -> tuple[int, int]:
    """Errors of a transcript, and how much was said, in `characters_of`."""
    said = characters_of(text, language)
    return edit_errors(said, characters_of(heard, language)), len(said)


def _mandarin_parts(text: str) -> list[str]:
    """Stretches of Chinese characters, and Latin words in lower case."""
    return _MANDARIN_PART.findall(mandarin.normalise(text).lower())


def align(samples: np.ndarray, text: str) -> list[tuple[str, float, float]] | None:
    """When each of `plain_words(text)` is said, in seconds, by forced alignment.

    None when the recogniser's lexicon lacks a word or the sound does not fit the text.
    """
    said = plain_words(text)
    decoder = _decoder(True)
    if not said or any(decoder.lookup_word(word) is None for word in said):
        return None
    decoder.set_align_text(" ".join(said))
    try:
        _run(decoder, samples)
        segments = list(decoder.seg() or [])
    except RuntimeError:
        return None
    words = [s for s in segments if not s.word.startswith("<") and not s.word.startswith("[")]
    if [re.sub(r"\(\d+\)$", "", s.word) for s in words] != said:
        return None
    # Without a pause of its own the silence at the edges counts to the first and the last word.
    begin, stop = (place / SAMPLE_RATE for place in active_span(samples))
    return [
        (
            word,
            max(segment.start_frame * _FRAME_S, begin),
            min((segment.end_frame + 1) * _FRAME_S, max(stop, begin)),
        )
        for word, segment in zip(said, words, strict=True)
    ]


def time_errors(
    told: list[tuple[str, float, float]], heard: list[tuple[str, float, float]]
) -> list[float]:
    """Absolute errors in seconds of the starts and ends that a reply tells of its words.

    Args:
        told: (written word, start, end); one written word may be several plain ones.
        heard: of `align`, over the same text.

    Returns:
        Two errors a written word; nothing when the two do not hold the same words.
    """
    errors, position = [], 0
    for written, start, end in told:
        parts = plain_words(written)
        if not parts:
            continue
        inside = heard[position : position + len(parts)]
        if [word for word, _, _ in inside] != parts:
            return []
        errors += [abs(start - inside[0][1]), abs(end - inside[-1][2])]
        position += len(parts)
    return errors if position == len(heard) else []
