"""Flow-Omni's recipe: short context alone, joint training, fine-tuning."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from models.training import flow_omni as recipe
from models.training.corpus import Corpus
from models.training.flow_omni import train_flow_omni
from models.training.job import Job
from models.training.loop import Budget
from tests.models.training.recipes import FLOW_OMNI


def steps_of(work: Path, name: str) -> int:
    lines = (work / name / "log.jsonl").read_text().splitlines()
    return json.loads(lines[-1])["step"]


def steps_of_checkpoint(work: Path, name: str) -> int:
    return int(load_file(work / name / "checkpoint.safetensors")["progress"][0])


def checkpoint(work: Path, name: str) -> dict[str, torch.Tensor]:
    tensors = load_file(work / name / "checkpoint.safetensors")
    return {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}


def test_the_short_context_is_pretrained(
    root: Path, corpus: Corpus, weights: Path, tmp_path: Path
) -> None:
    """The transformer keeps GPT-Talker's weights during pre-training."""
    talker = load_file(weights / "gpt-talker.safetensors")
    train_flow_omni(Job(root, corpus, weights, tmp_path, 1, Budget(20)), FLOW_OMNI)
    assert steps_of(tmp_path, "flow-omni-near") == 40
    assert steps_of(tmp_path, "flow-omni") == 20
    near, both = checkpoint(tmp_path, "flow-omni-near"), checkpoint(tmp_path, "flow-omni")
    name = "transformer.blocks.0.gate_up.weight"
    torch.testing.assert_close(near[name], talker[name].float())
    assert not torch.allclose(near[name], both[name], atol=1e-5)
    assert near["context.hidden.weight"].abs().max() == 0
    assert both["context.hidden.weight"].abs().max() > 0


def test_further_starts_from_the_existing_weights(
    root: Path, corpus: Corpus, weights: Path, tmp_path: Path
) -> None:
    name = "context.ups.0.weight"
    before = checkpoint_of(weights, name)
    train_flow_omni(Job(root, corpus, weights, tmp_path, 1, Budget(1)), FLOW_OMNI, further=True)
    assert not (tmp_path / "flow-omni-near").exists()
    after = checkpoint_of(weights, name)
    # one warm-up step, plus int8 rounding
    assert (after - before).abs().max() < 0.01 + 0.01 * before.abs().max()


def checkpoint_of(weights: Path, name: str) -> torch.Tensor:
    tensors = load_file(weights / "flow-omni.safetensors")
    scale = tensors.get(f"{name}.int8_scale", torch.ones(1)).float()
    return tensors[name].float() * scale.view(-1, 1)


@pytest.mark.parametrize("resume", [False, True])
def test_a_resumed_run_skips_pretraining(
    root: Path, corpus: Corpus, weights: Path, tmp_path: Path, resume: bool
) -> None:
    train_flow_omni(Job(root, corpus, weights, tmp_path, 1, Budget(1)), FLOW_OMNI)
    (tmp_path / "flow-omni-near" / "checkpoint.safetensors").unlink()
    train_flow_omni(Job(root, corpus, weights, tmp_path, 1, Budget(1), resume=resume), FLOW_OMNI)
    assert (tmp_path / "flow-omni-near" / "checkpoint.safetensors").exists() != resume


def test_a_restarted_run_does_not_resume_an_older_one(
    root: Path, corpus: Corpus, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if it ends during pre-training, or before its first checkpoint."""
    train_flow_omni(Job(root, corpus, weights, tmp_path, 1, Budget(1)), FLOW_OMNI)

    def ends(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(recipe, "_pretrain_short_context", ends)
        with pytest.raises(KeyboardInterrupt):
            train_flow_omni(Job(root, corpus, weights, tmp_path, 1, Budget(1)), FLOW_OMNI)
    (tmp_path / "flow-omni" / "log.jsonl").write_text("")  # a run that logs has a folder
    (tmp_path / "flow-omni-near" / "checkpoint.safetensors").unlink()
    train_flow_omni(Job(root, corpus, weights, tmp_path, 1, Budget(1), resume=True), FLOW_OMNI)
    assert steps_of_checkpoint(tmp_path, "flow-omni-near") == 2
