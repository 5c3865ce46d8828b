"""Sampling of the next frame."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kernels.nucleus import nucleus


@dataclass(frozen=True)
class SamplingOptions:
    """Sampling options; each filter is off at its neutral value.

    Attributes:
        temperature: divides the logits; 0 is greedy.
        top_k: keep the k most likely codes (0: all).
        top_p: nucleus sampling: keep the most likely codes up to this probability mass (1: all).
        typical_p: locally typical sampling (arXiv 2202.00666, section 3): keep the codes whose
            information is closest to the entropy, up to this mass (1: all).
        repetition_window: repetition-aware sampling (arXiv 2406.05370, section 3.3): a code that
            makes up more than `repetition_share` of the last `repetition_window` codes is resampled
            without filters (0: off).
        repetition_share: see above.
        duration_spread: spread of phone durations around their medians (1: as the model predicts
            them, 0: none).
        flow_steps: Euler steps per latent (0: the model's default). Latents ignore the filters;
            `temperature` is the variance of their initial noise.
        guidance: classifier-free guidance scale of the latents (1: off, 0: the model's default;
            `models/guidance.py`). For predictors of codes it applies to the renderer.
    """

    temperature: float = 0.2
    top_k: int = 0
    top_p: float = 0.9
    typical_p: float = 1.0
    repetition_window: int = 25
    repetition_share: float = 0.4
    duration_spread: float = 0.2
    flow_steps: int = 0
    guidance: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 2:
            raise ValueError(f"temperature is {self.temperature}; it must be from 0 to 2")
        if not 0 <= self.duration_spread <= 1:
            raise ValueError(f"duration_spread is {self.duration_spread}; it must be from 0 to 1")
        for name in ("top_p", "typical_p"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be over 0, at most 1")
        if not 0 <= self.flow_steps <= 64:
            raise ValueError(f"flow_steps is {self.flow_steps}; it must be from 0 to 64")
        if not (self.guidance == 0 or 1 <= self.guidance <= 3):
            raise ValueError(f"guidance is {self.guidance}; it must be from 1 to 3, or 0")
        if self.top_k < 0:
            raise ValueError(f"top_k is {self.top_k}; it must be 0 (off) or more")


def filtered(logits: Tensor, options: SamplingOptions) -> Tensor:
    """Probabilities `[K]` of logits `[K]` after temperature and filters."""
    temperature = max(options.temperature, 1e-4)
    if not options.top_k and options.typical_p == 1:
        return nucleus(logits.float(), temperature, options.top_p)
    probabilities = (logits.float() / temperature).softmax(-1)
    if options.top_k and options.top_k < len(probabilities):
        threshold = probabilities.topk(options.top_k).values[-1]
        probabilities = torch.where(probabilities >= threshold, probabilities, 0.0)
    if options.top_p < 1:
        order = probabilities.argsort(descending=True)
        probabilities = _keep(probabilities, order, options.top_p)
    if options.typical_p < 1:
        information = -probabilities.clamp_min(1e-12).log()
        entropy = (probabilities * information).sum()
        order = (information - entropy).abs().argsort()
        probabilities = _keep(probabilities, order, options.typical_p)
    return probabilities / probabilities.sum()


def draw(
    logits: Tensor, options: SamplingOptions, generator: torch.Generator, recent: list[int]
) -> int:
    """Samples one code from logits `[K]`; `recent` are the preceding codes, newest last. Runs on
    the CPU, so that a seed gives the same sample on every device, up to the logits."""
    logits = logits.cpu()
    if options.temperature == 0:
        return int(logits.argmax())
    code = pick(filtered(logits, options), generator)
    window = recent[-options.repetition_window :] if options.repetition_window else []
    full = len(window) >= options.repetition_window > 0
    if full and window.count(code) > options.repetition_share * len(window):
        everything = (logits.float() / max(options.temperature, 0.7)).softmax(-1)
        code = pick(everything, generator)
    return code


def pick(weights: Tensor, generator: torch.Generator) -> int:
    """Samples one of K with chances in proportion to `weights` `[K]`, on the CPU, from one uniform
    number; `torch.multinomial` draws K of them, which takes ten times as long.

    Raises:
        ValueError: the weights are not finite, or all 0.
    """
    sums = weights.numpy().cumsum(dtype=np.float64)
    total = sums[-1]
    if not 0 < total < np.inf:
        raise ValueError(f"cannot sample from weights that sum to {total}")
    chance = float(torch.rand(1, generator=generator))
    return int(sums.searchsorted(chance * total, side="right"))


def _keep(probabilities: Tensor, order: Tensor, mass: float) -> Tensor:
    """Keeps the first of `order` up to `mass` of the total, at least one; zeroes the rest."""
    sorted_ = probabilities[order]
    before = sorted_.cumsum(0) - sorted_
    kept = sorted_ * (before < mass * probabilities.sum())
    return torch.zeros_like(probabilities).scatter(0, order, kept)
