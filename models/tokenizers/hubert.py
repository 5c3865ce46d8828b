"""HuBERT features (arXiv 2106.07447), from weights on this machine."""

import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import torchaudio
from torch import Tensor, nn

from data.errors import InputError, MissingModelError
from models.mel import FRAME_SAMPLES, SAMPLE_RATE

HUBERT_HZ = 16_000
_FRAMES = 2  # HuBERT frames per frame
_HOP = FRAME_SAMPLES * HUBERT_HZ // SAMPLE_RATE // _FRAMES
_WINDOW = 400  # receptive field of a frame's convolutions, in samples
_NEEDED = (
    "HuBERT needs the transformers package; "
    "install it with: .venv/bin/pip install 'transformers>=5.24'"
)


class Hubert(nn.Module):
    """The last hidden layer of a HuBERT at 25 Hz: the mean of each pair of frames.

    Args:
        folder: saved by `transformers` as a `HubertModel`: `config.json`, weights as safetensors
            and, optionally, `preprocessor_config.json`.

    Raises:
        MissingModelError: `transformers` is not installed.
        InputError: the folder has no HuBERT.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        try:
            from transformers import HubertModel  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise MissingModelError(_NEEDED) from None
        if not (folder / "config.json").is_file():
            raise InputError(f"{folder} holds no config.json; give the folder of a HuBERT")
        try:
            self.model: Any = HubertModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
            )
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{folder} holds no HuBERT: {error}") from None
        preprocessor = folder / "preprocessor_config.json"
        facts = json.loads(preprocessor.read_text("utf-8")) if preprocessor.is_file() else {}
        self.normalises = bool(facts.get("do_normalize", True))
        self.eval().requires_grad_(False)

    def forward(self, samples: Tensor, lengths: Tensor) -> Tensor:
        """Samples `[B, T]` at 24 kHz with valid `lengths` `[B]` to features
        `[B, ceil(T / 960), dim]`."""
        whole = F.pad(samples, (0, -samples.shape[1] % FRAME_SAMPLES))
        sound = torchaudio.functional.resample(whole, SAMPLE_RATE, HUBERT_HZ)
        if self.normalises:
            sound = _normalised(sound, lengths * HUBERT_HZ // SAMPLE_RATE)
        around = (_WINDOW - _HOP) // 2  # centres frames on their hops
        features = self.model(F.pad(sound, (around, around))).last_hidden_state
        return features.unflatten(1, (-1, _FRAMES)).mean(2)


def _normalised(sound: Tensor, lengths: Tensor) -> Tensor:
    """Standardises each row over its valid length; 0 in the padding."""
    there = (torch.arange(sound.shape[1], device=sound.device) < lengths[:, None]).float()
    count = there.sum(1, keepdim=True).clamp_min(1.0)
    centred = (sound - (sound * there).sum(1, keepdim=True) / count) * there
    return centred * (centred.square().sum(1, keepdim=True) / count + 1e-7).rsqrt()
