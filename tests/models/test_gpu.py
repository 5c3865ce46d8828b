"""The models on a GPU behave as on the CPU."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.omni import Omni
from models.speaker import Speaker, SpeakOptions
from tests.tiny import save_tiny

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]

TEXT = "The train was late. Nobody minded."


def said(speaker: Speaker, predictor: str) -> np.ndarray:
    """A reply in a cloned voice to a typed turn and one with audio."""
    sound = 0.1 * np.random.default_rng(0).standard_normal(48_000).astype(np.float32)
    dialogue = speaker.open_dialogue(predictor)
    speaker.hear(dialogue, 0, "Hello there.", None)
    speaker.hear(dialogue, 0, "How was it?", sound)
    for _ in range(2):  # the second has the first in its history
        reply = speaker.speak(dialogue, TEXT, speaker.clone(sound), SpeakOptions(seed=1))
        for _ in reply:
            pass
        reply.commit()
    return reply.samples()


@pytest.mark.parametrize("predictor", ["gpt-talker", "ham-tts", "flow-omni"])
def test_a_dialogue_is_answered(predictor: str, tmp_path: Path) -> None:
    speaker = Speaker.load(save_tiny(tmp_path), device="cuda")
    first, again = said(speaker, predictor), said(speaker, predictor)
    assert len(first) > 4800 and np.isfinite(first).all() and first.std() > 0
    assert np.array_equal(first, again)


def test_speech_to_speech(tmp_path: Path) -> None:
    speaker = Speaker.load(save_tiny(tmp_path), device="cuda")
    omni = Omni.load(speaker, tmp_path)
    sound = 0.1 * np.random.default_rng(0).standard_normal(24_000).astype(np.float32)
    thought = omni.think([omni.exchange(0, "", sound)], seed=1)
    assert isinstance("".join(thought), str) and thought.states
