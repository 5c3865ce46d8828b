"""Separates the overlaps of a two-speaker dialogue with the separation network."""

import numpy as np
import torch
from torch import Tensor

from data.audio import SAMPLE_RATE
from data.ncssd.separator import (
    HEARD,
    HOP_S,
    frames_of,
    inverse,
    load_separator,
    power_of,
    transform,
    unit_of,
)
from data.ncssd.stretches import Span, runs_of

_HOP = round(HOP_S * SAMPLE_RATE)
_CONTEXT = 64  # frames of context around an overlap, 1 s
_LONGEST = 1250  # frames up to which neighbouring overlaps are processed together, 20 s
_BESIDE = 10  # frames around an overlap that are masked too, as its edges are uncertain
_ALONE = 750  # most frames of single speech that characterise a voice, 12 s
_LEAST_ALONE = 60  # least frames
_CLEAR = 8  # frames between single speech and the other speaker


class SeparatedDialogue:
    """A dialogue whose overlaps are separated on construction. The network gets each overlap with
    its context, and each speaker's voice from single speech elsewhere in the dialogue.

    Args:
        samples: `[T]` at 24 kHz.
        segments: [start, end, speaker], in seconds from the first sample.
        device: where the network runs.
    """

    def __init__(
        self, samples: np.ndarray, segments: list[list[float]], device: str = "cpu"
    ) -> None:
        self.samples = samples
        self._device = device
        num = samples.shape[0] // _HOP + 1
        self.active = np.zeros((num, 2), bool)
        for start, end, speaker in segments:
            first = max(0, round(start / HOP_S))
            self.active[first : max(0, round(end / HOP_S)), int(speaker)] = True
        # per frame and speaker: power of the separated signal, and of its expected error
        self._power = np.zeros((num, 2))
        self._error = np.zeros((num, 2))
        self._sounds = [samples, samples]
        alone = [_alone(samples, self.active, speaker) for speaker in (0, 1)]
        if alone[0] is not None and alone[1] is not None:
            self._sounds = [samples.copy(), samples.copy()]
            for first, last in _windows(self.active):
                self._separate(first, last, [alone[0], alone[1]])

    def sound(self, speaker: int) -> np.ndarray:
        """The dialogue `[T]` with the other speaker removed from the overlaps."""
        return self._sounds[speaker]

    def sdr_db(self, speaker: int, start: float, end: float) -> tuple[float, float] | None:
        """The predicted SDR of the overlaps between two times in seconds: in the mixture, and when
        separated; None if nothing was separated."""
        where = slice(max(0, round(start / HOP_S)), round(end / HOP_S))
        both = self.active[where, 1 - speaker]
        own, other = (self._power[where, who][both].sum() for who in (speaker, 1 - speaker))
        error = self._error[where, speaker][both].sum()
        return (_ratio_db(own, other), _ratio_db(own, error)) if own > 0 else None

    @torch.inference_mode()
    def _separate(self, first: int, last: int, alone: list[np.ndarray]) -> None:
        """Separates the frames from `first` to `last`."""
        a, b = first * _HOP, min(last * _HOP, self.samples.shape[0])
        level = np.concatenate([self.samples[a:b], *alone])
        level = float(np.sqrt(np.square(level, dtype=np.float64).mean())) + 1e-5
        model = load_separator(device=self._device)
        spectrum = _spectrum(self.samples[a:b] / level)
        num = spectrum.shape[1] // 2 * 2
        heard = np.zeros((num, 2), np.float32)
        own = self.active[first : first + num]
        heard[: own.shape[0]] = own
        voices = [frames_of(_spectrum(sound / level)).to(self._device) for sound in alone]
        masks = model(
            frames_of(spectrum[:, :num]).to(self._device),
            torch.from_numpy(heard)[None].to(self._device),
            torch.stack([model.profile(frames) for frames in voices], 1),
        )
        masks = masks[0].cpu().transpose(0, 1)[..., unit_of(spectrum.shape[-1])]
        self._expect(first, masks[..., :HEARD], spectrum[0, :num, :HEARD])
        kept = torch.from_numpy(_weights(heard))[..., None]
        parts = spectrum.expand(2, -1, -1).clone()
        parts[:, :num] *= kept * masks + 1 - kept
        for speaker, sound in enumerate(inverse(parts, SAMPLE_RATE, b - a).numpy()):
            self._sounds[speaker][a:b] = sound * level

    def _expect(self, first: int, masks: Tensor, spectrum: Tensor) -> None:
        """Adds the power that masks `[2, T, bins]` keep, and its expected error. If each bin
        belongs to either speaker and masks are right on average, a mask m has the variance
        m (1 - m)."""
        power = power_of(spectrum)
        for values, share in ((self._power, masks.square()), (self._error, masks * (1 - masks))):
            found = (share * power).sum(dim=-1).T.numpy()[: values.shape[0] - first]
            values[first : first + found.shape[0]] = found


def _ratio_db(signal: float, error: float) -> float:
    return 10 * float(np.log10(signal / max(error, 1e-6 * signal)))


def _spectrum(samples: np.ndarray) -> Tensor:
    return transform(torch.from_numpy(samples.astype(np.float32))[None], SAMPLE_RATE)


def _windows(active: np.ndarray) -> list[Span]:
    """Frame ranges to process: overlaps with context, merged where they touch."""
    out: list[Span] = []
    for a, b in runs_of(active[:, 0] & active[:, 1]):
        first, last = max(0, a - _CONTEXT), min(active.shape[0], b + _CONTEXT)
        if out and first < out[-1][1] and last - out[-1][0] <= _LONGEST:
            out[-1] = (out[-1][0], last)
        else:
            out.append((max(first, out[-1][1]) if out else first, last))
    return out


def _weights(heard: np.ndarray) -> np.ndarray:
    """Weights `[2, T]` of each speaker's mask: 0 where they speak alone, so that the background
    stays constant."""
    both = np.convolve(heard.all(axis=1), np.ones(2 * _BESIDE + 1), "same") > 0
    fade = np.hanning(9) / np.hanning(9).sum()
    masked = [both | (heard[:, 1 - speaker] > 0) for speaker in (0, 1)]
    return np.stack([np.convolve(one, fade, "same") for one in masked]).astype(np.float32)


def _alone(samples: np.ndarray, active: np.ndarray, speaker: int) -> np.ndarray | None:
    """A speaker's longest stretches of single speech, `[T]`; None if there is too little."""
    other = np.convolve(active[:, 1 - speaker], np.ones(2 * _CLEAR + 1), "same") > 0
    runs = sorted(runs_of(active[:, speaker] & ~other), key=lambda run: run[0] - run[1])
    kept, frames = [], 0
    for a, b in runs:
        if frames < _ALONE:
            b = min(b, a + _ALONE - frames)
            kept.append((a, b))
            frames += b - a
    if frames < _LEAST_ALONE:
        return None
    return np.concatenate([samples[a * _HOP : b * _HOP] for a, b in sorted(kept)])
