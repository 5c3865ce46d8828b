"""Prosody of a turn in figures, a cautious label, and what is unusual for the speaker.

Used by responders and displayed on the page. The speech models do not use it: they process the
audio itself.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from data.audio import SAMPLE_RATE, resample

_HZ = 8_000
_FRAME = 320  # 40 ms
_HOP = 160
_LOW_HZ, _HIGH_HZ = 65.0, 420.0
_SYLLABLE = re.compile(r"[aeiouy]+|[\u3400-\u9fff]", re.IGNORECASE)
_MIN_SYLLABLES = 4  # for a rate
_UNUSUAL_SEMITONES, _UNUSUAL_DB, _UNUSUAL_RATE = 2.0, 5.0, 1.3


@dataclass(frozen=True)
class Manner:
    """Prosody of one turn.

    Attributes:
        f0_hz: median F0 over voiced frames; 0 if none is voiced.
        spread_semitones: standard deviation of F0.
        level_dbfs: level of the voiced frames.
        voiced_s: voiced duration.
        word: "excited", "low" or "" (neutral).
        rate: syllables per voiced second; 0 if unknown.
        unusual: what differs from the speaker's other turns, such as "higher" or "slower".
    """

    f0_hz: float
    spread_semitones: float
    level_dbfs: float
    voiced_s: float
    word: str = ""
    rate: float = 0.0
    unusual: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        """It in words, for a language model; "" for a turn like the others."""
        parts = [f"{', '.join(self.unusual)} than usual"] if self.unusual else []
        parts += [f"sounding {self.word}"] if self.word else []
        return f"spoken {', '.join(parts)}" if parts else ""


def measure_manner(samples: np.ndarray, earlier: Sequence[Manner] = (), text: str = "") -> Manner:
    """Measures samples [T] at 24 kHz with the words `text`, relative to `earlier` turns of the same
    speaker."""
    f0, level = _track(samples[-20 * SAMPLE_RATE :])
    voiced = f0 > 0
    if voiced.sum() < 5:
        return Manner(0.0, 0.0, -90.0, float(voiced.sum()) * _HOP / _HZ)
    median = float(np.median(f0[voiced]))
    semitones = 12 * np.log2(f0[voiced] / median)
    inner = semitones[np.abs(semitones) < 10]  # octave errors would swamp the spread
    manner = Manner(
        f0_hz=median,
        spread_semitones=float(inner.std()),
        level_dbfs=float(np.mean(level[voiced])),
        voiced_s=float(voiced.sum()) * _HOP / _HZ,
    )
    syllables = len(_SYLLABLE.findall(text))
    if syllables >= _MIN_SYLLABLES:
        manner = replace(manner, rate=syllables / manner.voiced_s)
    known = [one for one in earlier if one.f0_hz > 0]
    if not known:
        return manner
    return replace(manner, word=_word(manner, known), unusual=_unusual(manner, known))


def _unusual(now: Manner, known: Sequence[Manner]) -> tuple[str, ...]:
    """How its pitch, rate and level differ from the medians of `known`."""
    higher = 12 * np.log2(now.f0_hz / np.median([one.f0_hz for one in known]))
    louder = now.level_dbfs - np.median([one.level_dbfs for one in known])
    rates = [one.rate for one in known if one.rate]
    faster = np.log(now.rate / np.median(rates)) if now.rate and rates else 0.0
    found = []
    for value, least, up, down in (
        (higher, _UNUSUAL_SEMITONES, "higher", "lower"),
        (faster, np.log(_UNUSUAL_RATE), "faster", "slower"),
        (louder, _UNUSUAL_DB, "louder", "softer"),
    ):
        if abs(value) > least:
            found.append(up if value > 0 else down)
    return tuple(found)


def _word(now: Manner, known: Sequence[Manner]) -> str:
    higher = 12 * np.log2(now.f0_hz / np.median([one.f0_hz for one in known]))
    louder = now.level_dbfs - np.median([one.level_dbfs for one in known])
    wider = now.spread_semitones - np.median([one.spread_semitones for one in known])
    lift = higher / 2.0 + louder / 4.0 + wider / 1.5
    if higher > 1.0 and lift > 1.5:
        return "excited"
    if higher < -1.0 and lift < -1.5:
        return "low"
    return ""


def _track(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """F0 in Hz (0 where unvoiced) and level in dBFS, one value each 20 ms, by autocorrelation."""
    sound = resample(np.asarray(samples, np.float32), SAMPLE_RATE, _HZ)
    if len(sound) < _FRAME:
        return np.zeros(0), np.zeros(0)
    frames = np.lib.stride_tricks.sliding_window_view(sound, _FRAME)[::_HOP].astype(np.float64)
    level = 10 * np.log10(np.mean(np.square(frames), axis=1) + 1e-9)
    frames = (frames - frames.mean(axis=1, keepdims=True)) * np.hanning(_FRAME)
    window = _autocorrelation(np.hanning(_FRAME)[None])[0]
    rho = _autocorrelation(frames)
    rho = rho / np.maximum(rho[:, :1], 1e-9) / np.maximum(window / window[0], 1e-3)
    shortest, longest = int(_HZ / _HIGH_HZ), int(_HZ / _LOW_HZ)
    search = rho[:, shortest : longest + 1]
    # the shortest lag that is nearly as good as the best: longer ones are octaves below
    best = np.argmax(search >= 0.9 * search.max(axis=1, keepdims=True), axis=1)
    f0 = _HZ / (_climb(search, best) + shortest)
    voiced = (search.max(axis=1) > 0.6) & (level > max(-50.0, level.max() - 30))
    return np.where(voiced, f0, 0.0), level


def _climb(search: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Climbs from a lag on a slope to the top of its peak."""
    rows = np.arange(len(search))
    lag = start.copy()
    for _ in range(10):
        ahead = np.minimum(lag + 1, search.shape[1] - 1)
        lag = np.where(search[rows, ahead] > search[rows, lag], ahead, lag)
    return lag


def _autocorrelation(frames: np.ndarray) -> np.ndarray:
    spectrum = np.fft.rfft(frames, 2 * _FRAME, axis=1)
    return np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :_FRAME]
