"""Detection of CPU capabilities."""

import functools
import os

import llvmlite.binding
import torch

# With AVX-512 but neither of these, oneDNN converts bfloat16 to float32 and back, which takes two
# to three times as long as plain float32.
_X86_BF16 = ("avx512_bf16", "amx_bf16")


@functools.cache
def has_bf16() -> bool:
    """Whether bfloat16 matrix products on the CPU are faster than float32 ones.

    Honours `ONEDNN_MAX_CPU_ISA`. Otherwise PyTorch still accepts bfloat16 but emulates it, 15 to 20
    times slower for convolutions.
    """
    if not torch.backends.mkldnn.is_available():
        return False
    capabilities = torch.cpu.get_capabilities()
    if capabilities["architecture"] == "x86_64" and not any(map(capabilities.get, _X86_BF16)):
        return False
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()


@functools.cache
def compiles_for_avx512() -> bool:
    """Whether Numba compiles for AVX-512. Honours `NUMBA_CPU_FEATURES`."""
    if asked := os.environ.get("NUMBA_CPU_FEATURES"):
        return "+avx512f" in asked
    return llvmlite.binding.get_host_cpu_features().get("avx512f", False)


def chosen_kernels() -> str:
    """Describes the kernels chosen for this CPU."""
    vectors = torch.backends.cpu.get_cpu_capability()
    compiled = "AVX-512" if compiles_for_avx512() else "this CPU (no AVX-512)"
    many = "bfloat16" if has_bf16() else "float32"
    return f"{vectors}: products compiled for {compiled}, 8-bit weights of many rows in {many}"
