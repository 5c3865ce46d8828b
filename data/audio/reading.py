"""Reads any media file or stream as float32 mono at one sample rate."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from data.audio.media import open_media
from data.audio.preparation import Correction, Survey, working_sound
from data.audio.resampling import SAMPLE_RATE
from data.errors import InputError

logger = logging.getLogger(__name__)


def read_audio(
    source: str | Path | BinaryIO,
    sample_rate: int = SAMPLE_RATE,
    *,
    max_seconds: float | None = None,
    cut: bool = False,
) -> np.ndarray:
    """Reads the audio of a media file, levelled by `data.audio.preparation`.

    Args:
        source: a file (WAV, FLAC, MP3, OGG, MP4, MKV, ...) or a seekable binary stream.
        sample_rate: of the result, Hz.
        max_seconds: maximum duration, s; None: unlimited. No more is decoded or held in memory.
        cut: truncate longer audio instead of raising.

    Returns:
        Samples [T], float32, mono, -1 to 1.

    Raises:
        InputError: the file is missing, empty, without audio, damaged, not finite, or too long.
    """
    most = None if max_seconds is None else round(max_seconds * sample_rate)
    correction = Correction()
    while True:
        with open_media(source) as media:
            survey = Survey(media, sample_rate, correction)
            pieces, total = [], 0
            for _, piece in working_sound(media, sample_rate, correction, survey):
                pieces.append(piece)
                total += piece.shape[0]
                if most is not None and total > most:
                    break
        if most is not None and total > most and not cut:
            raise _too_long(media.name, max_seconds)
        if total == 0:
            raise _without_audio(media.name)
        needed = survey.correction()
        if needed == correction:
            if correction.facts:
                logger.info("%s: %s", media.name, correction)
            return np.concatenate(pieces)[:most]
        correction = needed  # rare: an ordinary file is read once


def audio_blocks(
    source: str | Path | BinaryIO, sample_rate: int = SAMPLE_RATE, *, max_seconds: float
) -> Iterator[np.ndarray]:
    """Like `read_audio`, in blocks `[n]` and with constant memory: decodes at least twice."""
    most, correction = round(max_seconds * sample_rate), Correction()
    while True:
        total = 0
        with open_media(source) as media:
            survey = Survey(media, sample_rate, correction)
            for _, piece in working_sound(media, sample_rate, correction, survey):
                total += piece.shape[0]
                if total > most:
                    raise _too_long(media.name, max_seconds)
        if total == 0:
            raise _without_audio(media.name)
        needed = survey.correction()
        if needed == correction:
            break
        correction = needed
    with open_media(source) as media:
        survey = Survey(media, sample_rate, correction)
        for _, piece in working_sound(media, sample_rate, correction, survey):
            yield piece


def _too_long(name: str, max_seconds: float | None) -> InputError:
    return InputError(f"{name} is longer than {max_seconds:g} seconds, the maximum here; cut it")


def _without_audio(name: str) -> InputError:
    return InputError(f"{name} contains no audio; give a file that does")
