"""`python3 -m models.training.benchmark`: milliseconds per training step in bf16 and fp32.

Models and batches have the bundle's sizes; inputs are noise. Forward, backward and optimiser step
on one thread; medians of CPU time, which other programs do not affect; one JSON object per line.
`speedup` compares the precision chosen here with bf16.

To measure as on an AVX2-only processor, set ATEN_CPU_CAPABILITY=avx2 and ONEDNN_MAX_CPU_ISA=AVX2.
"""

import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from models.mel import MELS_PER_FRAME, NUM_FEATURES
from models.precision import Precision, autocast, choose, precision_on
from models.predictors.gpt_talker import GPTTalker, GPTTalkerConfig
from models.tokenizers.semantic import SemanticConfig, SemanticTokenizer
from models.training.vocoder import VocoderRecipe
from models.vocoder.decoder import Decoder
from models.vocoder.style import StyleConfig, StyleEncoder

_CPU = torch.device("cpu")
_REPEATS = 3

Forward = Callable[[], Tensor]


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    chosen = precision_on(_CPU)
    for name, make in (
        ("style", _style),
        ("tokenizer", _tokenizer),
        ("decoder", _decoder),
        ("gpt-talker", _gpt_talker),
    ):
        torch.manual_seed(0)
        model, forward = make()
        took = {precision: _step_ms(model, forward, precision) for precision in ("fp32", "bf16")}
        row = {f"{precision}_ms": round(ms, 1) for precision, ms in took.items()}
        speedup = round(took["bf16"] / took[chosen], 1)
        print(json.dumps({"model": name, **row, "chosen": chosen, "speedup": speedup}), flush=True)


def _step_ms(model: nn.Module, forward: Forward, precision: Precision) -> float:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    times = []
    choose(precision)
    for repeat in range(-1, _REPEATS):  # one warm-up step
        begun = time.process_time()
        with autocast(_CPU):
            loss = forward().float().square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if repeat >= 0:
            times.append(1000 * (time.process_time() - begun))
    choose("auto")
    return statistics.median(times)


def _style() -> tuple[nn.Module, Forward]:
    model = StyleEncoder(StyleConfig())
    features = torch.randn(48, 50 * MELS_PER_FRAME, NUM_FEATURES)
    return model, lambda: model(features)


def _tokenizer() -> tuple[nn.Module, Forward]:
    model = SemanticTokenizer(SemanticConfig())
    features = torch.randn(16, 80 * MELS_PER_FRAME, NUM_FEATURES)
    return model, lambda: model.read(model.quantise(features)[0])[0]


def _decoder() -> tuple[nn.Module, Forward]:
    config = VocoderRecipe().decoder
    model = Decoder(config)
    latents = torch.randn(5, 48, config.latent_dim)
    style = torch.randn(5, config.style_dim)
    f0 = torch.full((5, 48 * MELS_PER_FRAME), 150.0)
    return model, lambda: model(latents, style, f0=f0)[0]


def _gpt_talker() -> tuple[nn.Module, Forward]:
    config = GPTTalkerConfig()
    model = GPTTalker(config)
    embedded = torch.randn(2, 1280, config.dim)
    return model, lambda: model(embedded)


if __name__ == "__main__":
    main()
