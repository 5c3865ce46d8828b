"""Detection of CPU capabilities."""

import functools

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
def has_only_avx2() -> bool:
    """Whether AVX2 is the widest vector extension of the CPU, as limited by
    `ATEN_CPU_CAPABILITY`."""
    return torch.backends.cpu.get_cpu_capability() == "AVX2"


def chosen_kernels() -> str:
    """Describes the kernels chosen for this CPU."""
    vectors = torch.backends.cpu.get_cpu_capability()
    wide = "panels" if has_only_avx2() else "oneDNN"
    many = "bfloat16" if has_bf16() else "float32"
    return f"{vectors}: float32 products by {wide}, 8-bit weights of many rows in {many}"
