"""Renderers turn a predictor's frames into latents: prior, acoustic decoder, or identity."""

from typing import Any, Protocol

import torch
from torch import Tensor


class Renderer(Protocol):
    """Renders streams of frames as latents, several in one batch.

    Attributes:
        title: its name in error messages.
        lookahead: number of following frames that a frame's rendering needs.
        inventory: symbol inventory of the phones it reads; None if it reads none.
    """

    title: str
    lookahead: int

    @property
    def inventory(self) -> tuple[str, ...] | None: ...

    def init_state(
        self,
        batch: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        guidance: float = 0.0,
    ) -> Any:
        """Initial state of `batch` streams; `guidance` as in `SamplingOptions`."""
        ...

    def __call__(
        self,
        frames: Tensor,
        phones: Tensor,
        style: Tensor,
        state: Any,
        temperature: float,
        last: bool,
    ) -> Tensor:
        """Renders frames as the latents `[B, T', latent_dim]` whose look-ahead is complete.

        Args:
            frames: `[B, T]` or `[B, T, latent_dim]`.
            phones: symbols around the pointer, `[B, T, 3]`.
            style: `[B, style_dim]`.
            state: of `init_state`.
            temperature: of the latents' noise.
            last: no more frames follow.
        """
        ...


class LatentFrames:
    """The identity, for predictors whose frames are latents."""

    title = "nothing"
    lookahead = 0
    inventory = None

    def init_state(
        self,
        batch: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        guidance: float = 0.0,
    ) -> None:
        """Stateless."""

    def __call__(
        self,
        frames: Tensor,
        phones: Tensor,
        style: Tensor,
        state: None,
        temperature: float,
        last: bool,
    ) -> Tensor:
        return frames
