"""Automatic gain for quiet microphones."""

import math
from collections import deque

import numpy as np

from app.voice_activity import FRAME_SAMPLES
from data.audio.preparation import LEVEL_DBFS, QUIET_DBFS

_FRAMES_A_SECOND = 50
_MOST_DB = 35.0
_ABOVE_NOISE_DB = 10.0
_FAINTEST_DBFS = -62.0  # quieter audio is never amplified
_CALM = 5  # frames (100 ms) whose minimum counts, to ignore clicks
_FIRST = 15  # frames of speech before the first gain: a soft onset says little of the voice
_NOISE_RISES_DB = 3.0 / _FRAMES_A_SECOND
_LOUD_FALLS_DB = 0.5 / _FRAMES_A_SECOND
_GAIN_RISES_DB = 60.0 / _FRAMES_A_SECOND


class Leveller:
    """A gain that follows the peak level of the last seconds, if that is low.

    Audio at a normal level passes unchanged, bit for bit. Quiet audio is raised to the level of
    prepared recordings (`data.audio.preparation`); the gain rises within half a second and then
    holds, so that relative dynamics are kept, and falls at once when the audio becomes loud.

    Attributes:
        gain_db: the current gain.
    """

    def __init__(self) -> None:
        self.gain_db = 0.0
        self._loud_db: float | None = None
        self._noise_db = _FAINTEST_DBFS
        self._num_loud = 0
        self._last: deque[float] = deque(maxlen=_CALM)
        self._frame = np.zeros(0, np.float32)

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Takes samples [n] and returns as many, levelled causally."""
        self._frame = np.concatenate([self._frame, samples])
        before = self.gain_db
        while len(self._frame) >= FRAME_SAMPLES:
            self._follow(self._frame[:FRAME_SAMPLES])
            self._frame = self._frame[FRAME_SAMPLES:]
        if before == self.gain_db == 0.0:
            return samples
        gain = 10 ** (np.linspace(before, self.gain_db, len(samples)) / 20)
        return np.clip(samples * gain, -1.0, 1.0).astype(np.float32)

    def _follow(self, frame: np.ndarray) -> None:
        # np.std takes five times as long, in the server's event loop.
        variance = float(np.dot(frame, frame)) / len(frame) - (float(frame.sum()) / len(frame)) ** 2
        level = 20 * math.log10(math.sqrt(max(variance, 0.0)) + 1e-6)
        self._noise_db = min(level, self._noise_db + _NOISE_RISES_DB)
        self._last.append(level)
        sustained = min(self._last) if len(self._last) == _CALM else -120.0
        if self._loud_db is not None:
            self._loud_db -= _LOUD_FALLS_DB
        if sustained > max(_FAINTEST_DBFS, self._noise_db + _ABOVE_NOISE_DB):
            self._loud_db = sustained if self._loud_db is None else max(self._loud_db, sustained)
            self._num_loud += 1
        wanted = 0.0
        if self._loud_db is not None and self._num_loud >= _FIRST and self._loud_db < QUIET_DBFS:
            wanted = min(LEVEL_DBFS - self._loud_db, _MOST_DB)
        peak = max(float(frame.max()), -float(frame.min()))
        room = -20 * math.log10(peak + 1e-6)  # more would be clipped
        self.gain_db = max(0.0, min(wanted, self.gain_db + _GAIN_RISES_DB, room))
