"""Voice activity events: when speech starts, pauses, resumes and ends.

`Endpointer` turns a stream of audio into events. Its only clock is the sample count, and it knows
neither the agent's turns nor the recogniser: the session interprets the events.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum

import numpy as np
import scipy.signal  # noqa: F401 - used by `HighPass`; slow to import, so do it before anyone waits

from app.voice_activity import DETECTORS, FRAME_MS, FRAME_SAMPLES, voice_activity
from data.audio import SAMPLE_RATE
from data.errors import InputError

SEMANTIC, SERVER = "semantic_vad", "server_vad"
MOST_PATIENT_MS = {"low": 8000, "medium": 4000, "auto": 4000, "high": 2000}
"""By eagerness, the silence, ms, that always ends a turn in semantic_vad; values as OpenAI's."""
_WINDOW = 5  # frames of one decision: 100 ms
MAX_TURN_S = 60
_OF_ACTIVITY = ("vad", "aggressiveness", "threshold", "floor_dbfs")


@dataclass(frozen=True)
class AudioInputSettings:
    """Language, voice activity and turn detection settings.

    Attributes:
        language: language code for the recogniser; empty: detected per turn.
        prompt: a text before the conversation, or words that may occur, to bias recognition.
        vad: voice activity detector, one of `app.voice_activity.DETECTORS`.
        threshold: silero's speech threshold, 0 (sensitive) to 1 (strict).
        aggressiveness: webrtcvad's mode, 0 (sensitive) to 3 (strict).
        floor_dbfs: quieter frames are never speech.
        prefix_ms: audio kept before the first voiced frame.
        pause_ms: silence after which the turn so far is recognised speculatively.
        detection: end of turn: "server_vad", a fixed silence, or "semantic_vad", Smart Turn
            (`app.turn_ending`).
        silence_ms: silence that ends a turn in server_vad.
        eagerness: of semantic_vad; a key of `MOST_PATIENT_MS`.
    """

    language: str = ""
    prompt: str = ""
    vad: str = "silero"
    threshold: float = 0.5
    aggressiveness: int = 2
    floor_dbfs: float = -65.0
    prefix_ms: int = 300
    pause_ms: int = 60
    detection: str = SERVER
    silence_ms: int = 500
    eagerness: str = "auto"

    def __post_init__(self) -> None:
        for name, known in (
            ("vad", DETECTORS),
            ("detection", (SEMANTIC, SERVER)),
            ("eagerness", tuple(MOST_PATIENT_MS)),
        ):
            if getattr(self, name) not in known:
                raise InputError(
                    f"{name} is {getattr(self, name)!r:.60}; it must be {' or '.join(known)}"
                )
        for name, low, high in (
            ("threshold", 0.0, 1.0),
            ("aggressiveness", 0, 3),
            ("prefix_ms", 0, 1000),
            ("pause_ms", 60, 1000),
            ("silence_ms", 200, 3000),
            ("floor_dbfs", -90.0, -10.0),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"{name} is {value}; it must be from {low} to {high}")


class SpeechEventKind(Enum):
    """Kinds of events."""

    STARTED = "started"  # speech for about 100 ms
    RESUMED = "resumed"  # speech resumed after a pause
    PAUSED = "paused"  # `pause_ms` of silence, or `silence_ms` if that is less
    ENDED = "ended"  # enough silence to end the turn, or the turn is too long


@dataclass(frozen=True)
class SpeechEvent:
    """An event; `at` is the sample index since the stream began.

    For STARTED and WENT_ON `at` is the first voiced frame, otherwise the end of the last one.
    `voiced_ms` is the voiced audio since STARTED.
    """

    kind: SpeechEventKind
    at: int
    voiced_ms: int


class Endpointer:
    """Speech events from an audio stream, with hysteresis: four voiced frames of five start speech,
    and silence is counted from the last frame at which at least two of five were voiced.

    Attributes:
        num_samples: samples received.
        voiced_ms: voiced audio since STARTED without pauses; 0 outside speech.
    """

    def __init__(self, settings: AudioInputSettings | None = None) -> None:
        self.settings = settings or AudioInputSettings()
        self.num_samples = 0
        self.voiced_ms = 0
        self._open_activity()
        self._window: deque[bool] = deque(maxlen=_WINDOW)
        self._started_at: int | None = None
        self._last_voiced_end = 0
        self._paused = False
        self._patience_ms: float | None = None

    @property
    def in_speech(self) -> bool:
        """Whether speech has started and not ended (pauses included)."""
        return self._started_at is not None

    @property
    def lasted_ms(self) -> float:
        """From the first to the last voiced frame; 0 outside speech."""
        if self._started_at is None:
            return 0.0
        return (self._last_voiced_end - self._started_at) * 1000 / SAMPLE_RATE

    @property
    def voiced_until(self) -> int:
        """The end of the last voiced frame, as a sample index."""
        return self._last_voiced_end

    @property
    def pausing(self) -> bool:
        """Whether speech is in a pause of at least `pause_ms`."""
        return self._paused

    def adjust(self, settings: AudioInputSettings) -> None:
        """Applies new settings without interrupting current speech."""
        before, self.settings = self.settings, settings
        if any(getattr(before, name) != getattr(settings, name) for name in _OF_ACTIVITY):
            self._open_activity()

    def end_after(self, silence_ms: float) -> None:
        """Sets the length at which the current pause ends the turn."""
        self._patience_ms = silence_ms

    def forget(self) -> None:
        """Discards current speech; the next must start anew."""
        self._started_at, self._paused = None, False
        self.voiced_ms = 0
        self._window.clear()

    def _open_activity(self) -> None:
        given = self.settings
        self._num_frames = self.num_samples // FRAME_SAMPLES
        self._activity = voice_activity(
            given.vad, given.aggressiveness, given.threshold, given.floor_dbfs
        )

    def push(self, samples: np.ndarray) -> list[SpeechEvent]:
        """Takes the next samples [n], float32 at 24 kHz; returns the resulting events."""
        self.num_samples += len(samples)
        events: list[SpeechEvent] = []
        for flag in self._activity.push(samples):
            self._num_frames += 1
            events += self._step(flag)
        return events

    def _step(self, voiced: bool) -> list[SpeechEvent]:
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
        if self._silence_ms(end) >= min(self.settings.pause_ms, self.ending_ms):
            self._paused, self._patience_ms = True, None
            paused = SpeechEvent(SpeechEventKind.PAUSED, self._last_voiced_end, self.voiced_ms)
            return [paused, *self._pause(count, end)]  # the pause may already be the end
        return []

    def _wait(self, count: int, end: int) -> list[SpeechEvent]:
        if count < _WINDOW - 1:
            return []
        self._started_at = self._first_voiced(end)
        self._last_voiced_end = end
        self.voiced_ms = count * FRAME_MS
        self._paused = False
        return [SpeechEvent(SpeechEventKind.STARTED, self._started_at, self.voiced_ms)]

    def _pause(self, count: int, end: int) -> list[SpeechEvent]:
        if count >= _WINDOW - 1:
            self._paused = False
            self.voiced_ms += count * FRAME_MS
            return [SpeechEvent(SpeechEventKind.RESUMED, self._first_voiced(end), self.voiced_ms)]
        if self._silence_ms(end) >= self.ending_ms:
            return [self._end()]
        return []

    @property
    def ending_ms(self) -> float:
        """The silence in ms that currently ends the turn."""
        if self.settings.detection == SERVER:
            return self.settings.silence_ms
        patience = self._patience_ms if self._paused else None
        return MOST_PATIENT_MS[self.settings.eagerness] if patience is None else patience

    def _end(self) -> SpeechEvent:
        event = SpeechEvent(SpeechEventKind.ENDED, self._last_voiced_end, self.voiced_ms)
        self.forget()
        return event

    def _first_voiced(self, end: int) -> int:
        return end - (len(self._window) - list(self._window).index(True)) * FRAME_SAMPLES

    def _silence_ms(self, end: int) -> float:
        return (end - self._last_voiced_end) * 1000 / SAMPLE_RATE


class RingBuffer:
    """A ring buffer of the last seconds of audio, addressed by sample index.

    It is filled once at the start, so that its memory is committed up front.
    """

    def __init__(self, seconds: float) -> None:
        self._ring = np.full(int(seconds * SAMPLE_RATE), 0.0, np.float32)
        self._end = 0

    def push(self, samples: np.ndarray) -> None:
        """Appends samples [n], overwriting the oldest."""
        kept = samples[-len(self._ring) :]
        self._end += len(samples)
        at = (self._end - len(kept)) % len(self._ring)
        before_the_edge = min(len(kept), len(self._ring) - at)
        self._ring[at : at + before_the_edge] = kept[:before_the_edge]
        self._ring[: len(kept) - before_the_edge] = kept[before_the_edge:]

    def read(self, start: int, end: int | None = None) -> np.ndarray:
        """Samples [end - start], or fewer if some are overwritten or have not arrived."""
        first = max(start, 0, self._end - len(self._ring))
        last = self._end if end is None else min(end, self._end)
        at, count = first % len(self._ring), max(0, last - first)
        before_the_edge = min(count, len(self._ring) - at)
        return np.concatenate(
            [self._ring[at : at + before_the_edge], self._ring[: count - before_the_edge]]
        )
