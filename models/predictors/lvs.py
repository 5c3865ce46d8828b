"""The latent variable sequence of HAM-TTS: what a phone sounds like, beyond which phone it is."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.predictors.units import valid_units

_NEAR_UNITS = 2  # a phone is shown the sound of its neighbours up to here


class Aligner(nn.Module):
    """Phones and what was heard to a latent vector for each phone; for training only.

    Blocks of a residual convolution, a root-mean-square norm and an attention from the phones to
    the refined units of a self-supervised encoder, which say nothing of whose voice it is (HAM-TTS,
    arXiv 2403.05989, section 3.1). Beyond the paper, a phone attends only to the frames of its own
    and its neighbours' pointer: so little data does not teach attention to align.
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
            texts: the phones' vectors `[S, N, dim]`.
            refined: the refined unit of each frame, `[S, T]`.
            pointer: the phone under the pointer, `[S, T]`; -1 beyond the sound.
        """
        heard = self.refined(refined)
        phones = torch.arange(texts.shape[1], device=texts.device)
        near = (phones[None, :, None] - pointer[:, None, :]).abs() <= _NEAR_UNITS
        near &= (pointer >= 0)[:, None]
        # A phone that the pointer leapt over far from any frame hears the whole sound.
        near |= ~near.any(-1, keepdim=True)
        h = texts
        for index in range(len(self.convs)):
            heard = heard + F.gelu(self.convs[index](heard.transpose(1, 2)).transpose(1, 2))
            query = self._heads(self.queries[index](self.query_norms[index](h)))
            key, value = self.keys[index](self.key_norms[index](heard)).chunk(2, dim=-1)
            found = F.scaled_dot_product_attention(
                query, self._heads(key), self._heads(value), attn_mask=near[:, None]
            )
            h = h + self.outs[index](found.transpose(1, 2).flatten(2))
        return self.leave(h)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


class LVSPredictor(nn.Module):
    """Phones `[S, N, dim]` of `lengths` `[S]` to latents `[S, N, lvs_dim]`, as the aligner would
    find them (HAM-TTS, section 3.1)."""

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
    """Phones `[S, N, dim]` and latents `[S, N, lvs_dim]` to what conditions the language model,
    `[S, N, dim]`: a convolution over both (HAM-TTS, section 3.2), added to the phones."""

    def __init__(self, dim: int, lvs_dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(dim + lvs_dim, dim, 3, padding=1)

    def forward(self, texts: Tensor, latents: Tensor, lengths: Tensor) -> Tensor:
        valid = valid_units(lengths, texts.shape[1])
        valid = valid[..., None]
        both = torch.cat([texts, latents.to(texts.dtype)], dim=-1) * valid
        return (texts + self.conv(both.transpose(1, 2)).transpose(1, 2)) * valid
