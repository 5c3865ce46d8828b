"""Stereo files with one speaker per channel: telephone calls, double-enders.

They are recognised by the louder channel changing from frame to frame; where one microphone pair
records everybody, it hardly changes. Cross-talk is estimated as a short linear filter (least
squares, by the normal equations) where one person speaks alone, and subtracted everywhere.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from data.audio import SAMPLE_RATE, StreamResampler
from data.audio.media import open_media
from data.audio.preparation import Correction, HighPass
from data.files import PART, atomic_path
from data.ncssd.store import Row

_FRAME_S = 0.02
_LOUD, _FLOOR = 0.95, 0.1  # quantiles of a channel's level: loud speech, noise floor
_OVER_FLOOR_DB = 12.0  # a channel with less between the two has no speech
_SILENT_DB = -75.0
_ACTIVE_DB = 25.0  # an active frame is at most this far below loud speech
_ABOVE_FLOOR_DB = 9.0  # and at least this far above the noise floor
_APART_DB = 9.0  # level difference of frames in which only one channel's speaker speaks
_LEAST_SHARE = 0.05  # least share of active frames that each channel has to itself
_OWN_SHARE = 0.6  # least share of active frames that belong to one channel only
_CHUNK = SAMPLE_RATE // 2
_CHUNK_ACTIVE_DB = 20.0
_LEAD, _TAPS = 48, 1200  # the filter spans 2 ms before to 48 ms after
_OVER_LEAK_DB = 6.0  # above the usual cross-talk, the other channel's own speaker is active
_LEAST_CHUNKS = 6  # least single speech to estimate a filter, 3 s
_LEAST_EXPLAINED = 0.2  # least share of the quiet channel's power that is cross-talk
_RIDGE = 1e-4
_BLOCK = 30 * SAMPLE_RATE
_MAX_PEAK = 0.95


class Dominance:
    """Tracks, block by block, which of two channels is louder.

    Args:
        rate: sample rate in Hz.
    """

    def __init__(self, rate: int) -> None:
        self._size = round(_FRAME_S * rate)
        self._held = np.zeros((2, 0), np.float32)
        self._levels: list[np.ndarray] = []

    def push(self, block: np.ndarray) -> None:
        """Adds samples `[2, n]`."""
        held = np.concatenate([self._held, block], axis=1)
        num = held.shape[1] // self._size
        self._levels.append(_level_db(held[:, : num * self._size], self._size))
        self._held = held[:, num * self._size :]

    @property
    def one_speaker_per_channel(self) -> bool:
        """Whether each channel has its own speaker, judging by all blocks so far."""
        levels = np.concatenate([np.zeros((2, 0)), *self._levels], axis=1)
        return levels.shape[1] > 0 and _is_divided(levels)


def _level_db(samples: np.ndarray, size: int) -> np.ndarray:
    """Frame levels in dB `[2, frames]` of samples `[2, frames * size]`; of the first difference, to
    ignore offset and rumble."""
    frames = samples.reshape(2, -1, size).astype(np.float64)
    return 10 * np.log10(np.square(np.diff(frames, axis=2)).mean(axis=2) + 1e-14)


def _is_divided(levels: np.ndarray) -> bool:
    loud, floor = (np.quantile(levels, q, axis=1, keepdims=True) for q in (_LOUD, _FLOOR))
    if (loud < _SILENT_DB).any() or (loud - floor < _OVER_FLOOR_DB).any():
        return False
    active = (levels > np.maximum(floor + _ABOVE_FLOOR_DB, loud - _ACTIVE_DB)).any(axis=0)
    first, second = levels - loud
    ahead = (first - second)[active]
    shares = (ahead > _APART_DB).mean(), (ahead < -_APART_DB).mean()
    return bool(min(shares) >= _LEAST_SHARE and sum(shares) >= _OWN_SHARE)


def write_channels(source: Path, correction: Correction, target: Path) -> Row:
    """Writes both channels at 24 kHz, equally loud and without cross-talk.

    Args:
        source: a media file with two channels.
        correction: the corrections chosen for its mono mix.
        target: the WAV file to write, 24 bits.

    Returns:
        `cross_talk_db`: level of each speaker's cross-talk relative to their own channel; None
        where none was found.
    """
    beside = {"dir": target.parent, "prefix": PART, "suffix": ".wav"}
    with tempfile.NamedTemporaryFile(**beside) as file, atomic_path(target) as clean:
        raw = Path(file.name)
        _decode(source, correction, raw)
        loud = _loudness(raw)
        filters, leaks = zip(*_estimate_leaks(raw, loud), strict=True)
        _subtract(raw, clean, filters, loud.max() / loud)
    return {"cross_talk_db": list(leaks)}


def _decode(source: Path, correction: Correction, raw: Path) -> None:
    """Decodes both channels at 24 kHz with the correction applied."""
    with open_media(source, "it") as media, _sound_file(raw) as file:
        resamplers: list[StreamResampler] = []
        filters = [HighPass(SAMPLE_RATE) for _ in range(2)] if correction.highpass else []
        for block in media.blocks():
            resamplers = resamplers or [StreamResampler(media.rate, SAMPLE_RATE) for _ in range(2)]
            pieces = [r.push(one) for r, one in zip(resamplers, block, strict=True)]
            _write(file, pieces, filters, correction.gain)
        _write(file, [resampler.flush() for resampler in resamplers], filters, correction.gain)


def _sound_file(path: Path) -> soundfile.SoundFile:
    # RF64, since WAV is limited to 4 GB
    return soundfile.SoundFile(path, "w", SAMPLE_RATE, channels=2, format="RF64", subtype="PCM_24")


def _write(
    file: soundfile.SoundFile, pieces: list[np.ndarray], filters: list[HighPass], gain: float
) -> None:
    if filters:
        pieces = [one.push(piece) for one, piece in zip(filters, pieces, strict=True)]
    if pieces:
        file.write(np.clip(np.stack(pieces, axis=1) * np.float32(gain), -1.0, 1.0))


def _blocks(path: Path, size: int) -> Iterator[np.ndarray]:
    """Yields samples `[2, n]` of a file, `size` at a time."""
    for block in soundfile.blocks(path, size, dtype="float32", always_2d=True):
        yield block.T


def _loudness(path: Path) -> np.ndarray:
    """RMS amplitude of each channel's loud speech, `[2]`."""
    size = round(_FRAME_S * SAMPLE_RATE)
    power = [
        np.square(block[:, : block.shape[1] // size * size].reshape(2, -1, size)).mean(axis=2)
        for block in _blocks(path, _BLOCK)
    ]
    return np.sqrt(np.quantile(np.concatenate(power, axis=1), _LOUD, axis=1)) + 1e-6


def _estimate_leaks(path: Path, loud: np.ndarray) -> list[tuple[np.ndarray | None, float | None]]:
    """For each channel, its cross-talk filter into the other channel and the level in dB."""
    lags = np.arange(_TAPS) - _LEAD
    auto, cross = np.zeros((2, _TAPS)), np.zeros((2, _TAPS))
    own, other, chunks = np.zeros(2), np.zeros(2), np.zeros(2, int)
    for block, speaker in _alone(path, loud):
        power = np.square(block, dtype=np.float64).mean(axis=1)
        spectrum = np.fft.rfft(block, 2 * _CHUNK)
        mine, theirs = spectrum[speaker], spectrum[1 - speaker]
        auto[speaker] += np.fft.irfft(np.abs(mine) ** 2)[:_TAPS]
        cross[speaker] += np.fft.irfft(theirs * mine.conj())[lags]
        own[speaker] += power[speaker]
        other[speaker] += power[1 - speaker]
        chunks[speaker] += 1
    return [
        _solve(auto[i], cross[i], own[i], other[i]) if chunks[i] >= _LEAST_CHUNKS else (None, None)
        for i in range(2)
    ]


def _alone(path: Path, loud: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Yields blocks `[2, n]` in which one speaker is alone, with the speaker's channel.

    Cross-talk has a nearly constant level relative to its source. Blocks in which the other
    channel is louder than that contain its own speaker, who would bias the estimate.
    """
    levels = np.stack(
        [
            10 * np.log10(np.square(block, dtype=np.float64).mean(axis=1) / loud**2 + 1e-14)
            for block in _blocks(path, _CHUNK)
        ]
    )
    speaker, ahead = levels.argmax(axis=1), np.abs(levels[:, 0] - levels[:, 1])
    used = (levels.max(axis=1) > -_CHUNK_ACTIVE_DB) & (ahead > _APART_DB)
    for own in (0, 1):
        mine = used & (speaker == own)
        if mine.any():
            used &= (speaker != own) | (ahead > np.median(ahead[mine]) - _OVER_LEAK_DB)
    for block, who, taken in zip(_blocks(path, _CHUNK), speaker, used, strict=True):
        if taken:
            yield block, int(who)


def _solve(
    auto: np.ndarray, cross: np.ndarray, own: float, other: float
) -> tuple[np.ndarray | None, float | None]:
    from scipy.linalg import solve_toeplitz

    auto[0] *= 1 + _RIDGE
    taps = solve_toeplitz(auto, cross)
    # `cross` sums over all chunks, `own` and `other` sum the chunks' mean powers
    explained = float(taps @ cross) / _CHUNK / max(other, 1e-12)
    if explained < _LEAST_EXPLAINED:
        return None, None
    return taps.astype(np.float32), round(10 * float(np.log10(explained * other / own)), 1)


def _subtract(
    raw: Path, clean: Path, filters: tuple[np.ndarray | None, ...], gains: np.ndarray
) -> None:
    """Subtracts the cross-talk and scales both channels to the same level."""
    from scipy.signal import oaconvolve

    gains = gains * min(1.0, _MAX_PEAK / max(_peak(raw) * gains.max(), 1e-6))
    with soundfile.SoundFile(raw) as file, _sound_file(clean) as out:
        for first in range(0, file.frames, _BLOCK):
            length = min(_BLOCK, file.frames - first)
            # with context on either side for the filters
            begin, end = first - (_TAPS - _LEAD - 1), first + length + _LEAD
            file.seek(max(0, begin))
            around = file.read(min(end, file.frames) - max(0, begin), dtype="float32").T
            around = np.pad(around, ((0, 0), (max(0, -begin), max(0, end - file.frames))))
            block = around[:, first - begin : first - begin + length].copy()
            for speaker, taps in enumerate(filters):
                if taps is not None:
                    block[1 - speaker] -= oaconvolve(around[speaker], taps, "valid")
            out.write(np.clip(block.T * gains.astype(np.float32), -1.0, 1.0))


def _peak(path: Path) -> float:
    return max((float(np.abs(block).max()) for block in _blocks(path, _BLOCK)), default=0.0)
