"""Tiny models with random weights as fixtures."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from models.predictors.dialogue_model import DialogueModel
from models.predictors.frames import Latents, SemanticCodes
from models.predictors.sequence import Segment
from models.predictors.table import PREDICTORS
from models.speaker import Speaker
from models.text import SYMBOLS
from models.vocoder.acoustic_decoder import AcousticDecoder
from models.vocoder.decoder import Decoder
from models.vocoder.prior import Prior
from tests.tiny import CONFIGS, STYLE, tiny, tiny_speaker


@pytest.fixture(params=PREDICTORS)
def talker(request: pytest.FixtureRequest) -> DialogueModel:
    return tiny(request.param)


@pytest.fixture
def prior() -> Prior:
    return tiny("prior")


@pytest.fixture(params=["prior", "acoustic-decoder"])
def latents_of(request: pytest.FixtureRequest) -> Prior | AcousticDecoder:
    return tiny(request.param)


@pytest.fixture(params=[(480, 2), (960, 1)], ids=["20 ms", "40 ms"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Decoder:
    window, filters = request.param
    config = replace(CONFIGS["decoder"], window=window, filters=filters)
    monkeypatch.setitem(CONFIGS, "decoder", config)
    return tiny("decoder")


@pytest.fixture(params=PREDICTORS)
def speaker(request: pytest.FixtureRequest) -> Speaker:
    return tiny_speaker(request.param)


@pytest.fixture
def segments(request: pytest.FixtureRequest) -> list[Segment]:
    """A turn without sound, and two sentences of one with sound, as codes or latents, whichever the
    test's `talker` uses."""
    used = "talker" in request.fixturenames
    continuous = used and request.getfixturevalue("talker").frames == "latent"
    generator = torch.Generator().manual_seed(5)

    def units(count: int) -> torch.Tensor:
        fields = torch.randint(0, 2, (count, 3), generator=generator)
        fields[:, 0] = torch.randint(4, len(SYMBOLS), (count,), generator=generator)
        return fields

    def sound(count: int, frames: int) -> dict[str, Any]:
        return {
            "plan": torch.randint(0, 16, (4,), generator=generator),
            "frames": Latents(torch.randn(frames, 8, generator=generator))
            if continuous
            else SemanticCodes(torch.randint(0, 16, (frames,), generator=generator)),
            "pointer": torch.arange(frames) * count // frames,
        }

    style = torch.randn(STYLE, generator=generator)
    return [
        Segment(0, False, units(5), style),
        Segment(1, False, units(7), style, **sound(7, 15)),
        Segment(1, True, units(4), style, **sound(4, 9)),
    ]
