"""Tiny models with random weights, for logic."""

import pytest
import torch

from models.predictors.gpt_talker import GPTTalker, GPTTalkerConfig
from models.predictors.sequence import Segment
from models.speaker import Speaker
from models.text import SYMBOLS
from models.tokenizers.semantic import SemanticConfig, SemanticTokenizer
from models.vocoder.decoder import Decoder, DecoderConfig
from models.vocoder.posterior import Posterior, PosteriorConfig
from models.vocoder.prior import Prior, PriorConfig
from models.vocoder.style import StyleConfig, StyleEncoder
from models.voice import Voice

LEVELS = (4, 4)
STYLE = 16


def randomised(module: torch.nn.Module) -> torch.nn.Module:
    """Some weights start at zero, which would hide mistakes."""
    for parameter in module.parameters():
        if parameter.abs().max() == 0:
            torch.nn.init.normal_(parameter, std=0.05)
    return module.eval().requires_grad_(False)


@pytest.fixture
def talker() -> GPTTalker:
    torch.manual_seed(0)
    config = GPTTalkerConfig(
        num_symbols=len(SYMBOLS),
        levels=LEVELS,
        style_dim=STYLE,
        dim=16,
        depth=2,
        num_heads=2,
        ffn_dim=32,
        unit_depth=1,
        max_positions=200,
    )
    return randomised(GPTTalker(config))


@pytest.fixture
def prior() -> Prior:
    torch.manual_seed(1)
    config = PriorConfig(
        num_symbols=len(SYMBOLS),
        levels=LEVELS,
        latent_dim=8,
        style_dim=STYLE,
        symbol_dim=8,
        dim=16,
        depth=2,
        num_couplings=2,
        coupling_dim=16,
        coupling_depth=1,
    )
    return randomised(Prior(config))


@pytest.fixture
def decoder() -> Decoder:
    torch.manual_seed(2)
    config = DecoderConfig(
        latent_dim=8, style_dim=STYLE, frame_dim=16, frame_depth=1, dim=16, depth=2
    )
    return randomised(Decoder(config))


@pytest.fixture
def tokenizer() -> SemanticTokenizer:
    torch.manual_seed(3)
    config = SemanticConfig(
        num_symbols=len(SYMBOLS), dim=16, depth=1, num_heads=2, ffn_dim=32, levels=LEVELS
    )
    return randomised(SemanticTokenizer(config))


@pytest.fixture
def speaker(talker, prior, decoder, tokenizer) -> Speaker:  # noqa: ANN001 - fixtures
    torch.manual_seed(4)
    style = randomised(StyleEncoder(StyleConfig(dim=16, depth=1, style_dim=STYLE)))
    posterior = randomised(Posterior(PosteriorConfig(dim=16, depth=1, latent_dim=8)))
    voices = {
        name: Voice(name, "random", torch.randn(STYLE, generator=torch.Generator().manual_seed(i)))
        for i, name in enumerate(("one", "two"))
    }
    device = torch.device("cpu")
    return Speaker(tokenizer, style, posterior, prior, decoder, talker, voices, device)


@pytest.fixture
def segments() -> list[Segment]:
    """A turn without sound, one with, and a second sentence of it."""
    generator = torch.Generator().manual_seed(5)

    def units(count: int) -> torch.Tensor:
        fields = torch.randint(0, 2, (count, 3), generator=generator)
        fields[:, 0] = torch.randint(4, len(SYMBOLS), (count,), generator=generator)
        return fields

    def sound(count: int, frames: int) -> dict[str, torch.Tensor]:
        return {
            "plan": torch.randint(0, 16, (4,), generator=generator),
            "codes": torch.randint(0, 16, (frames,), generator=generator),
            "pointer": torch.arange(frames) * count // frames,
        }

    style = torch.randn(STYLE, generator=generator)
    return [
        Segment(0, False, units(5), style),
        Segment(1, False, units(7), style, **sound(7, 15)),
        Segment(1, True, units(4), style, **sound(4, 9)),
    ]
