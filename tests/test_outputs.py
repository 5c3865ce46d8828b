"""Every command that writes: a place where it cannot is said in one line, before the models load
where that can be known, and nothing half written stays."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import launch
from app.cli import clone, reply, synth, voices
from app.cli import eval as evaluation
from app.cli import train as training
from data.audio import write_audio
from data.dialogue import Dialogue, Turn, write_ncssd_dialogue
from tests.app.voice_sound import espeak_voice
from tests.data.ncssd import made
from tests.disk import bad_places, files_of_at_most, names
from tests.tiny import save_tiny

FULL = 8192  # bytes that fit: a check before the work succeeds, what is to be written does not


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Whatever the commands read: weights, a corpus, items, a sample, a recording, a library."""
    root = tmp_path_factory.mktemp("inputs")
    save_tiny(root / "weights")
    noise = np.random.default_rng(0).normal(0, 0.05, 30_000).astype(np.float32)
    for number in range(2):
        turns = [Turn(index % 2, "Not yet.", samples=noise) for index in range(2)]
        write_ncssd_dialogue(root / "corpus", Dialogue(str(number), turns))
    rows = [{"id": str(n), "text": "Good morning.", "voice": "one"} for n in range(2)]
    (root / "items.jsonl").write_text("\n".join(map(json.dumps, rows)))
    write_audio(root / "sample.wav", espeak_voice())
    made.write(root / "talk.wav", made.conversation(6))
    given = ["--name", "anna", "--consent", "she said so", "--transcript", "hi"]
    library = ["--library", str(root / "library"), "--weights", str(root / "weights")]
    assert clone.main([str(root / "sample.wav"), *given, *library]) == 0
    voices.main(["--library", str(root / "library"), "export", "anna", str(root / "anna.voice")])
    return root


def to_file(inputs: Path, out: Path) -> dict[str, list[str]]:
    """The commands that write a file, to `out`."""
    weights = ["--weights", str(inputs / "weights")]
    library = ["--library", str(inputs / "library")]
    return {
        "reply": ["reply", "--text", "Good morning.", "--out", str(out), *weights],
        "export": ["voices", *library, "export", "anna", str(out)],
        "eval": ["eval", "robustness", "--count", "1", "--out", str(out), *weights],
        "score": ["build", "score", str(inputs), str(inputs), "--json", str(out)],
    }


def to_folder(inputs: Path, out: Path) -> dict[str, list[str]]:
    """The commands that write into a folder, `out`."""
    weights = ["--weights", str(inputs / "weights")]
    corpus = str(inputs / "corpus")
    sample = [str(inputs / "sample.wav"), "--name", "berta", "--consent", "yes"]
    library = ["--library", str(out)]
    return {
        "synth": ["synth", str(inputs / "items.jsonl"), str(out), *weights],
        "clone": ["clone", *sample, "--transcript", "hi", *library, *weights],
        "import": ["voices", *library, *weights, "import", str(inputs / "anna.voice")],
        "build": ["build", str(inputs / "talk.wav"), "--out", str(out), "--recogniser", "none",
                  "--quiet", "--workers", "1"],
        "truth": ["build", "truth", corpus, "--out", str(out)],
        "train-voices": ["build", "train-voices", corpus, "--out", str(out / "a.safetensors")],
        "train-segmentation": ["build", "train-segmentation", corpus,
                               "--out", str(out / "a.safetensors")],
        "train-voice-encoder": ["build", "train-voice-encoder", corpus,
                                "--out", str(out / "a.safetensors")],
        "train-separator": ["build", "train-separator", corpus,
                            "--out", str(out / "a.safetensors")],
        "synthetic": ["data", "synthetic", "--hours", "1", "--seed", "1", "--out", str(out),
                      "--engines", "classic"],
        "convert": ["data", "convert", corpus, "--out", str(out), *weights],
        "train": ["train", "voices", "--data", corpus, "--out", str(out)],
        "train --work": ["train", "voices", "--data", corpus, "--out", str(inputs / "weights"),
                         "--work", str(out)],
        "eval": ["eval", "all", "--no-cache", "--out", str(out), *weights],
    }  # fmt: skip


def refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Runs a command that must fail by one line; returns that."""
    capsys.readouterr()
    assert launch.run_verb(argv[0], argv[1:]) == 2, argv
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("error: "), (argv, lines)
    assert not any("Traceback" in line or "Errno" in line for line in lines), (argv, lines)
    progress = ("speaking", "converting", "training in")
    assert len([line for line in lines if not line.startswith(progress)]) == 1, (argv, lines)
    return lines[-1]


@pytest.fixture
def no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """No command comes so far that it loads a model or reads a corpus."""

    def load(*_: object, **__: object) -> None:
        raise AssertionError("the models were loaded before the output was looked at")

    for module in (reply, synth, clone):
        monkeypatch.setattr(module, "load_speaker", load)
    monkeypatch.setattr("app.voices.load_speaker", load)
    monkeypatch.setattr(evaluation.Speaker, "load", load)
    monkeypatch.setattr(training, "prepare", load)
    for name in ("maker.read_corpora", "report.score_build"):
        monkeypatch.setattr(f"data.ncssd.truth.{name}", load)
    monkeypatch.setattr("data.ncssd.voice_space_training.fit_and_save", load)
    monkeypatch.setattr("data.ncssd.segmentation_training.train", load)
    monkeypatch.setattr("data.ncssd.voice_encoder_training.train", load)
    monkeypatch.setattr("data.ncssd.separator_training.train", load)
    monkeypatch.setattr("data.ncssd.pipeline.build", load)
    monkeypatch.setattr("data.synthetic.corpus.ProcessPoolExecutor", load)


@pytest.mark.usefixtures("no_models")
@pytest.mark.parametrize("command", to_file(Path(), Path()))
def test_a_file_that_cannot_be_written(
    command: str, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, (place, _) in bad_places(tmp_path).items():
        if kind == "no folder" and command in ("eval", "export"):
            continue  # these make it
        before = names(tmp_path)
        line = refused(to_file(inputs, place)[command], capsys)
        assert str(tmp_path) in line and names(tmp_path) == before, (kind, line)
    with files_of_at_most(0):
        assert "too large" in refused(to_file(inputs, tmp_path / "a.wav")[command], capsys)
    assert names(tmp_path) == before


@pytest.mark.usefixtures("no_models")
@pytest.mark.parametrize("command", to_folder(Path(), Path()))
def test_a_folder_that_cannot_be_written(
    command: str, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad_places(tmp_path)
    before = names(tmp_path)
    for name in (
        "file",
        "file/deep",
        "dangling",
        "loop",
        "pipe.wav",
        "x" * 256,
        "new/" + "x" * 256,
    ):
        line = refused(to_folder(inputs, tmp_path / name)[command], capsys)
        assert str(tmp_path / name.split("/")[0]) in line and names(tmp_path) == before, line
    with files_of_at_most(0):
        assert "too large" in refused(to_folder(inputs, tmp_path / "new")[command], capsys)
    assert names(tmp_path) == before


WORK: dict[str, Callable[[Path, Path], list[str]]] = {
    "reply": lambda inputs, out: to_file(inputs, out / "a.wav")["reply"],
    "export": lambda inputs, out: to_file(inputs, out / "a.voice")["export"],
    **{
        name: lambda inputs, out, name=name: to_folder(inputs, out)[name]
        for name in ("synth", "clone", "import", "build", "convert")
    },
}


@pytest.mark.parametrize("command", WORK)
def test_a_disk_that_fills_while_it_works(
    command: str, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with files_of_at_most(FULL):
        line = refused(WORK[command](inputs, out), capsys)
    assert "too large" in line or "disk is full" in line
    left = [path for path in out.rglob("*") if path.is_file() and path.stat().st_size]
    sounds = [path for path in left if path.suffix in (".wav", ".safetensors", ".voice")]
    assert not sounds and not [path for path in left if path.name.startswith(".part")]
    if command == "build":
        assert "quarantine" not in line  # it is no fault of the recording
    assert launch.run_verb(WORK[command](inputs, out)[0], WORK[command](inputs, out)[1:]) == 0
