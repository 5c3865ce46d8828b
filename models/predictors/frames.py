"""Typed frames of a turn's audio, 25 Hz."""

from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from torch import Tensor

FrameKind = Literal["semantic", "acoustic", "latent"]


@dataclass(frozen=True, eq=False)
class Frames:
    """A sequence of frames of one kind: one of the subclasses below; `values` is `[T, ...]`."""

    values: Tensor
    kind: ClassVar[FrameKind]

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, chosen: Tensor | slice) -> Self:
        return type(self)(self.values[chosen])


class SemanticCodes(Frames):
    """Codes of the semantic tokenizer, `[T]`."""

    kind = "semantic"


class AcousticCodes(Frames):
    """First-level codes of the acoustic tokenizer, `[T]`."""

    kind = "acoustic"


class Latents(Frames):
    """Autoencoder latents, not normalised, `[T, latent_dim]`."""

    kind = "latent"
