"""Voice activity detection per 20 ms frame, by silero-vad or webrtcvad.

Both are causal. webrtcvad decides at once; silero, with windows of 32 ms, at most 32 ms later.
"""

from collections import deque
from typing import Protocol

import numpy as np
import webrtcvad

from data.audio import SAMPLE_RATE
from data.audio.models import silero_sequence
from data.audio.pcm import to_bytes
from data.audio.preparation import HighPass

FRAME_MS = 20
FRAME_SAMPLES = SAMPLE_RATE * FRAME_MS // 1000
DETECTORS = ("silero", "webrtcvad")
_TAPS = 33
_WEBRTC_HZ = 8_000  # webrtcvad's internal rate
_SILERO_HZ = 16_000
_WINDOW, _CONTEXT = 512, 64  # silero's, in samples at 16 kHz
_WINDOW_SAMPLES = _WINDOW * SAMPLE_RATE // _SILERO_HZ
# After a second of silence the network rests. When it is over, the network first gets the last
# second of it: the flags are those of a network that saw all.
_SILENT_WINDOWS = 31
_NOTHING = np.zeros(0, np.float32)
_GOES_ON = 0.15  # hysteresis: current speech continues down to this much below the threshold


class VoiceActivity(Protocol):
    """24 kHz float32 in, one flag per 20 ms out."""

    def push(self, samples: np.ndarray) -> list[bool]:
        """Takes samples [n]; returns a flag for each newly decided frame."""
        ...


def voice_activity(
    detector: str, aggressiveness: int, threshold: float, floor_dbfs: float
) -> VoiceActivity:
    """Creates a detector.

    Args:
        detector: one of `DETECTORS`.
        aggressiveness: webrtcvad's mode.
        threshold: silero's probability threshold.
        floor_dbfs: quieter frames are never speech.
    """
    floor = 10 ** (floor_dbfs / 20)
    if detector == "webrtcvad":
        return WebrtcActivity(aggressiveness, floor)
    return SileroActivity(threshold, floor)


class WebrtcActivity:
    """Args:
    aggressiveness: 0 (sensitive) to 3 (strict).
    floor: RMS below which nothing is speech.
    """

    def __init__(self, aggressiveness: int, floor: float) -> None:
        self._vad = webrtcvad.Vad(aggressiveness)
        self._floor = floor
        self._filter = _lowpass(_WEBRTC_HZ, 0.0)
        self._highpass = HighPass(SAMPLE_RATE)  # removes DC offset and rumble
        self._rest = np.zeros(_TAPS - 1, np.float32)  # filter memory, then an incomplete frame

    def push(self, samples: np.ndarray) -> list[bool]:
        """See `VoiceActivity`."""
        self._rest = np.concatenate([self._rest, self._highpass.push(samples)])
        flags = []
        while len(self._rest) >= FRAME_SAMPLES + _TAPS - 1:
            smooth = np.convolve(self._rest[: FRAME_SAMPLES + _TAPS - 1], self._filter, "valid")
            self._rest = self._rest[FRAME_SAMPLES:]
            flags.append(self._is_voiced(smooth[:: SAMPLE_RATE // _WEBRTC_HZ]))
        return flags

    def _is_voiced(self, frame: np.ndarray) -> bool:
        if np.sqrt(np.mean(np.square(frame))) < self._floor:
            return False
        return self._vad.is_speech(to_bytes(frame), _WEBRTC_HZ)


class SileroActivity:
    """silero-vad (github.com/snakers4/silero-vad, MIT): learned rather than energy-based, so music
    and noise are not speech, but a quiet voice is.

    Args:
        threshold: probability at which speech starts; it continues a little below.
        floor: RMS below which nothing is speech.
    """

    def __init__(self, threshold: float, floor: float) -> None:
        self._threshold, self._floor = threshold, floor
        # 24 to 16 kHz: every third sample at 48 kHz, which falls alternately on an input sample and
        # halfway between two.
        self._on, self._between = _lowpass(_SILERO_HZ, 0.0), _lowpass(_SILERO_HZ, 0.5)
        self._highpass = HighPass(SAMPLE_RATE)
        self._unheard = _NOTHING  # an incomplete window
        self._postponed = _NOTHING  # silence that the network has not seen
        self._num_windows = self._num_frames = self._num_silent = 0
        self._voiced: deque[bool] = deque(maxlen=2)  # of the last windows
        self._rest = np.zeros(_TAPS - 1, np.float32)  # filter memory
        self._context = np.zeros(_CONTEXT, np.float32)
        self._state = [np.zeros((1, 1, 128), np.float32)] * 2

    def push(self, samples: np.ndarray) -> list[bool]:
        """See `VoiceActivity`."""
        self._unheard = np.concatenate([self._unheard, samples])
        whole = len(self._unheard) // _WINDOW_SAMPLES * _WINDOW_SAMPLES
        if not whole:
            return []
        samples, self._unheard = self._unheard[:whole], self._unheard[whole:]
        number = whole // _WINDOW_SAMPLES
        levels = np.square(samples).reshape(number, -1).mean(axis=1)
        self._num_silent = 0 if levels.max() >= self._floor**2 else self._num_silent + number
        if self._num_silent > _SILENT_WINDOWS:
            kept = np.concatenate([self._postponed, samples])
            self._postponed = kept[-_SILENT_WINDOWS * _WINDOW_SAMPLES :]
            return [flag for _ in range(number) for flag in self._judged(False)]
        samples, self._postponed = np.concatenate([self._postponed, samples]), _NOTHING
        return self._judge(self._windows(samples), number)

    def _windows(self, samples: np.ndarray) -> np.ndarray:
        """The network's input: windows with their context, at 16 kHz."""
        sound = np.concatenate([self._rest, self._highpass.push(samples)])
        self._rest = sound[len(samples) :]
        number = len(samples) // _WINDOW_SAMPLES
        windows = np.empty((number, _CONTEXT + _WINDOW), np.float32)
        fresh = windows[:, _CONTEXT:].reshape(number, -1, 2)
        fresh[..., 0] = np.convolve(sound, self._on, "valid")[::3].reshape(number, -1)
        fresh[..., 1] = np.convolve(sound, self._between, "valid")[1::3].reshape(number, -1)
        windows[0, :_CONTEXT], windows[1:, :_CONTEXT] = self._context, windows[:-1, -_CONTEXT:]
        self._context = windows[-1, -_CONTEXT:]
        return windows

    def _judge(self, windows: np.ndarray, number: int) -> list[bool]:
        """Flags of the frames that the last `number` windows complete."""
        inputs = {"input": windows, "h": self._state[0], "c": self._state[1]}
        probabilities, *self._state = silero_sequence().run(None, inputs)
        loud = np.square(windows[-number:, _CONTEXT:]).mean(axis=1) >= self._floor**2
        flags = []
        for probability, is_loud in zip(probabilities[-number:], loud, strict=True):
            needed = self._threshold - (_GOES_ON if self._voiced and self._voiced[-1] else 0.0)
            flags += self._judged(bool(is_loud and probability >= needed))
        return flags

    def _judged(self, is_voiced: bool) -> list[bool]:
        """Flags of the frames that the next window completes, each by the window that contains its
        centre."""
        self._voiced.append(is_voiced)
        self._num_windows += 1
        flags = []
        while (self._num_frames + 1) * FRAME_SAMPLES <= self._num_windows * _WINDOW_SAMPLES:
            middle = self._num_frames * FRAME_SAMPLES + FRAME_SAMPLES // 2
            back = self._num_windows - middle // _WINDOW_SAMPLES
            flags.append(self._voiced[-back])
            self._num_frames += 1
        return flags


def _lowpass(to_hz: int, shift: float) -> np.ndarray:
    """Taps of the low-pass filter before decimation to `to_hz`, delayed by `shift` samples."""
    at = np.arange(_TAPS) - _TAPS // 2 + shift
    cutoff = 0.9 * to_hz / SAMPLE_RATE
    window = 0.5 + 0.5 * np.cos(2 * np.pi * at / (_TAPS + 1))
    return (cutoff * np.sinc(cutoff * at) * window).astype(np.float32)
