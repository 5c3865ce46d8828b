"""The frames of a turn's sound, typed by what they are; 25 Hz."""

from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from torch import Tensor

FrameKind = Literal["semantic", "acoustic", "latent"]


@dataclass(frozen=True, eq=False)
class Frames:
    """Frames of one kind, one after the other; one of the classes below.

    Attributes:
        values: `[T, ...]`.
    """

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
    """Codes of the acoustic tokenizer's first level, `[T]`."""

    kind = "acoustic"


class Latents(Frames):
    """Latents of the autoencoder, as they are, `[T, latent_dim]`."""

    kind = "latent"
