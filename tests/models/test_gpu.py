"""The models on a GPU behave as on the CPU."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.cuda import CudaCapture, try_graph
from models.omni import Omni
from models.pooled_step import BATCH_SIZES
from models.speaker import Speaker, SpeakOptions
from tests.models.test_pooled_step import Pair, churn
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
    speaker.add_turn(dialogue, 0, "Hello there.", None)
    speaker.add_turn(dialogue, 0, "How was it?", sound)
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
    assert speaker.step_graphs(predictor).startswith("on: ")


def test_speech_to_speech(tmp_path: Path) -> None:
    speaker = Speaker.load(save_tiny(tmp_path), device="cuda")
    omni = Omni.load(speaker, tmp_path)
    sound = 0.1 * np.random.default_rng(0).standard_normal(24_000).astype(np.float32)
    thought = omni.think([omni.exchange(0, "", sound)], seed=1)
    assert isinstance("".join(thought), str) and thought.states


def test_a_graph_is_captured() -> None:
    assert try_graph(torch.device("cuda")) == "CUDA graphs work"


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("count", BATCH_SIZES)
@torch.inference_mode()
def test_graphs_equal_eager_steps(count: int, bf16: bool) -> None:
    pair = Pair(count, CudaCapture(torch.device("cuda")), bf16, "cuda")
    for number in range(count):
        pair.open(number % 5)
    for _ in range(3):
        pair.step(list(range(count)))
    assert pair.status == f"on: 1 captured, for batches of {count}"


@pytest.mark.parametrize("seed", range(3))
@torch.inference_mode()
def test_graphs_of_dialogues_that_come_and_go(seed: int) -> None:
    pair = Pair(12, CudaCapture(torch.device("cuda")), device="cuda")
    churn(pair, seed)
    assert pair.status.startswith("on: ")
