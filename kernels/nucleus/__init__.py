"""Probabilities of codes after a temperature, the rare ones left out (nucleus sampling)."""

from kernels.nucleus.cpu import nucleus
from kernels.nucleus.reference import nucleus_reference

__all__ = ["nucleus", "nucleus_reference"]
