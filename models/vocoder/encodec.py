"""EnCodec in place of posterior and decoder, with the same frames and streaming interface."""

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from encodec import EncodecModel
from encodec.modules import SLSTM, SConv1d, SConvTranspose1d
from encodec.modules.seanet import SEANetResnetBlock
from safetensors.torch import load_file
from torch import Tensor, nn

from data.errors import InputError
from models.mel import FRAME_SAMPLES

FILE = "encodec"  # file name of its weights
HOP_SAMPLES = 320
STEPS = FRAME_SAMPLES // HOP_SAMPLES  # EnCodec steps per frame
SIZE = 128  # channels of EnCodec's latents
KBPS = (1.5, 3.0, 6.0, 12.0, 24.0)
_LOG_VARIANCE = -12.0  # the encoder is deterministic
_HELD_FRAMES = 2  # the first convolution reflects six steps


@dataclass(frozen=True)
class EncodecConfig:
    """`kbps` is the bitrate: 0.75 per level of 1024 codes."""

    kbps: float = 6.0
    latent_dim: int = STEPS * SIZE

    @property
    def num_levels(self) -> int:
        """Number of EnCodec's quantiser levels at each of its steps."""
        return round(self.kbps / 0.75)


def empty_encodec() -> EncodecModel:
    """EnCodec 24 kHz with random weights."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*weight_norm", FutureWarning)
        return EncodecModel.encodec_model_24khz(pretrained=False)


def read_encodec(path: Path) -> EncodecModel:
    """Loads EnCodec 24 kHz (arXiv 2210.13438) from published weights or safetensors.

    Raises:
        InputError: the file is missing or holds other weights.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; give EnCodec's 24 kHz weights")
    model = empty_encodec()
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(state)
    except Exception as error:
        raise InputError(
            f"{path} does not hold the weights of EnCodec 24 kHz ({str(error)[:80]})"
        ) from None
    return model.eval().requires_grad_(False)


class EncodecLatents(nn.Module):
    """Maps samples to EnCodec's unquantised latents, three 13 ms steps concatenated per frame,
    `[B, T, 384]` at 25 Hz. Same interface as `Posterior`.
    """

    def __init__(self, model: EncodecModel, config: EncodecConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = model.encoder

    def features(self, samples: Tensor) -> Tensor:
        """The identity: EnCodec reads raw samples."""
        return samples

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Samples `[B, T]` to mean and log-variance `[B, ceil(T / 960), 384]`."""
        samples = F.pad(samples, (0, -samples.shape[1] % FRAME_SAMPLES))
        with torch.autocast(samples.device.type, enabled=False):
            steps = self.encoder(samples[:, None].float()).transpose(1, 2)
        mean = steps.unflatten(1, (-1, STEPS)).flatten(2)
        return mean, torch.full_like(mean, _LOG_VARIANCE)

    @torch.inference_mode()
    def encode(self, samples: Tensor) -> Tensor:
        """Samples `[B, T]` at 24 kHz to latents `[B, ceil(T / 960), 384]`."""
        return self(samples)[0]


@dataclass
class EncodecState:
    """State of a stream: held-back frames, and each layer's past input.

    A layer is absent from `layers` until its first chunk.
    """

    waiting: Tensor
    layers: dict[str, Any] = field(default_factory=dict)


class EncodecDecoder(nn.Module):
    """Maps latents `[B, T, 384]` at 25 Hz to samples `[B, 960 T]`, delayed by `delay_samples` (80
    ms), like `Decoder`; the result does not depend on the chunking.

    The published decoder runs offline. All its layers are causal, so streaming needs only their
    past inputs; reflection padding at the start needs future frames, which is why frames are held
    back. The latents carry the voice; the style is ignored.
    """

    delay_samples = _HELD_FRAMES * FRAME_SAMPLES
    supports_pitch_rate = False

    def __init__(self, model: EncodecModel, config: EncodecConfig) -> None:
        super().__init__()
        self.config = config
        self.model = model.decoder.model

    def init_state(
        self,
        batch: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> EncodecState:
        return EncodecState(torch.zeros(batch, 0, self.config.latent_dim, dtype=dtype).to(device))

    def forward(
        self,
        latents: Tensor,
        style: Tensor,
        state: EncodecState | None = None,
        pitch: Tensor | float = 1.0,
    ) -> tuple[Tensor, None]:
        """Decodes a chunk; arguments as in `Decoder.forward`."""
        assert not isinstance(pitch, Tensor) and pitch == 1.0
        if state is None:
            state = self.init_state(latents.shape[0], latents.device)
        together = torch.cat([state.waiting, latents], dim=1)
        ready = max(0, together.shape[1] - _HELD_FRAMES)
        silent = (latents.shape[1] - ready) * FRAME_SAMPLES
        state.waiting = together[:, ready:]
        made = self._decode(together[:, :ready], together, state)
        return F.pad(made, (silent, 0)), None

    def flush(self, state: EncodecState) -> Tensor:
        """The last `delay_samples` samples, from the held-back frames."""
        held, state.waiting = state.waiting, state.waiting[:, :0]
        made = self._decode(held, held, state)
        return F.pad(made, (self.delay_samples - made.shape[1], 0))

    def _decode(self, frames: Tensor, seen: Tensor, state: EncodecState) -> Tensor:
        """Decodes `frames`; `seen` starts with them and extends beyond."""
        if not frames.shape[1]:
            return frames.new_zeros(len(frames), 0)
        if not state.layers:
            first = cast(SConv1d, self.model[0])
            state.layers["0"] = _mirrored(_steps(seen), _reach(first))
        return self._run(self.model, _steps(frames), state.layers, "")[:, 0]

    def _run(self, module: nn.Module, x: Tensor, layers: dict[str, Any], name: str) -> Tensor:
        """Runs a layer or container on `[B, C, T]`; `name` is its path in the decoder."""
        if isinstance(module, SConv1d):
            reach = _reach(module)
            context = layers[name] if name in layers else _mirrored(x, reach)
            wide = torch.cat([context, x], dim=-1)
            layers[name] = wide[..., wide.shape[-1] - reach :]
            return module.conv(wide)
        if isinstance(module, SConvTranspose1d):
            # Each input spreads over two strides, so the previous one is processed again.
            stride = cast(nn.ConvTranspose1d, module.convtr.convtr).stride[0]
            before = layers.get(name, x[..., :0])
            layers[name] = x[..., -1:]
            made = module.convtr(torch.cat([before, x], dim=-1))
            start = before.shape[-1] * stride
            return made[..., start : start + x.shape[-1] * stride]
        if isinstance(module, SLSTM):
            made, layers[name] = module.lstm(x.permute(2, 0, 1), layers.get(name))
            made = made.permute(1, 2, 0)
            return made + x if module.skip else made
        if isinstance(module, SEANetResnetBlock):
            shortcut = self._run(module.shortcut, x, layers, f"{name}.shortcut")
            return shortcut + self._run(module.block, x, layers, f"{name}.block")
        if isinstance(module, nn.Sequential):
            for place, part in enumerate(module):
                x = self._run(part, x, layers, f"{name}.{place}" if name else str(place))
            return x
        return module(x)


def _steps(frames: Tensor) -> Tensor:
    """Splits frames `[B, T, 384]` into EnCodec's steps `[B, 128, 3 T]`."""
    return frames.unflatten(2, (STEPS, SIZE)).flatten(1, 2).transpose(1, 2)


def _reach(module: SConv1d) -> int:
    conv = cast(nn.Conv1d, module.conv.conv)
    return (conv.kernel_size[0] - 1) * conv.dilation[0]


def _mirrored(x: Tensor, reach: int) -> Tensor:
    """Reflection padding at the start, as in the published decoder."""
    known = F.pad(x, (0, max(0, reach + 1 - x.shape[-1])))
    return known[..., 1 : reach + 1].flip(-1)


assert FRAME_SAMPLES == STEPS * HOP_SAMPLES
