"""Third-party models of audio, all from installed packages.

Each is loaded once per process and runs on one thread: the builder distributes work over the cores,
and results must not depend on the number of workers.
"""

import functools
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data.device import providers
from data.errors import MissingModelError

if TYPE_CHECKING:
    from data.audio.voice_encoder import VoiceEncoder

MOS_SAMPLES = 144_160  # 9.01 s: the input of DNSMOS
_MOS_POLYNOMIAL = (-0.06766283, 1.11546468, 0.04602535)  # raw scores to those of listeners


def package_file(package: str, file: str, install: str) -> Path:
    """The path of a model file inside an installed package, without importing the package.

    Raises:
        MissingModelError: the package or the file is missing.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingModelError(f"{package} is not installed; run: {install}")
    path = Path(next(iter(spec.submodule_search_locations))) / file
    if not path.is_file():
        raise MissingModelError(f"{path} is missing; run: {install} --force-reinstall")
    return path


def silero_path() -> Path:
    return package_file("silero_vad", "data/silero_vad.onnx", "pip install silero-vad")


def dnsmos_path() -> Path:
    return package_file("speechmos", "dnsmos_models/sig_bak_ovr.onnx", "pip install speechmos")


def encoder_path() -> Path:
    return package_file("resemblyzer", "pretrained.pt", "pip install --no-deps resemblyzer")


def onnx_session(path: Path, device: str = "cpu") -> Any:
    """An ONNX Runtime session on one thread, on a device found by `data.device`.

    Raises:
        MissingModelError: ONNX Runtime cannot load what it needs to use the device.
    """
    import onnxruntime

    if device != "cpu":
        onnxruntime.preload_dlls()  # the CUDA libraries that PyTorch's packages have
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    asked = providers(device)
    name = asked[0][0]
    if name in onnxruntime.get_available_providers():
        session = onnxruntime.InferenceSession(str(path), options, providers=asked)
        if session.get_providers()[0] == name:  # it falls back to the CPU by itself
            return session
    raise MissingModelError(
        f"ONNX Runtime cannot load its {name}; install onnxruntime-gpu in place of onnxruntime, "
        "and the CUDA and cuDNN that it needs, or use the device cpu"
    )


@functools.cache
def silero(device: str = "cpu") -> Any:
    return onnx_session(silero_path(), device)


@functools.cache
def silero_sequence() -> Any:
    """The same network for consecutive windows of one stream: `input` [N, 576] at 16 kHz, `h` and
    `c` [1, 1, 128] to N probabilities, `h` and `c`."""
    path = "data/silero_vad_16k_sequence.onnx"
    return onnx_session(package_file("silero_vad", path, "pip install silero-vad"))


@functools.cache
def dnsmos(device: str = "cpu") -> Any:
    return onnx_session(dnsmos_path(), device)


def dnsmos_overall(windows: np.ndarray, device: str = "cpu") -> np.ndarray:
    """DNSMOS overall scores (ITU-T P.835, arXiv 2110.01763), 1 to 5, of windows `[N, MOS_SAMPLES]`
    at 16 kHz."""
    raw = [dnsmos(device).run(None, {"input_1": one[None]})[0][0, 2] for one in windows]
    return np.polyval(_MOS_POLYNOMIAL, raw)


@functools.cache
def voice_encoder() -> "VoiceEncoder":
    """Resemblyzer's network with its published weights."""
    import torch

    from data.audio.voice_encoder import VoiceEncoder, VoiceEncoderConfig

    torch.set_num_threads(1)
    # weights_only: reads tensors only, nothing is unpickled
    state = torch.load(encoder_path(), map_location="cpu", weights_only=True)["model_state"]
    encoder = VoiceEncoder(VoiceEncoderConfig()).eval()
    encoder.load_state_dict({k: v for k, v in state.items() if "similarity" not in k})
    return encoder
