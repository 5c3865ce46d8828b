"""Nucleus (top-p) sampling probabilities with a temperature."""

from kernels.nucleus.cpu import nucleus
from kernels.nucleus.reference import nucleus_reference

__all__ = ["nucleus", "nucleus_reference"]
