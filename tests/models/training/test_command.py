"""`launch.py train`: what it refuses, and that a bundle begins anew."""

from pathlib import Path

import pytest

from data.errors import MissingModelError
from models.training import command
from models.training.command import main
from models.training.loop import CHECKPOINT


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["tokenizer", "--further"], "--further is for"),
        (["acoustic", "--further"], "--further is for"),
        (["prior", "--distill"], "--distill is for flow-omni"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    root: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([*options, "--data", str(root)])
    assert said in capsys.readouterr().err


def test_going_on_with_what_is_not_there_is_refused(
    root: Path, weights: Path, tmp_path: Path
) -> None:
    for name in ("semantic", "style"):
        for suffix in (".safetensors", ".json"):
            (tmp_path / f"{name}{suffix}").write_bytes((weights / f"{name}{suffix}").read_bytes())
    folders = ["--out", str(tmp_path), "--work", str(tmp_path / "work")]
    with pytest.raises(MissingModelError, match="gpt-talker"):
        main(["gpt-talker", "--further", "--steps", "1", "--data", str(root), *folders])


def test_a_bundle_that_begins_anew_resumes_no_model_of_an_earlier_one(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "work" / "prior" / CHECKPOINT
    old.parent.mkdir(parents=True)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_train_one", stop)
    for options, left in ((["--resume"], True), ([], False)):
        old.write_bytes(b"of an earlier bundle")
        with pytest.raises(KeyboardInterrupt):
            main(["bundle", "--data", str(root), "--work", str(tmp_path / "work"), *options])
        assert old.exists() == left
