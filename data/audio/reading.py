"""Any media file or stream to float32 mono at one rate."""

import logging
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
    """Reads the sound of a media file, brought to a working level (`data.audio.preparation`).

    Args:
        source: a file (WAV, FLAC, MP3, OGG, MP4, MKV, ...) or an open binary stream that can seek.
        sample_rate: of the result, in Hz.
        max_seconds: the longest sound that is accepted, in seconds; None takes any. No more is
            decoded, and no more held in memory.
        cut: of a longer sound take its beginning, rather than refuse it.

    Returns:
        Samples [T], float32, mono, -1 to 1.

    Raises:
        InputError: no such file, nothing in it, no sound in it, damaged, NaN, or too long.
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
            raise InputError(
                f"{media.name} is longer than {max_seconds:g} seconds, the most that is used "
                "here; cut it"
            )
        if total == 0:
            raise InputError(f"{media.name} holds no sound; give a file with sound in it")
        needed = survey.correction()
        if needed == correction:
            if correction.facts:
                logger.info("%s: %s", media.name, correction)
            return np.concatenate(pieces)[:most]
        correction = needed  # rare: an ordinary file is read once
