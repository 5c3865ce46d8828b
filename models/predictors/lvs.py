"""HAM-TTS's latent variable sequence: acoustic detail of each phone beyond its identity."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.predictors.units import valid_units

_NEAR_UNITS = 2  # attention window of a phone, in units to each side


class Aligner(nn.Module):
    """Infers a latent per phone from the audio; for training only.

    Blocks of residual convolution, RMSNorm and cross-attention from the phones to the refined units
    of a self-supervised encoder, which carry no speaker identity (HAM-TTS, arXiv 2403.05989,
    section 3.1). Unlike the paper, a phone attends only to frames whose pointer is on it or a
    neighbour: with little data, attention does not learn the alignment.
    """

    def __init__(
        self, num_refined: int, dim: int, lvs_dim: int, depth: int, num_heads: int
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.refined = nn.Embedding(num_refined, dim)
        self.convs = nn.ModuleList(nn.Conv1d(dim, dim, 5, padding=2) for _ in range(depth))
        self.query_norms = nn.ModuleList(nn.RMSNorm(dim) for _ in range(depth))
        self.key_norms = nn.ModuleList(nn.RMSNorm(dim) for _ in range(depth))
        self.queries = nn.ModuleList(nn.Linear(dim, dim) for _ in range(depth))
        self.keys = nn.ModuleList(nn.Linear(dim, 2 * dim) for _ in range(depth))
        self.outs = nn.ModuleList(nn.Linear(dim, dim) for _ in range(depth))
        self.leave = nn.Linear(dim, lvs_dim)

    def forward(self, texts: Tensor, refined: Tensor, pointer: Tensor) -> Tensor:
        """Latents `[S, N, lvs_dim]`.

        Args:
            texts: phone vectors `[S, N, dim]`.
            refined: refined unit of each frame, `[S, T]`.
            pointer: unit under the pointer, `[S, T]`; -1 in the padding.
        """
        frames = self.refined(refined)
        phones = torch.arange(texts.shape[1], device=texts.device)
        near = (phones[None, :, None] - pointer[:, None, :]).abs() <= _NEAR_UNITS
        near &= (pointer >= 0)[:, None]
        # A skipped phone with no frame in its window attends to the whole segment.
        near |= ~near.any(-1, keepdim=True)
        h = texts
        for index in range(len(self.convs)):
            frames = frames + F.gelu(self.convs[index](frames.transpose(1, 2)).transpose(1, 2))
            query = self._heads(self.queries[index](self.query_norms[index](h)))
            key, value = self.keys[index](self.key_norms[index](frames)).chunk(2, dim=-1)
            found = F.scaled_dot_product_attention(
                query, self._heads(key), self._heads(value), attn_mask=near[:, None]
            )
            h = h + self.outs[index](found.transpose(1, 2).flatten(2))
        return self.leave(h)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


class LVSPredictor(nn.Module):
    """Predicts the aligner's latents `[S, N, lvs_dim]` from phones `[S, N, dim]` with `lengths`
    `[S]` (HAM-TTS, section 3.1)."""

    def __init__(self, dim: int, lvs_dim: int, depth: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv1d(dim, dim, 5, padding=2) for _ in range(depth))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(depth))
        self.leave = nn.Linear(dim, lvs_dim)

    def forward(self, texts: Tensor, lengths: Tensor) -> Tensor:
        valid = valid_units(lengths, texts.shape[1])
        valid = valid[..., None]
        h = texts
        for conv, norm in zip(self.convs, self.norms, strict=True):
            h = h + F.gelu(conv((norm(h) * valid).transpose(1, 2)).transpose(1, 2))
        return self.leave(h)


class Fusion(nn.Module):
    """Fuses phones `[S, N, dim]` and latents `[S, N, lvs_dim]` by a residual convolution (HAM-TTS,
    section 3.2)."""

    def __init__(self, dim: int, lvs_dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(dim + lvs_dim, dim, 3, padding=1)

    def forward(self, texts: Tensor, latents: Tensor, lengths: Tensor) -> Tensor:
        valid = valid_units(lengths, texts.shape[1])
        valid = valid[..., None]
        both = torch.cat([texts, latents.to(texts.dtype)], dim=-1) * valid
        return (texts + self.conv(both.transpose(1, 2)).transpose(1, 2)) * valid
