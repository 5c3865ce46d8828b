"""What is said and when, judged by pocketsphinx with its own English model."""

import re
from functools import cache
from typing import Any

import numpy as np

from data.audio import SAMPLE_RATE, resample
from data.errors import MissingModelError
from models.evaluation.melody import active_span
from models.text import normalise

_RATE = 16_000
_FRAME_S = 0.01


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


def transcribe(samples: np.ndarray) -> str:
    """What the recogniser hears in samples `[T]`; empty when it hears nothing."""
    if len(samples) < SAMPLE_RATE // 10:
        return ""
    decoder = _decoder(False)
    _run(decoder, samples)
    found = decoder.hyp()
    return found.hypstr if found else ""


def word_errors(text: str, heard: str) -> tuple[int, int]:
    """Word errors of a transcript, and the number of words said."""
    import jiwer

    said = plain_words(text)
    scored = jiwer.process_words(" ".join(said), " ".join(plain_words(heard)))
    return scored.substitutions + scored.deletions + scored.insertions, len(said)


def character_errors(text: str, heard: str) -> tuple[int, int]:
    """Character errors of a transcript, and the number of characters said."""
    import jiwer

    said = " ".join(plain_words(text))
    scored = jiwer.process_characters(said, " ".join(plain_words(heard)))
    return scored.substitutions + scored.deletions + scored.insertions, len(said)


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
