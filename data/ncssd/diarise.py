"""Diarisation of one recording, as stage 4 of a build does it."""

import numpy as np

from data.audio.activity import speech_in
from data.audio.features import FRAME_S
from data.ncssd.config import SpeakersConfig
from data.ncssd.speakers import scene_stretches, tell_apart
from data.ncssd.stretches import runs_of


def diarise(samples: np.ndarray) -> list[tuple[float, float, int]]:
    """Who speaks when: (start, end, speaker), s, in order; speakers count from 0 by appearance.

    Args:
        samples: `[T]` at 16 kHz.
    """
    config = SpeakersConfig()
    speech = speech_in(samples)
    if not speech:
        return []
    stretches, parts, num_frames = scene_stretches(samples, speech, config)
    if not stretches:
        return []
    _, tracks = tell_apart(stretches, parts, num_frames, config)
    return sorted(
        (a * FRAME_S, b * FRAME_S, speaker)
        for speaker, track in enumerate(tracks)
        for a, b in runs_of(track)
    )
