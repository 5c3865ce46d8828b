"""One preparation of a recording, for all that listens to it: channels, offset, rumble, level.

The level of a file is a property of the file, not a fault of the sound in it; neither are an
offset of its converter, a rumble below all speech, or a channel wired the wrong way round. A
`Survey` measures them while the file goes by, and its `Correction` takes them out. An ordinary
recording needs none and stays as it is, to the bit.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from data.audio.media import Media
from data.audio.resampling import StreamResampler
from data.errors import InputError

QUIET_DBFS = -40.0  # a recording whose loud speech stays below is raised
LEVEL_DBFS = -20.0  # to this
_OFFSET_DB = -35.0  # of loud speech: a greater constant offset is taken out
_RUMBLE_DB = -20.0  # the same of what is below 50 Hz in the pauses
_PAUSE_DB = -20.0  # of loud speech: what is softer is a pause
_SILENT = 1e-4  # -80 dBFS: below there is nothing to raise
_OVERSHOOT = 1.4  # that a lossy codec may add to full scale
_FRAME_HZ = 100  # the mean of a frame is what lies below 50 Hz
_LOUD_FRAMES = 20  # as many are as loud as loud speech, or louder: a click is not
_PAUSES = 30  # frames that tell what lies below speech
_PERIOD = 10  # frames that last longer than a period of any rumble
_KNOCK = 0.99  # to what sticks out of a recording that is raised is limited: it is not clipping
_WINDOW_S = 0.5
_CANCELLED = 0.35  # power of the mean of two channels; 1 is that of unrelated ones
_AS_LOUD = 0.8  # power of channels that are as loud as one another
_MIN_CANCELLED = 0.1  # share of the sound's energy in windows where channels cancel


@dataclass(frozen=True)
class Correction:
    """What a recording needs.

    Attributes:
        channel: the one to use; None is the mean of all.
        highpass: whether all below 50 Hz is taken out.
        gain: factor.
    """

    channel: int | None = None
    highpass: bool = False
    gain: float = 1.0

    @property
    def full_scale(self) -> float:
        """The greatest size of the uncorrected samples: more than 1 in a file of floats."""
        return 1.0 / min(self.gain, 1.0)

    @property
    def facts(self) -> dict[str, int | float | bool]:
        """What was done, to be kept with the sound; empty for an ordinary recording."""
        found: dict[str, int | float | bool] = {}
        if self.channel is not None:
            found["channel_used"] = self.channel
        if self.highpass:
            found["highpass"] = True
        if self.gain != 1.0:
            found["gain_db"] = round(20 * float(np.log10(self.gain)), 2)
        return found

    def __str__(self) -> str:
        """For a log."""
        words = [] if self.channel is None else [f"only channel {self.channel + 1} is used"]
        words += ["offset and rumble are filtered out"] * self.highpass
        if self.gain != 1.0:
            words.append(f"the level is changed by {20 * np.log10(self.gain):+.1f} dB")
        return ", ".join(words) or "as it is"


class Survey:
    """Measures a recording block by block.

    Args:
        media: what is read.
        sample_rate: of the mono sound, in Hz.
        given: the correction it is read with; channel and high-pass stay.
    """

    def __init__(self, media: Media, sample_rate: int, given: Correction) -> None:
        self._given = given
        self._limit = _OVERSHOOT if media.lossy else 1.0
        self._peak = 0.0
        self._media = media
        self._channels: _Cancellation | None = None
        self._level = _Level(sample_rate)

    def hear_source(self, block: np.ndarray, mono: np.ndarray) -> None:
        """Takes [channels, n] and what is made of them, [n], at the file's own rate."""
        self._peak = max(self._peak, float(np.abs(mono).max(initial=0.0)))
        if self._given.channel is None and block.shape[0] > 1:
            if self._channels is None:
                self._channels = _Cancellation(round(_WINDOW_S * self._media.rate), len(block))
            self._channels.push(block)

    def hear(self, samples: np.ndarray) -> None:
        """Takes the mono sound [n] before any gain."""
        self._level.push(samples)

    def correction(self) -> Correction:
        """What the recording needs, once all of it was heard."""
        channel = self._given.channel
        if channel is None and self._channels is not None:
            channel = self._channels.best
        highpass = self._given.highpass or self._level.rumbles
        # Resampling overshoots a little by itself: full scale is that of the file.
        above = self._peak > self._limit or (highpass and self._level.peak > 1.0)
        return Correction(channel, highpass, self._level.gain(above))


def working_sound(
    media: Media, sample_rate: int, correction: Correction, survey: Survey
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Mono blocks [n], float32: as they are in the file, and corrected; and surveys them.

    Raises:
        InputError: nothing can be decoded, or it is not numbers.
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
                f"{media.name} holds samples that are not numbers (NaN or infinite); "
                "export it again"
            )
        survey.hear_source(block, mono)
        resampler = resampler or StreamResampler(media.rate, sample_rate)
        yield corrected(resampler.push(mono))
    if resampler is not None:
        yield corrected(resampler.flush())


class HighPass:
    """Takes out an offset and all below 50 Hz (-40 dB), and leaves voices from 75 Hz on.

    A Chebyshev filter of type II for a stream. It begins as if the first sample had always been
    there, so that an offset is no step.
    """

    def __init__(self, sample_rate: int) -> None:
        from scipy.signal import cheby2, sosfilt_zi  # half a second to import, and rarely needed

        self._sections = cheby2(7, 40, 50.0, "highpass", fs=sample_rate, output="sos")
        self._rest = sosfilt_zi(self._sections)
        self._state: np.ndarray | None = None

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Takes the next samples [n] and returns as many, float32."""
        from scipy.signal import sosfilt

        if samples.shape[0] == 0:
            return samples
        if self._state is None:
            self._state = self._rest * float(samples[0])
        out, self._state = sosfilt(self._sections, samples.astype(np.float64), zi=self._state)
        return out.astype(np.float32)


class _Cancellation:
    """Finds channels that cancel in their mean: one is the other's negative, wholly or in part."""

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
            # differences: neither offset nor rumble shall decide
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
        """The first of the loudest channels where they cancel; None where they do not."""
        self._close()
        if self._cancelled.sum() <= _MIN_CANCELLED * self._energy:
            return None
        return int((self._cancelled > _AS_LOUD * self._cancelled.max()).argmax())


class _Level:
    """How loud speech is, and what lies below it."""

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
        """Of each frame its peak, its power without its mean, and its mean."""
        means = frames.mean(axis=1, dtype=np.float64)
        power = np.square(frames, dtype=np.float64).mean(axis=1) - means**2
        self._frames.append(np.stack([np.abs(frames).max(axis=1, initial=0.0), power, means]))

    @functools.cached_property
    def _all(self) -> np.ndarray:
        """[3, frames]: see `_keep`; the last frame may be a part of one."""
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
        """Whether an offset or a rumble is loud enough to be taken for noise."""
        _, power, means = self._all
        offset, below = float(np.median(means)) ** 2, means**2
        pauses = below[power < _ratio(_PAUSE_DB) * self._loud]
        if len(pauses) >= _PAUSES:
            rumble = float(pauses.mean())
        else:  # it may be so loud that nothing passes for a pause
            periods = np.array_split(below, max(1, len(below) // _PERIOD))
            rumble = float(np.quantile([one.mean() for one in periods], 0.05))
        loud = max(self._loud, _SILENT**2)
        return offset > _ratio(_OFFSET_DB) * loud or rumble > _ratio(_RUMBLE_DB) * loud

    def gain(self, above: bool) -> float:
        """The factor to a working level; 1 where the level is ordinary.

        Args:
            above: whether there is more than full scale.
        """
        loud, peak = self._loud**0.5, _exceeded(self._all[0])
        gain = 1.0 / self.peak if above else 1.0
        if 0 < gain * loud < 10 ** (QUIET_DBFS / 20) and peak > _SILENT:
            gain = min(10 ** (LEVEL_DBFS / 20) / loud, 1.0 / peak)
        return gain


def _exceeded(values: np.ndarray) -> float:
    """What a few frames reach or exceed; of a short sound half of them."""
    rank = min(_LOUD_FRAMES, (values.shape[0] + 1) // 2)
    return float(np.sort(values)[-rank])


def _ratio(db: float) -> float:
    return 10 ** (db / 10)
