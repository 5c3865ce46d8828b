"""Loads Kokoro's weights as float32 from the 8-bit ONNX export or the published checkpoint."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from data.errors import InputError
from data.synthetic.kokoro.model import Kokoro, KokoroConfig

_LAYER = "bert.encoder.albert_layer_groups.0.albert_layers.0"
_PUBLISHED_NAMES = {
    f"{_LAYER}.attention.query": "bert.query",
    f"{_LAYER}.attention.key": "bert.key",
    f"{_LAYER}.attention.value": "bert.value",
    f"{_LAYER}.attention.dense": "bert.attention_out",
    f"{_LAYER}.attention.LayerNorm": "bert.attention_norm",
    f"{_LAYER}.ffn": "bert.ffn",
    f"{_LAYER}.ffn_output": "bert.ffn_out",
    f"{_LAYER}.full_layer_layer_norm": "bert.layer_norm",
    "bert.encoder.embedding_hidden_mapping_in": "bert.widen",
    "bert.embeddings.LayerNorm": "bert.embedding_norm",
    "bert.embeddings.word_embeddings": "bert.word",
    "bert.embeddings.position_embeddings": "bert.position",
    "bert.embeddings.token_type_embeddings": "bert.kind",
}
_OURS = {ours: published for published, ours in _PUBLISHED_NAMES.items()}
_UNUSED = re.compile(r"bert\.pooler\.|\.norm[12]?\.norm\.|adain[12]\.\d\.norm\.|position_ids$")


def from_checkpoint(path: Path) -> dict[str, Tensor]:
    """The state dict of `Kokoro` from the published `kokoro-v1_0.pth`, with weight norm folded.

    Raises:
        InputError: the file is not that checkpoint.
    """
    try:
        # weights_only: reads tensors only
        parts = torch.load(path, map_location="cpu", weights_only=True)
        flat = {
            f"{part}.{name.removeprefix('module.')}": value
            for part, state in parts.items()
            for name, value in state.items()
        }
    except Exception as error:
        raise InputError(
            f"{path} is not Kokoro's published checkpoint ({type(error).__name__}: {error}); "
            "give the folder with kokoro-v1_0.pth, config.json and voices/"
        ) from None
    state = {}
    for name, value in flat.items():
        module, _, kind = name.rpartition(".")
        if _UNUSED.search(name) or kind == "weight_v":
            continue
        if kind == "weight_g":
            direction = flat[f"{module}.weight_v"]
            norm = direction.flatten(1).norm(dim=1).view(value.shape)
            value, kind = direction * (value / norm), "weight"
        state[f"{_PUBLISHED_NAMES.get(module, module)}.{kind}"] = value.float()
    return state


def from_onnx(path: Path, config: KokoroConfig | None = None) -> dict[str, Tensor]:
    """The state dict of `Kokoro` from the 8-bit ONNX export, dequantised to float32.

    Raises:
        InputError: the file is not that export.
    """
    graph = _Graph(path)
    with torch.device("meta"):
        network = Kokoro(config or KokoroConfig())
    state: dict[str, Tensor] = {}
    for name, module in network.named_modules():
        published = _OURS.get(name, name)
        if isinstance(module, nn.LSTM):
            values = graph.lstm(published)
        else:
            own = [key for key, _ in module.named_parameters(recurse=False)]
            values = {key: graph.tensor(f"{published}.{key}") for key in own}
        state |= {f"{name}.{key}": torch.from_numpy(value) for key, value in values.items()}
    return state


def build(state: dict[str, Tensor], device: str, config: KokoroConfig | None = None) -> Kokoro:
    """The network with these weights, ready for inference.

    Raises:
        InputError: weights are missing, unexpected or of another shape.
    """
    with torch.device("meta"):
        network = Kokoro(config or KokoroConfig())
    network.decoder.generator.window = torch.hann_window(20)
    try:
        network.load_state_dict(state, strict=True, assign=True)
    except RuntimeError as error:
        raise InputError(f"these are not the weights of Kokoro v1.0: {error}"[:400]) from None
    return network.requires_grad_(False).eval().to(device)


class _Graph:
    """The weights in an ONNX file by the names of the published modules.

    Biases and other parameters have their own names. Weights are constants read by a node: the
    node's path gives the module. Zero points are found by the node's inputs, since equal constants
    are stored once, under an arbitrary name.
    """

    def __init__(self, path: Path) -> None:
        import onnx
        from onnx import numpy_helper

        try:
            graph = onnx.load(str(path)).graph
        except Exception as error:
            raise InputError(
                f"{path} is not an ONNX file ({type(error).__name__}: {error}); download it again: "
                "launch.py data teacher"
            ) from None
        self._path = path
        self._values = {value.name: value for value in graph.initializer}
        self._array = lambda name: numpy_helper.to_array(self._values[name])
        self._nodes: dict[str, Any] = {}
        for node in graph.node:
            if node.op_type in _WEIGHTED and any(map(self._is_weight, node.input)):
                self._nodes.setdefault(_module_of(node.name), node)

    def tensor(self, name: str) -> np.ndarray:
        """A weight or bias by its published name, in PyTorch's layout."""
        for stored in (f"encoder.{name}", f"decoder.{name}"):
            if stored in self._values:
                return self._array(stored).astype(np.float32)
        module, _, kind = name.rpartition(".")
        if kind != "weight" or module not in self._nodes:
            raise InputError(f"{self._path} has no {name}; it is not the export of Kokoro v1.0")
        node = self._nodes[module]
        stored = next(filter(self._is_weight, node.input))
        value = self._array(stored).astype(np.float32)
        if stored.endswith(_QUANTISED):
            base = stored.removesuffix(_QUANTISED)
            integer = node.op_type.endswith("Integer") and len(node.input) > 3
            zero = node.input[3] if integer else f"{base}_zero_point"
            value = (value - self._zero(zero)) * self._array(f"{base}_scale").astype(np.float32)
        return np.ascontiguousarray(value.T if node.op_type.startswith("MatMul") else value)

    def lstm(self, module: str) -> dict[str, np.ndarray]:
        """The parameters of a single-layer bidirectional LSTM."""
        if module not in self._nodes:
            raise InputError(f"{self._path} has no {module}; it is not the export of Kokoro v1.0")
        inputs = self._nodes[module].input
        found = {}
        for position, kind in ((1, "ih"), (2, "hh")):
            scale, zero = (self._array(inputs[6 + 2 * position + k]) for k in (0, 1))
            scale, zero = (value.astype(np.float32).reshape(2, 1, -1) for value in (scale, zero))
            weights = (self._array(inputs[position]).astype(np.float32) - zero) * scale
            biases = self._array(inputs[3]).astype(np.float32).reshape(2, 2, -1)
            for direction, end in enumerate(("", "_reverse")):
                found[f"weight_{kind}_l0{end}"] = _torch_gates(weights[direction].T)
                found[f"bias_{kind}_l0{end}"] = _torch_gates(biases[direction, position - 1])
        return found

    def _is_weight(self, name: str) -> bool:
        if name not in self._values:
            return False
        floating = 1  # onnx.TensorProto.FLOAT
        many = int(np.prod(self._values[name].dims)) > 1
        return many and (name.endswith(_QUANTISED) or self._values[name].data_type == floating)

    def _zero(self, name: str) -> np.ndarray | float:
        return self._array(name).astype(np.float32) if name in self._values else 0.0


_QUANTISED = "_quantized"
_WEIGHTED = frozenset(
    "MatMulInteger ConvInteger Conv ConvTranspose MatMul Gather DynamicQuantizeLSTM".split()
)


def _module_of(node: str) -> str:
    """ "/encoder/text_encoder/cnn.0/cnn.0.0/Conv_quant" -> "text_encoder.cnn.0.0"."""
    kept: list[str] = []
    for part in node.strip("/").split("/")[1:-1]:
        if kept and part.startswith(f"{kept[-1]}."):
            kept.pop()
        kept.append(part)
    path = ".".join(kept).removeprefix("decoder.") if kept[:1] == ["decoder"] else ".".join(kept)
    path = f"decoder.{path}" if node.startswith("/decoder/") else path
    return f"predictor.{path}" if re.match(r"(F0|N)[._]|shared$", path) else path


def _torch_gates(value: np.ndarray) -> np.ndarray:
    """Reorders LSTM gates from ONNX (input, output, forget, cell) to PyTorch (i, f, c, o)."""
    entry, out, forget, cell = np.split(value, 4)
    return np.concatenate([entry, forget, cell, out])
