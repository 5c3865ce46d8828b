"""Echo cancellation: removes the agent's own voice from the microphone signal.

Browsers cancel echo themselves; other clients do not, and not every loudspeaker allows it. Playback
times are unknown, so the delay is found by cross-correlation, a short filter by least squares, and
the predicted echo is subtracted. Speech of the user remains.
"""

from dataclasses import dataclass

import numpy as np

from data.audio import SAMPLE_RATE

_COARSE = 3  # samples at 24 kHz to one of the search, at 8 kHz
_SENT_S = 6.0  # of sent audio that may still return
_HEARD_S = 0.5
_SEARCH_EVERY = SAMPLE_RATE // 25
# Length of the search template, and the minimum correlation.
_SEARCHES = ((int(0.16 * SAMPLE_RATE), 0.7), (int(0.4 * SAMPLE_RATE), 0.5))
_TAPS, _EARLY = 960, 24  # filter length: 40 ms, 1 ms of it before the delay found
_FIT_EVERY = SAMPLE_RATE // 10
_EXPLAINED = 0.25  # maximum residual energy share for audio to count as echo
_GATE = 0.2  # residual share below which there is only echo, and all is muted
_AUDIBLE = 10 ** (-60 / 20)
_LOST_S = 0.5
_RIDGE = 1e-4


class Recent:
    """A ring buffer of the last samples of a stream, by index."""

    def __init__(self, seconds: float) -> None:
        self.end = 0
        self._kept = np.zeros(int(seconds * SAMPLE_RATE), np.float32)

    def push(self, samples: np.ndarray) -> None:
        """Appends samples [n]."""
        self._kept = np.concatenate([self._kept, samples])[-len(self._kept) :]
        self.end += len(samples)

    def read(self, first: int, last: int) -> np.ndarray:
        """Samples [last - first]; zeros where missing or overwritten."""
        out = np.zeros(last - first, np.float32)
        start = self.end - len(self._kept)
        low, high = max(first, start), min(last, self.end)
        if low < high:
            out[low - first : high - first] = self._kept[low - start : high - start]
        return out


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
        self._sent, self._heard = Recent(_SENT_S), Recent(_HEARD_S)
        self._path: _Path | None = None
        self._heard_at_sending = 0
        self._searched = self._fitted = 0

    def sent(self, samples: np.ndarray, anew: bool = False) -> None:
        """Takes sent samples [n]; `anew`: not contiguous with the previous ones."""
        if anew:
            self._path = None
        self._sent.push(samples)
        self._heard_at_sending = self._heard.end

    def clean(self, samples: np.ndarray) -> np.ndarray:
        """Takes the microphone's next samples [n]; returns them without the echo."""
        self.found = False
        start = self._heard.end
        self._heard.push(samples)
        if self._heard.end - self._heard_at_sending > _SENT_S * SAMPLE_RATE or not self._sent.end:
            self._path = None
            return samples
        path, now = self._path, self._heard.end
        fits = path is not None and now - path.last_heard < 2 * _SEARCH_EVERY
        if not fits and now - self._searched >= _SEARCH_EVERY:
            self._searched = now
            found = self._search()
            # Even at the same delay: ducking changes the echo's level, and the filter must be
            # refitted.
            self.found = found is not None
            self._path = found or path
        return samples if self._path is None else self._without_echo(self._path, samples, start)

    def _search(self) -> _Path | None:
        for length, needed in _SEARCHES:
            heard = self._heard.read(self._heard.end - length, self._heard.end)
            if np.sqrt(np.mean(heard**2)) < _AUDIBLE:
                continue
            sent_from = self._sent.end - int(_SENT_S * SAMPLE_RATE)
            sent = self._sent.read(sent_from, self._sent.end)
            at, likeness = _place(_coarse(heard), _coarse(sent))
            if likeness < needed:
                continue
            delay = self._heard.end - length - (sent_from + _COARSE * at)
            path = _Path(delay, np.zeros(_TAPS, np.float32), self._heard.end)
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
        cross = np.fft.irfft(np.fft.rfft(heard, size) * sent_spectrum.conj(), size)[:_TAPS]
        if own[0] < length * _AUDIBLE**2:
            return 1.0
        own[0] *= 1 + _RIDGE
        taps = solve_toeplitz(own, cross).astype(np.float32)
        left = heard - np.convolve(sent, taps, "valid")
        share = float(np.sum(left**2) / (np.sum(heard**2) + 1e-9))
        if share < 0.9:
            path.taps = taps
        return share

    def _aligned(self, path: _Path, first: int, length: int) -> np.ndarray:
        """The sent audio [length + _TAPS - 1] for microphone samples from `first` on."""
        at = first - path.delay + _EARLY
        return self._sent.read(at - _TAPS + 1, at + length)

    def _without_echo(self, path: _Path, samples: np.ndarray, start: int) -> np.ndarray:
        if self._heard.end - self._fitted >= _FIT_EVERY:
            self._fitted = self._heard.end
            if self._fit(path, _SEARCHES[1][0]) < _EXPLAINED:
                path.last_heard = self._heard.end
        predicted = np.convolve(self._aligned(path, start, len(samples)), path.taps, "valid")
        left = samples - predicted
        before, after = float(np.sum(samples**2)), float(np.sum(left**2))
        if np.sum(predicted**2) < len(samples) * _AUDIBLE**2:  # nothing was played
            if self._heard.end - path.last_heard > _LOST_S * SAMPLE_RATE:
                self._path = None
            return samples
        if after < _GATE * before:
            path.last_heard = self._heard.end
            return np.zeros_like(samples)
        if self._heard.end - path.last_heard > _LOST_S * SAMPLE_RATE:
            self._path = None  # the delay has changed, or the echo is gone
        return left if after < before else samples


def _coarse(sound: np.ndarray) -> np.ndarray:
    """Decimated by three and spectrally whitened for a sharper correlation peak."""
    whole = sound[: len(sound) // _COARSE * _COARSE].reshape(-1, _COARSE).mean(axis=1)
    return np.diff(whole, prepend=whole[:1])


def _place(sought: np.ndarray, sound: np.ndarray) -> tuple[int, float]:
    """The most likely offset of `sought` [n] in `sound` [m], and the correlation there."""
    size = 1 << (len(sound) + len(sought)).bit_length()
    spectrum = np.fft.rfft(sound, size) * np.fft.rfft(sought, size).conj()
    match = np.fft.irfft(spectrum, size)[: len(sound) - len(sought) + 1]
    total = np.concatenate([[0.0], np.cumsum(sound.astype(np.float64) ** 2)])
    energy = total[len(sought) :] - total[: -len(sought)]
    floor = 1e-3 * float(energy.max()) + 1e-12
    likeness = match / np.sqrt(np.maximum(energy, floor) * (np.sum(sought**2) + 1e-12))
    best = int(np.argmax(likeness))
    return best, float(likeness[best])
