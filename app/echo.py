"""Echo cancellation: removes the agent's own voice from the microphone signal.

Browsers cancel echo themselves; other clients do not, and not every loudspeaker allows it. Playback
times are unknown, so the delay is found by cross-correlation, a short filter by least squares, and
the predicted echo is subtracted. Speech of the user remains. Requested volumes are known, but not
when they are played: the echo shows it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, rfft

from data.audio import SAMPLE_RATE

_COARSE = 3  # samples at 24 kHz to one of the search, at 8 kHz
_SENT = 6 * SAMPLE_RATE  # samples of sent audio that may still return
_HEARD = SAMPLE_RATE // 2
_RETURNS_WITHIN = SAMPLE_RATE  # after playback: room, microphone and network
_SEARCH_EVERY = SAMPLE_RATE // 25
# Length of the search template, and the minimum correlation.
_SEARCHES = ((int(0.16 * SAMPLE_RATE), 0.7), (int(0.4 * SAMPLE_RATE), 0.5))
# Transformed at once at 8 kHz, and the correlations of which do not wrap around.
_TRANSFORMED = 1 << 14
_HOP = _TRANSFORMED - _SEARCHES[-1][0] // _COARSE + 1
_PADDING = -(-_SENT // _COARSE // _HOP) * _HOP + _TRANSFORMED - _HOP - _SENT // _COARSE
_TAPS, _EARLY = 960, 24  # filter length: 40 ms, 1 ms of it before the delay found
_FIT_EVERY = SAMPLE_RATE // 10
_EXPLAINED = 0.25  # maximum residual energy share for audio to count as echo
_GATE = 0.2  # residual share below which there is only echo, and all is muted
_AUDIBLE = 10 ** (-60 / 20)
_LOST_S = 0.5
_RIDGE = 1e-3
_BLOCK = SAMPLE_RATE // 50
_BETTER = 0.5  # residual energy at another gain, relative to that at the last, which shows a change
_REQUESTS = 4  # most gains that are awaited


class Recent:
    """A ring buffer of the last `size` samples of a stream, by index."""

    def __init__(self, size: int) -> None:
        self.end = 0
        self._kept = np.zeros(size, np.float32)

    def push(self, samples: np.ndarray) -> None:
        """Appends samples [n]."""
        self._kept = np.concatenate([self._kept, samples])[-len(self._kept) :]
        self.end += len(samples)

    def scale(self, first: int, factor: float) -> None:
        """Scales the samples from index `first` on."""
        self._kept[max(0, first - self.end + len(self._kept)) :] *= factor

    def read(self, first: int, last: int) -> np.ndarray:
        """Samples [last - first]; zeros where missing or overwritten."""
        out = np.zeros(last - first, np.float32)
        start = self.end - len(self._kept)
        low, high = max(first, start), min(last, self.end)
        if low < high:
            out[low - first : high - first] = self._kept[low - start : high - start]
        return out


class _Search:
    """Finds sound in the last sent audio, at 8 kHz. What was sent is transformed once for all
    searches until it changes, in overlapping blocks that fit the cache (overlap-save).

    Args:
        sent: the sent audio.
    """

    def __init__(self, sent: Recent) -> None:
        self._sent = sent
        self._spectra: np.ndarray | None = None
        self._coarse = np.zeros(0, np.float32)
        self._norms: dict[int, np.ndarray] = {}

    def forget(self) -> None:
        """What was sent has changed."""
        self._spectra = None

    def place(self, sought: np.ndarray) -> tuple[int, float]:
        """The most likely index of `sought` [n] in what was sent, and the correlation there."""
        first = self._sent.end - _SENT
        if self._spectra is None:
            self._norms.clear()
            self._coarse = _coarse(self._sent.read(first, first + _SENT))
            padded = np.pad(self._coarse, (0, _PADDING))
            blocks = np.lib.stride_tricks.sliding_window_view(padded, _TRANSFORMED)[::_HOP]
            self._spectra = np.asarray(rfft(blocks, axis=1))
        template = _coarse(sought)
        spectrum = np.asarray(rfft(template, _TRANSFORMED)).conj()
        blocks = np.asarray(irfft(self._spectra * spectrum, _TRANSFORMED, axis=1))
        match = blocks[:, :_HOP].reshape(-1)[: len(self._coarse) - len(template) + 1]
        likeness = match / self._norm(len(template))
        best = int(np.argmax(likeness))
        share = float(likeness[best]) / float(np.sqrt(np.sum(template**2) + 1e-12))
        return first + _COARSE * best, share

    def _norm(self, length: int) -> np.ndarray:
        """The Euclidean norms of all stretches of that length."""
        if length not in self._norms:
            total = np.concatenate([[0.0], np.cumsum(self._coarse.astype(np.float64) ** 2)])
            energy = total[length:] - total[:-length]
            floor = 1e-3 * float(energy.max()) + 1e-12
            self._norms[length] = np.sqrt(np.maximum(energy, floor)).astype(np.float32)
        return self._norms[length]


@dataclass
class _Path:
    """The echo path from loudspeaker to microphone: `delay` in samples, then a filter."""

    delay: int
    taps: np.ndarray
    last_heard: int


class EchoCanceller:
    """Attributes:
    found: whether the last `clean` found an echo that it had not recognised before.
    """

    def __init__(self) -> None:
        self.found = False
        self._sent, self._heard = Recent(_SENT), Recent(_HEARD)
        self._search = _Search(self._sent)
        self._path: _Path | None = None
        self._gain = 1.0  # with which the newest sent samples are played
        self._requested: list[float] = []  # gains not found in the echo yet
        self._until = 0  # where in what is heard the last echo may end
        self._searched = self._fitted = 0

    def sent(self, samples: np.ndarray, anew: bool = False) -> None:
        """Takes sent samples [n]; `anew`: not contiguous with the previous ones."""
        if anew:
            self._path, self._gain = None, 1.0
            self._requested.clear()
        self._sent.push(self._gain * samples)
        self._search.forget()
        self._until = self._heard.end + _SENT

    def played(self) -> None:
        """The client has played everything that was sent, or has stopped."""
        self._until = min(self._until, self._heard.end + _RETURNS_WITHIN)

    def duck(self, gain: float) -> None:
        """The client has been asked to play at `gain`; not every client does."""
        if gain > 0:  # else playback pauses
            self._requested = [*self._requested[1 - _REQUESTS :], gain]

    def clean(self, samples: np.ndarray) -> np.ndarray:
        """Takes the microphone's next samples [n]; returns them without the echo."""
        self.found = False
        blocks = range(0, len(samples), _BLOCK)
        cleaned = [self._clean(samples[at : at + _BLOCK]) for at in blocks]
        return np.concatenate(cleaned) if cleaned else samples

    def _clean(self, samples: np.ndarray) -> np.ndarray:
        start = self._heard.end
        self._heard.push(samples)
        if self._heard.end > self._until:
            self._path = None
            return samples
        path, now = self._path, self._heard.end
        fits = path is not None and now - path.last_heard < 2 * _SEARCH_EVERY
        if not fits and now - self._searched >= _SEARCH_EVERY:
            self._searched = now
            found = self._found_path()
            # Even at the same delay: ducking changes the echo's level, and the filter must be
            # refitted.
            self.found = self.found or found is not None
            self._path = found or path
        return samples if self._path is None else self._without_echo(self._path, samples, start)

    def _found_path(self) -> _Path | None:
        for length, needed in _SEARCHES:
            heard = self._heard.read(self._heard.end - length, self._heard.end)
            if np.sqrt(np.mean(heard**2)) < _AUDIBLE:
                continue
            at, likeness = self._search.place(heard)
            if likeness < needed:
                continue
            delay = self._heard.end - length - at
            known = self._path
            is_same = known is not None and known.delay == delay
            taps = known.taps if known and is_same else np.zeros(_TAPS, np.float32)
            path = _Path(delay, taps, self._heard.end)
            if self._fit(path, length) < _EXPLAINED:
                return path
        return None

    def _fit(self, path: _Path, length: int) -> float:
        """Fits the filter to the last samples; returns the residual energy share."""
        from scipy.linalg import solve_toeplitz

        heard = self._heard.read(self._heard.end - length, self._heard.end)
        sent = self._aligned(path, self._heard.end - length, length)
        size = 1 << (len(sent) + _TAPS).bit_length()
        sent_spectrum = np.fft.rfft(sent[_TAPS - 1 :], size)
        own = np.fft.irfft(np.abs(sent_spectrum) ** 2, size)[:_TAPS]
        # The correction of the filter, not the filter: what the last samples do not excite stays.
        left = heard - np.convolve(sent, path.taps, "valid")
        cross = np.fft.irfft(np.fft.rfft(left, size) * sent_spectrum.conj(), size)[:_TAPS]
        if own[0] < length * _AUDIBLE**2:
            return 1.0
        # Also by the level of the room: without it the filter would be fitted to the noise in a
        # pause, and fail when the echo returns.
        own[0] += _RIDGE * own[0] + length * _AUDIBLE**2
        taps = path.taps + solve_toeplitz(own, cross).astype(np.float32)
        left = heard - np.convolve(sent, taps, "valid")
        share = float(np.sum(left**2) / (np.sum(heard**2) + 1e-9))
        if share < 0.9:
            path.taps = taps
        return share

    def _aligned(self, path: _Path, first: int, length: int) -> np.ndarray:
        """The sent audio [length + _TAPS - 1] for microphone samples from `first` on."""
        at = first - path.delay + _EARLY
        return self._sent.read(at - _TAPS + 1, at + length)

    def _follow_gain(self, path: _Path, samples: np.ndarray, start: int) -> None:
        """Applies a requested gain as soon as the echo has it."""
        predicted = np.convolve(self._aligned(path, start, len(samples)), path.taps, "valid")
        best, least = None, _BETTER * float(np.sum((samples - predicted) ** 2))
        for number, gain in enumerate(self._requested):
            left = float(np.sum((samples - gain / self._gain * predicted) ** 2))
            if left < least:
                best, least = number, left
        if best is not None:
            gain = self._requested[best]
            self._sent.scale(start - path.delay, gain / self._gain)
            self._search.forget()
            self._gain = gain
            del self._requested[: best + 1]

    def _without_echo(self, path: _Path, samples: np.ndarray, start: int) -> np.ndarray:
        if self._requested:
            self._follow_gain(path, samples, start)
        if self._heard.end - self._fitted >= _FIT_EVERY:
            self._fitted = self._heard.end
            if self._fit(path, _SEARCHES[1][0]) < _EXPLAINED:
                path.last_heard = self._heard.end
        predicted = np.convolve(self._aligned(path, start, len(samples)), path.taps, "valid")
        left = samples - predicted
        before, after = float(np.sum(samples**2)), float(np.sum(left**2))
        if np.sum(predicted**2) < len(samples) * _AUDIBLE**2:
            # Nothing was played. The path is kept: in the soft onset behind a pause another delay
            # often correlates better, and the rest of the word would pass as speech.
            path.last_heard = self._heard.end
            return samples
        if after < _GATE * before:
            path.last_heard = self._heard.end
            return np.zeros_like(samples)
        if self._heard.end - path.last_heard > _LOST_S * SAMPLE_RATE:
            self._path = None  # the delay has changed, or the echo is gone
        return left if after < before else samples


def _coarse(sound: np.ndarray) -> np.ndarray:
    """Decimated by three and spectrally whitened for a sharper correlation peak."""
    parts = sound[: len(sound) // _COARSE * _COARSE].reshape(-1, _COARSE)
    whole = (parts[:, 0] + parts[:, 1] + parts[:, 2]) / np.float32(_COARSE)  # `mean` is slower
    return np.diff(whole, prepend=whole[:1])
