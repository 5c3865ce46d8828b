"""Corrects recordings before any analysis: inverted channels, DC offset, rumble, and level.

These are properties of the file, not faults of the speech in it. A `Survey` measures them while
the file is read, and its `Correction` removes them. Ordinary recordings pass unchanged, bit for
bit.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from data.audio.media import Media
from data.audio.resampling import StreamResampler
from data.errors import InputError

QUIET_DBFS = -40.0  # recordings whose loud speech is softer are amplified
LEVEL_DBFS = -20.0  # to this level
_OFFSET_DB = -35.0  # relative to loud speech; larger offsets are removed
_RUMBLE_DB = -20.0  # relative to loud speech; louder rumble below 50 Hz in pauses is removed
_PAUSE_DB = -20.0  # relative to loud speech; softer frames are pauses
_SILENT = 1e-4  # -80 dBFS, below which nothing is amplified
_OVERSHOOT = 1.4  # peak that a lossy codec may reach
_FRAME_HZ = 100  # frame means represent frequencies below 50 Hz
_LOUD_FRAMES = 20  # least number of frames at the level of loud speech, to ignore clicks
_PAUSES = 30  # least number of pause frames to measure rumble
_PERIOD = 10  # frames per window, longer than a period of any rumble
_KNOCK = 0.99  # limit of peaks in amplified recordings, so that they do not count as clipped
_WINDOW_S = 0.5
_CANCELLED = 0.35  # relative power of the channels' sum below which they cancel; 1 if unrelated
_AS_LOUD = 0.8  # relative power of channels that count as equally loud
_MIN_CANCELLED = 0.1  # least share of energy in windows where channels cancel


@dataclass(frozen=True)
class Correction:
    """The correction of a recording.

    Attributes:
        channel: the only channel to use; None for the mean of all.
        highpass: whether to remove frequencies below 50 Hz.
        gain: factor on the samples.
    """

    channel: int | None = None
    highpass: bool = False
    gain: float = 1.0

    @property
    def full_scale(self) -> float:
        """Full scale of the uncorrected samples, which may exceed 1 in float files."""
        return 1.0 / min(self.gain, 1.0)

    @property
    def facts(self) -> dict[str, int | float | bool]:
        """The correction as metadata; empty for an ordinary recording."""
        found: dict[str, int | float | bool] = {}
        if self.channel is not None:
            found["channel_used"] = self.channel
        if self.highpass:
            found["highpass"] = True
        if self.gain != 1.0:
            found["gain_db"] = round(20 * float(np.log10(self.gain)), 2)
        return found

    def __str__(self) -> str:
        """A description for the log."""
        words = [] if self.channel is None else [f"using channel {self.channel + 1} only"]
        words += ["removing offset and rumble"] * self.highpass
        if self.gain != 1.0:
            words.append(f"changing the level by {20 * np.log10(self.gain):+.1f} dB")
        return ", ".join(words) or "unchanged"


class Survey:
    """Measures a recording block by block.

    Args:
        media: the file being read.
        sample_rate: sample rate of the mono audio, in Hz.
        given: the current correction, whose channel and high-pass are kept.
    """

    def __init__(self, media: Media, sample_rate: int, given: Correction) -> None:
        self._given = given
        self._limit = _OVERSHOOT if media.lossy else 1.0
        self._peak = 0.0
        self._media = media
        self._channels: _Cancellation | None = None
        self._level = _Level(sample_rate)

    def hear_source(self, block: np.ndarray, mono: np.ndarray) -> None:
        """Adds source samples `[channels, n]` and their mono mix `[n]`, at the file's rate."""
        self._peak = max(self._peak, float(np.abs(mono).max(initial=0.0)))
        if self._given.channel is None and block.shape[0] > 1:
            if self._channels is None:
                self._channels = _Cancellation(round(_WINDOW_S * self._media.rate), len(block))
            self._channels.push(block)

    def hear(self, samples: np.ndarray) -> None:
        """Adds mono samples `[n]` before any gain."""
        self._level.push(samples)

    def correction(self) -> Correction:
        """The correction that the whole recording needs."""
        channel = self._given.channel
        if channel is None and self._channels is not None:
            channel = self._channels.best
        highpass = self._given.highpass or self._level.rumbles
        # Judged by the file's own samples, since resampling overshoots slightly.
        above = self._peak > self._limit or (highpass and self._level.peak > 1.0)
        return Correction(channel, highpass, self._level.gain(above))


def working_sound(
    media: Media, sample_rate: int, correction: Correction, survey: Survey
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields mono blocks `[n]`, float32, uncorrected and corrected, and surveys them.

    Raises:
        InputError: nothing can be decoded, or samples are not finite.
    """
    resampler: StreamResampler | None = None
    highpass = HighPass(sample_rate) if correction.highpass else None

    def corrected(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        better = samples if highpass is None else highpass.push(samples)
        survey.hear(better)
        if correction.gain != 1.0:
            with np.errstate(over="ignore"):
                better = better * np.float32(correction.gain)
            better = np.where(np.abs(better) > 1.0, np.sign(better) * np.float32(_KNOCK), better)
        return samples, better

    for block in media.blocks():
        with np.errstate(over="ignore", invalid="ignore"):
            mono = block.mean(axis=0) if correction.channel is None else block[correction.channel]
        if not np.isfinite(mono).all():
            raise InputError(
                f"{media.name} has samples that are not finite numbers; export it again"
            )
        survey.hear_source(block, mono)
        resampler = resampler or StreamResampler(media.rate, sample_rate)
        yield corrected(resampler.push(mono))
    if resampler is not None:
        yield corrected(resampler.flush())


class HighPass:
    """A streaming Chebyshev filter (type II): -40 dB below 50 Hz, unchanged from 75 Hz on.

    Its state starts as if the first sample had always been there, so that an offset causes no step.
    """

    def __init__(self, sample_rate: int) -> None:
        from scipy.signal import cheby2, sosfilt_zi  # slow to import, and rarely needed

        self._sections = cheby2(7, 40, 50.0, "highpass", fs=sample_rate, output="sos")
        self._rest = sosfilt_zi(self._sections)
        self._state: np.ndarray | None = None

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Filters the next samples `[n]`; returns `[n]`, float32."""
        from scipy.signal import sosfilt

        if samples.shape[0] == 0:
            return samples
        if self._state is None:
            self._state = self._rest * float(samples[0])
        out, self._state = sosfilt(self._sections, samples.astype(np.float64), zi=self._state)
        return out.astype(np.float32)


class _Cancellation:
    """Detects channels that cancel in the mean, as one is partly the negative of the other."""

    def __init__(self, window: int, channels: int) -> None:
        self._window = window
        self._gram = np.zeros((channels, channels))
        self._count = 0
        self._last: np.ndarray | None = None
        self._energy = 0.0
        self._cancelled = np.zeros(channels)

    def push(self, block: np.ndarray) -> None:
        for first in range(0, block.shape[1], self._window):
            part = block[:, first : first + self._window].astype(np.float64)
            # first differences, to ignore offset and rumble
            last = part[:, :1] if self._last is None else self._last
            steps = np.diff(part, axis=1, prepend=last)
            self._last = part[:, -1:]
            self._gram += steps @ steps.T
            self._count += part.shape[1]
            if self._count >= self._window:
                self._close()

    def _close(self) -> None:
        energy = np.diagonal(self._gram).copy()
        self._energy += energy.sum()
        if self._gram.sum() < _CANCELLED * energy.sum():
            self._cancelled += energy
        self._gram[:] = 0.0
        self._count = 0

    @property
    def best(self) -> int | None:
        """The first of the loudest channels if channels cancel, else None."""
        self._close()
        if self._cancelled.sum() <= _MIN_CANCELLED * self._energy:
            return None
        return int((self._cancelled > _AS_LOUD * self._cancelled.max()).argmax())


class _Level:
    """Measures the level of speech, offset and rumble."""

    def __init__(self, sample_rate: int) -> None:
        self._size = sample_rate // _FRAME_HZ
        self._held = np.zeros(0, np.float32)
        self._frames: list[np.ndarray] = []

    def push(self, samples: np.ndarray) -> None:
        held = np.concatenate([self._held, samples])
        num = held.shape[0] // self._size
        self._keep(held[: num * self._size].reshape(num, self._size))
        self._held = held[num * self._size :]

    def _keep(self, frames: np.ndarray) -> None:
        """Stores peak, power without the mean, and mean of each frame."""
        means = frames.mean(axis=1, dtype=np.float64)
        power = np.square(frames, dtype=np.float64).mean(axis=1) - means**2
        self._frames.append(np.stack([np.abs(frames).max(axis=1, initial=0.0), power, means]))

    @functools.cached_property
    def _all(self) -> np.ndarray:
        """Measurements `[3, frames]` (see `_keep`), including a partial last frame."""
        if self._held.shape[0]:
            self._keep(self._held[None])
        found = np.concatenate([np.zeros((3, 0)), *self._frames], axis=1)
        return found if found.shape[1] else np.zeros((3, 1))

    @property
    def _loud(self) -> float:
        """Power of loud speech."""
        return max(_exceeded(self._all[1]), 0.0)

    @property
    def peak(self) -> float:
        return float(self._all[0].max())

    @property
    def rumbles(self) -> bool:
        """Whether offset or rumble is loud enough to affect noise measurements."""
        _, power, means = self._all
        offset, below = float(np.median(means)) ** 2, means**2
        pauses = below[power < _ratio(_PAUSE_DB) * self._loud]
        if len(pauses) >= _PAUSES:
            rumble = float(pauses.mean())
        else:  # rumble may be so loud that there are no pauses
            periods = np.array_split(below, max(1, len(below) // _PERIOD))
            rumble = float(np.quantile([one.mean() for one in periods], 0.05))
        loud = max(self._loud, _SILENT**2)
        return offset > _ratio(_OFFSET_DB) * loud or rumble > _ratio(_RUMBLE_DB) * loud

    def gain(self, above: bool) -> float:
        """The gain to a working level; 1 for ordinary levels.

        Args:
            above: whether samples exceed full scale.
        """
        loud, peak = self._loud**0.5, _exceeded(self._all[0])
        gain = 1.0 / self.peak if above else 1.0
        if 0 < gain * loud < 10 ** (QUIET_DBFS / 20) and peak > _SILENT:
            gain = min(10 ** (LEVEL_DBFS / 20) / loud, 1.0 / peak)
        return gain


def _exceeded(values: np.ndarray) -> float:
    """The value that `_LOUD_FRAMES` values reach or exceed; of few values, half of them."""
    rank = min(_LOUD_FRAMES, (values.shape[0] + 1) // 2)
    return float(np.sort(values)[-rank])


def _ratio(db: float) -> float:
    return 10 ** (db / 10)
