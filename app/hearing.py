"""Hearing: which 20 ms of sound are speech, and when speech starts, pauses, goes on and ends.

`Ears` takes sound as it arrives and gives events. It knows no turns of the agent, no clock but the
count of samples, and no recogniser: the session decides what an event means.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum

import numpy as np
import scipy.signal  # noqa: F401 - of `HighPass`; slow to import: not while a listener waits
import webrtcvad

from data.audio import SAMPLE_RATE
from data.audio.preparation import HighPass
from data.errors import InputError

FRAME_MS = 20
FRAME_SAMPLES = SAMPLE_RATE * FRAME_MS // 1000
_VAD_HZ = 8_000  # what webrtcvad works at inside, whatever it is given
_TAPS = 33
_WINDOW = 5  # frames that decide together: 100 ms
MAX_TURN_S = 60


@dataclass(frozen=True)
class HearingSettings:
    """When speech begins and ends.

    Attributes:
        aggressiveness: of webrtcvad, 0 (takes much for speech) to 3 (takes little).
        prefix_ms: sound kept before the first voiced frame.
        pause_ms: silence after which the words so far are recognised, in advance.
        silence_ms: silence that ends the turn.
        floor_dbfs: frames quieter than this are never speech.
    """

    aggressiveness: int = 2
    prefix_ms: int = 300
    pause_ms: int = 280
    silence_ms: int = 500
    floor_dbfs: float = -55.0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("aggressiveness", 0, 3),
            ("prefix_ms", 0, 1000),
            ("pause_ms", 100, 1000),
            ("silence_ms", 200, 3000),
            ("floor_dbfs", -90.0, -10.0),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"{name} is {value}; it must be from {low} to {high}")


class Sign(Enum):
    """What was heard."""

    STARTED = "started"  # speech for about 100 ms
    WENT_ON = "went on"  # speech again, after a pause that was not the end
    PAUSED = "paused"  # `pause_ms` of silence, or `silence_ms` where that is less
    ENDED = "ended"  # `silence_ms` of silence, or the turn has become too long


@dataclass(frozen=True)
class Heard:
    """An event; `at` counts the samples since the ears were opened.

    For STARTED and WENT_ON `at` is the first voiced frame, for the others the end of the last one.
    `voiced_ms` is the voiced sound since STARTED.
    """

    sign: Sign
    at: int
    voiced_ms: int


class VoiceActivity:
    """Says of each 20 ms whether it is voiced. 24 kHz float32 in; webrtcvad hears 8 kHz int16.

    The filter looks back only, so that a frame is judged as soon as it is whole.
    """

    def __init__(self, settings: HearingSettings) -> None:
        self._vad = webrtcvad.Vad(settings.aggressiveness)
        self._floor = 10 ** (settings.floor_dbfs / 20)
        at = np.arange(_TAPS) - _TAPS // 2
        cutoff = 0.9 * _VAD_HZ / SAMPLE_RATE
        self._filter = (cutoff * np.sinc(cutoff * at) * np.hanning(_TAPS)).astype(np.float32)
        self._highpass = HighPass(SAMPLE_RATE)  # an offset or a rumble is no voice
        self._rest = np.zeros(_TAPS - 1, np.float32)  # of the frame before, then what is not whole

    def push(self, samples: np.ndarray) -> list[bool]:
        """Takes samples [n] and returns a flag for each frame that became whole."""
        self._rest = np.concatenate([self._rest, self._highpass.push(samples)])
        flags = []
        while len(self._rest) >= FRAME_SAMPLES + _TAPS - 1:
            smooth = np.convolve(self._rest[: FRAME_SAMPLES + _TAPS - 1], self._filter, "valid")
            self._rest = self._rest[FRAME_SAMPLES:]
            flags.append(self._is_voiced(smooth[:: SAMPLE_RATE // _VAD_HZ]))
        return flags

    def _is_voiced(self, frame: np.ndarray) -> bool:
        if np.sqrt(np.mean(np.square(frame))) < self._floor:
            return False
        pcm = (np.clip(frame, -1, 1) * 32767).astype("<i2").tobytes()
        return self._vad.is_speech(pcm, _VAD_HZ)


class Ears:
    """Speech events out of a stream of sound, with hysteresis: four of five frames start speech,
    and within it silence is counted from the last frame of which at least two of five were voiced.

    Attributes:
        num_samples: how much has arrived.
        voiced_ms: voiced sound since STARTED, pauses not counted; 0 while nobody speaks.
    """

    def __init__(self, settings: HearingSettings | None = None) -> None:
        self.settings = settings or HearingSettings()
        self.num_samples = 0
        self.voiced_ms = 0
        self._activity = VoiceActivity(self.settings)
        self._num_frames = 0
        self._window: deque[bool] = deque(maxlen=_WINDOW)
        self._started_at: int | None = None
        self._last_voiced_end = 0
        self._paused = False

    @property
    def in_speech(self) -> bool:
        """Whether speech has started and not ended (it may be pausing)."""
        return self._started_at is not None

    @property
    def lasted_ms(self) -> float:
        """From the first voiced frame to the last one so far; 0 while nobody speaks."""
        if self._started_at is None:
            return 0.0
        return (self._last_voiced_end - self._started_at) * 1000 / SAMPLE_RATE

    @property
    def pausing(self) -> bool:
        """Whether `pause_ms` of silence has passed inside speech."""
        return self._paused

    def adjust(self, settings: HearingSettings) -> None:
        """Takes new settings; speech that has started goes on."""
        if (settings.aggressiveness, settings.floor_dbfs) != (
            self.settings.aggressiveness,
            self.settings.floor_dbfs,
        ):
            self._activity = VoiceActivity(settings)
        self.settings = settings

    def forget(self) -> None:
        """Drops speech that has started: what follows must start anew."""
        self._started_at, self._paused = None, False
        self.voiced_ms = 0
        self._window.clear()

    def push(self, samples: np.ndarray) -> list[Heard]:
        """Takes the next samples [n], float32 at 24 kHz, and returns what they decided."""
        self.num_samples += len(samples)
        events: list[Heard] = []
        for flag in self._activity.push(samples):
            self._num_frames += 1
            events += self._step(flag)
        return events

    def _step(self, voiced: bool) -> list[Heard]:
        end = self._num_frames * FRAME_SAMPLES
        self._window.append(voiced)
        count = sum(self._window)
        if self._started_at is None:
            return self._wait(count, end)
        if voiced and count >= 2:
            self._last_voiced_end = end
        if self._paused:
            return self._pause(count, end)
        if voiced:
            self.voiced_ms += FRAME_MS
        if end - self._started_at > MAX_TURN_S * SAMPLE_RATE:
            return [self._end()]
        if self._silence_ms(end) >= min(self.settings.pause_ms, self.settings.silence_ms):
            self._paused = True
            paused = Heard(Sign.PAUSED, self._last_voiced_end, self.voiced_ms)
            return [paused, *self._pause(count, end)]  # the pause may be the end already
        return []

    def _wait(self, count: int, end: int) -> list[Heard]:
        if count < _WINDOW - 1:
            return []
        self._started_at = self._first_voiced(end)
        self._last_voiced_end = end
        self.voiced_ms = count * FRAME_MS
        self._paused = False
        return [Heard(Sign.STARTED, self._started_at, self.voiced_ms)]

    def _pause(self, count: int, end: int) -> list[Heard]:
        if count >= _WINDOW - 1:
            self._paused = False
            self.voiced_ms += count * FRAME_MS
            return [Heard(Sign.WENT_ON, self._first_voiced(end), self.voiced_ms)]
        if self._silence_ms(end) >= self.settings.silence_ms:
            return [self._end()]
        return []

    def _end(self) -> Heard:
        heard = Heard(Sign.ENDED, self._last_voiced_end, self.voiced_ms)
        self.forget()
        return heard

    def _first_voiced(self, end: int) -> int:
        return end - (len(self._window) - list(self._window).index(True)) * FRAME_SAMPLES

    def _silence_ms(self, end: int) -> float:
        return (end - self._last_voiced_end) * 1000 / SAMPLE_RATE


class Memory:
    """The last seconds of sound, addressed by sample number.

    A ring that is written over once at the start, so that it takes its memory then and there.
    """

    def __init__(self, seconds: float) -> None:
        self._ring = np.full(int(seconds * SAMPLE_RATE), 0.0, np.float32)
        self._end = 0

    def push(self, samples: np.ndarray) -> None:
        """Appends samples [n]; what is older than the memory's length is forgotten."""
        kept = samples[-len(self._ring) :]
        self._end += len(samples)
        at = (self._end - len(kept)) % len(self._ring)
        before_the_edge = min(len(kept), len(self._ring) - at)
        self._ring[at : at + before_the_edge] = kept[:before_the_edge]
        self._ring[: len(kept) - before_the_edge] = kept[before_the_edge:]

    def read(self, start: int, end: int | None = None) -> np.ndarray:
        """Samples [end - start], or fewer where they are forgotten or have not come."""
        first = max(start, 0, self._end - len(self._ring))
        last = self._end if end is None else min(end, self._end)
        at, count = first % len(self._ring), max(0, last - first)
        before_the_edge = min(count, len(self._ring) - at)
        return np.concatenate(
            [self._ring[at : at + before_the_edge], self._ring[: count - before_the_edge]]
        )
