"""Writes a network in the formats of Kokoro's ONNX export and published checkpoint."""

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from data.synthetic.kokoro.model import Kokoro
from data.synthetic.kokoro.weights import _OURS

_UNQUANTISED = (nn.ConvTranspose1d,)


class Exporter:
    """Collects nodes and constants with the names of the real export."""

    def __init__(self) -> None:
        self.nodes: list = []
        self.values: dict[str, np.ndarray] = {}

    def add(self, name: str, value: np.ndarray) -> str:
        self.values[name] = value
        return name

    def node(self, kind: str, module: str, inputs: list[str]) -> None:
        graph = "decoder" if module.startswith("decoder.") else "encoder"
        parts = module.split(".")
        if graph == "encoder" and parts[:2] in (["predictor", "F0"], ["predictor", "N"]):
            parts = parts[1:]
        if module in ("predictor.shared", "predictor.F0_proj", "predictor.N_proj"):
            parts = parts[1:]
        nested, path = [], ""
        for part in parts:  # a.0.1 -> a/a.0/a.0.1
            path = f"{path}.{part}" if part.isdigit() and path else part
            nested.append(path)
        name = "/".join(["", graph, *nested, f"{kind}_quant"])
        self.nodes.append(helper.make_node(kind, inputs, [f"out{len(self.nodes)}"], name))

    def quantised(self, name: str, value: np.ndarray, axis: int | None) -> tuple[str, str]:
        """Constants X_quantized and X_scale; returns their names and that of the zero point."""
        low, high = (f(value, axis=axis, keepdims=axis is not None) for f in (np.min, np.max))
        low, high = np.minimum(low, 0), np.maximum(high, 0)
        scale = np.maximum((high - low) / 255, 1e-8).astype(np.float32)
        zero = np.round(-low / scale).clip(0, 255).astype(np.uint8)
        whole = np.round(value / scale + zero).clip(0, 255).astype(np.uint8)
        self.add(f"{name}_scale", scale.squeeze() if axis is not None else scale)
        shared = self.add(f"{name}_zero_point", zero.squeeze() if axis is not None else zero)
        return self.add(f"{name}_quantized", whole), shared

    def save(self, path) -> None:
        values = [numpy_helper.from_array(np.asarray(v), k) for k, v in self.values.items()]
        output = helper.make_tensor_value_info("out0", TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "kokoro", [], [output], values)
        onnx.save(helper.make_model(graph), path)


def export_onnx(network: Kokoro, path) -> None:
    """The network with 8-bit weights, as ONNX Runtime quantises them."""
    out = Exporter()
    for name, module in network.named_modules():
        published = _OURS.get(name, name)
        graph = "decoder" if published.startswith("decoder.") else "encoder"
        own = {k: v.detach().numpy() for k, v in module.named_parameters(recurse=False)}
        if isinstance(module, nn.LSTM):
            _lstm(out, published, own)
            continue
        for kind, value in own.items():
            kept = kind != "weight" or isinstance(module, nn.LayerNorm) or value.size == 1
            if kept:
                out.add(f"{graph}.{published}.{kind}", value)
            elif isinstance(module, _UNQUANTISED):
                out.node("ConvTranspose", published, ["x", out.add(f"fold{published}", value)])
            elif isinstance(module, nn.Embedding):
                whole, _ = out.quantised(f"{graph}.{published}.weight", value, None)
                out.node("Gather", published, [whole, "tokens"])
            elif isinstance(module, nn.Linear):
                whole, zero = out.quantised(f"mm{published}", value.T.copy(), 0)
                out.node("MatMulInteger", published, ["x", whole, "x_zero", zero])
            else:
                whole, zero = out.quantised(f"conv{published}", value, None)
                out.node("ConvInteger", published, ["x", whole, "x_zero", zero])
    out.save(path)


def _lstm(out: Exporter, module: str, own: dict[str, np.ndarray]) -> None:
    def gates(value: np.ndarray) -> np.ndarray:
        entry, forget, cell, last = np.split(value, 4)
        return np.concatenate([entry, last, forget, cell])

    names, facts = [], []
    for kind in ("ih", "hh"):
        both = [gates(own[f"weight_{kind}_l0{end}"]).T for end in ("", "_reverse")]
        low, high = (f(both) for f in (np.min, np.max))
        scale = np.float32((high - low) / 255)
        zero = np.uint8(np.round(-low / scale).clip(0, 255))
        whole = np.round(np.stack(both) / scale + zero).clip(0, 255).astype(np.uint8)
        names.append(out.add(f"{module}.{kind}_quantized", whole))
        facts.append(out.add(f"{module}.{kind}_scale", np.full(2, scale)))
        facts.append(out.add(f"{module}.{kind}_zero_point", np.full(2, zero)))
    biases = [
        np.concatenate([gates(own[f"bias_{kind}_l0{end}"]) for kind in ("ih", "hh")])
        for end in ("", "_reverse")
    ]
    bias = out.add(f"{module}.bias", np.stack(biases))
    out.node("DynamicQuantizeLSTM", module, ["x", *names, bias, "", "h", "c", "", *facts])


def export_checkpoint(network: Kokoro, path) -> None:
    """The network as `kokoro-v1_0.pth`: one state dict per part, convolutions with weight norm."""
    normed = {
        name
        for name, module in network.named_modules()
        if isinstance(module, (nn.Conv1d, nn.ConvTranspose1d)) and "noise_convs" not in name
    }
    parts: dict[str, dict[str, torch.Tensor]] = {}
    for full, value in network.state_dict().items():
        module, _, kind = full.rpartition(".")
        name = f"{_OURS.get(module, module)}.{kind}"
        part, _, rest = name.partition(".")
        state = parts.setdefault(part, {})
        if kind == "weight" and module in normed:
            norm = value.flatten(1).norm(dim=1).view(-1, *[1] * (value.dim() - 1))
            base = rest.removesuffix("weight")
            state[f"module.{base}weight_g"], state[f"module.{base}weight_v"] = norm, 3.0 * value
        else:
            state[f"module.{rest}"] = value
    parts["bert"]["module.pooler.weight"] = torch.zeros(2, 2)  # Kokoro does not use it
    torch.save(parts, path)
