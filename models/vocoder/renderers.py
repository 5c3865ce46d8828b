"""What makes latents of a predictor's frames: the prior, the acoustic decoder, or nothing."""

from typing import Any, Protocol

import torch
from torch import Tensor


class Renderer(Protocol):
    """Streams of frames to latents, several of them as one batch.

    Attributes:
        title: as messages name it.
        inventory: the symbols of phones that it reads; None: it reads none.
    """

    title: str

    @property
    def inventory(self) -> tuple[str, ...] | None: ...

    def init_state(
        self,
        batch: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        guidance: float = 0.0,
    ) -> Any:
        """Where `batch` streams stand before their first frame; `guidance` as in
        `SamplingOptions`."""
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
        """The latents `[B, T', latent_dim]` that are finished, of frames `[B, T]` or `[B, T,
        latent_dim]`, phones around the pointer `[B, T, 3]` and styles `[B, style_dim]`; `last`: no
        more will come."""
        ...


class LatentFrames:
    """The renderer of a predictor whose frames are latents."""

    title = "nothing"
    inventory = None

    def init_state(
        self,
        batch: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        guidance: float = 0.0,
    ) -> None:
        """It keeps nothing."""

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
