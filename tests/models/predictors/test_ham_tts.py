"""HAM-TTS: latent variables and corrupted history."""

import numpy as np
import pytest
import torch

from models.predictors.ham_tts import HamTTS, HamTTSConfig
from models.predictors.sequence import CODE, Segment
from models.training.history_corruption import corrupt_history
from tests.tiny import CONFIGS, tiny


@pytest.fixture
def talker() -> HamTTS:
    return tiny("ham-tts")


@pytest.fixture
def refined(segments: list[Segment]) -> list[torch.Tensor | None]:
    return [
        None if s.frames is None else torch.arange(len(s.frames)) % CONFIGS["ham-tts"].num_refined
        for s in segments
    ]


def texts_of(talker: HamTTS, segments: list[Segment]) -> torch.Tensor:
    lengths = torch.tensor([len(s.units) for s in segments])
    units = torch.nn.utils.rnn.pad_sequence([s.units for s in segments], batch_first=True)
    return talker.encode_texts(units, lengths)


def test_training_texts_mix_predicted_and_aligner_latents(
    talker: HamTTS, segments: list[Segment], refined: list[torch.Tensor | None]
) -> None:
    """Texts get predicted latents or, with sound, sometimes the aligner's."""
    spoken = texts_of(talker, segments)
    told = set()
    for seed in range(20):
        torch.manual_seed(seed)
        taught, error = talker.encode_training_texts(segments, refined)
        assert error > 0
        same = tuple(torch.allclose(a, b, atol=1e-5) for a, b in zip(taught, spoken, strict=True))
        assert same[0], "a turn without sound has no other latents than the predicted ones"
        told.add(same)
    assert len(told) == 4


def test_lvs_error_reaches_the_predictor_alone(
    talker: HamTTS, segments: list[Segment], refined: list[torch.Tensor | None]
) -> None:
    talker.requires_grad_(True)
    talker.encode_training_texts(segments, refined)[1].backward()
    assert all(p.grad is None for p in talker.aligner.parameters())
    assert any(p.grad.abs().max() > 0 for p in talker.lvs.parameters())


def test_code_loss_reaches_the_aligner(
    talker: HamTTS, segments: list[Segment], refined: list[torch.Tensor | None]
) -> None:
    talker.requires_grad_(True)
    torch.manual_seed(0)
    texts, error = talker.encode_training_texts(segments, refined)
    rows = talker.read([segments], texts)
    losses = talker.losses(talker(rows.embedded), rows.positions, error)
    sum(vars(losses).values()).backward()
    assert all(p.grad.abs().max() > 0 for p in talker.aligner.leave.parameters())


def test_aligner_attends_near_the_pointer(talker: HamTTS, segments: list[Segment]) -> None:
    """Audio far after a phone does not affect its latent."""
    sounding = segments[1]
    texts = texts_of(talker, [sounding])
    heard = torch.zeros(1, len(sounding.frames), dtype=torch.long)
    changed = heard.clone()
    changed[0, -1] = 5
    pointer = sounding.pointer[None]
    difference = talker.aligner(texts, heard, pointer) - talker.aligner(texts, changed, pointer)
    assert difference[0, 0].abs().max() == 0
    assert difference[0, -1].abs().max() > 0


def test_inference_needs_no_aligner(talker: HamTTS, segments: list[Segment]) -> None:
    spoken = talker.for_speech().eval()
    assert not any("aligner" in name for name in spoken.state_dict())
    assert torch.equal(texts_of(spoken, segments), texts_of(talker, segments))
    again = HamTTS(spoken.config)
    again.load_state_dict(spoken.state_dict())


def test_ablation_without_latents(segments: list[Segment]) -> None:
    bare = HamTTS(HamTTSConfig(**{**vars(CONFIGS["ham-tts"]), "lvs_dim": 0})).eval()
    assert not any(name.startswith(("aligner", "lvs", "fusion")) for name in bare.state_dict())
    taught, error = bare.encode_training_texts(segments, [None] * len(segments))
    torch.testing.assert_close(taught, texts_of(bare, segments))
    assert error == 0


def test_corrupted_history_has_clean_targets(talker: HamTTS, segments: list[Segment]) -> None:
    clean = talker.read([segments]).positions
    changed = 0
    for seed in range(10):
        (row,) = corrupt_history([segments], 1.0, np.random.default_rng(seed))
        positions = talker.read([row]).positions
        torch.testing.assert_close(positions.code_target, clean.code_target)
        torch.testing.assert_close(positions.advance_target, clean.advance_target)
        at_code = positions.kind == CODE
        changed += int((positions.value != clean.value)[at_code].any())
        assert (positions.value == clean.value)[~at_code].all()
    assert changed >= 8
    assert corrupt_history([segments], 0.0, np.random.default_rng(0)) == [segments]
