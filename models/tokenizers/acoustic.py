"""The acoustic tokenizer: residual vector quantisation of latents."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from models.checkpoint import load_model


@dataclass(frozen=True)
class AcousticConfig:
    """Sizes of the quantiser."""

    latent_dim: int = 64
    num_levels: int = 8
    num_codes: int = 1024


class AcousticTokenizer(nn.Module):
    """Residual vector quantisation of latents `z`, frame by frame, 25 Hz.

    Each level quantises the residual of the levels before it (SoundStream, arXiv 2107.03312,
    section III.C). Distances are in units of the posterior's deviation (`scale`), so that no codes
    are spent on differences the decoder ignores. Any prefix of levels can be decoded.
    """

    scale: Tensor
    codebooks: Tensor

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        self.config = config
        shape = (config.num_levels, config.num_codes, config.latent_dim)
        self.register_buffer("scale", torch.ones(config.latent_dim))
        self.register_buffer("codebooks", torch.zeros(shape))

    def encode(self, latents: Tensor, num_levels: int | None = None) -> Tensor:
        """Latents `[..., latent_dim]` to codes `[..., num_levels]` (None: all levels)."""
        rest = latents / self.scale
        codes = []
        for codebook in self.codebooks[:num_levels]:
            codes.append(nearest(rest, codebook))
            rest = rest - codebook[codes[-1]]
        return torch.stack(codes, dim=-1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes of the first levels `[..., L]` to latents `[..., latent_dim]`."""
        return self.sums(codes)[..., -1, :] * self.scale

    def sums(self, codes: Tensor) -> Tensor:
        """Codes `[..., L]` to the scaled latents after each level, `[..., L, latent_dim]`."""
        levels = torch.arange(codes.shape[-1], device=codes.device)
        return self.codebooks[levels, codes].cumsum(-2)


def load_acoustic(folder: Path) -> AcousticTokenizer:
    """Loads the fitted acoustic tokenizer.

    Raises:
        MissingModelError: it is missing from `folder`.
    """
    return load_model(folder, "acoustic", AcousticTokenizer, AcousticConfig)


def nearest(points: Tensor, codebook: Tensor) -> Tensor:
    """Indices `[...]` of the nearest vectors in `codebook` `[K, D]` to `points` `[..., D]`."""
    # The points' own norms do not affect the argmin.
    return (codebook.square().sum(-1) - 2 * points @ codebook.T).argmin(-1)
