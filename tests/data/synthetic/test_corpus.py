"""Whole corpora: complete dialogues with metadata, independent of workers and interruptions."""

import itertools
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.cli.data import main
from data.dialogue import check_ncssd, read_ncssd
from data.errors import InputError
from data.files import PART
from data.synthetic import ANSWER_TO, VOICES
from data.synthetic.corpus import Studio, make_corpus
from data.synthetic.grammar import sentences_of
from data.synthetic.recipe import Recipe, dialogue_seed
from data.synthetic.splits import split_of
from data.synthetic.voices import draw_pair

ROOT = Path(__file__).resolve().parents[3]
HOURS = 0.008


def espeak_recipe(num_dialogues: int = 6, split: str = "train") -> Recipe:
    """A recipe whose first dialogues use only espeak-ng, which is always available."""
    for seed in itertools.chain([36_462], itertools.count()):  # found before: searching takes 10 s
        recipe = Recipe(seed, split)
        rngs = (random.Random(f"sound {dialogue_seed(recipe, i)}") for i in range(num_dialogues))
        pairs = (draw_pair(rng, split) for rng in rngs)
        if all(voice.synthesizer == "espeak-ng" for pair in pairs for voice in pair):
            return recipe
    raise AssertionError


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return espeak_recipe()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe) -> Path:
    root = tmp_path_factory.mktemp("corpus") / "one"
    make_corpus(root, HOURS, recipe, command="launch.py data ...")
    return root


def contents(root: Path) -> dict[str, bytes]:
    paths = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(p.relative_to(root)): p.read_bytes() for p in paths if p.name != "corpus.json"}


def command(recipe: Recipe, root: Path, hours: float = HOURS, workers: int = 1) -> list[str]:
    given = {"--hours": hours, "--seed": recipe.seed, "--out": root, "--workers": workers}
    given["--engines"] = "classic"
    return ["synthetic", *(str(word) for pair in given.items() for word in pair)]


def test_a_corpus_is_valid_ncssd_with_metadata(corpus: Path, recipe: Recipe) -> None:
    assert check_ncssd(corpus) == []
    dialogues = list(read_ncssd(corpus))
    for dialogue in dialogues:
        assert dialogue.extra["split"] == "train"
        assert dialogue.extra["seed"] == dialogue_seed(recipe, int(dialogue.id))
        for before, turn in zip([None, *dialogue.turns], dialogue.turns, strict=False):
            truth = turn.extra
            assert VOICES[truth["voice"]].synthesizer == truth["synthesizer"] == "espeak-ng"
            assert 50 < truth["f0_hz"] < 500 and 5 < truth["rate"] < 25
            assert all(a < b <= truth["duration"] + 1e-3 for _, a, b in truth["phones"])
            assert all(split_of(s) in (None, "train") for s in sentences_of(turn.text))
            if before is not None and turn.speaker == 1:
                assert truth["manner"] == ANSWER_TO[before.extra["manner"]]
        assert len({turn.extra["voice"] for turn in dialogue.turns}) == 2
    summary = json.loads((corpus / "corpus.json").read_text())
    turns = [turn for dialogue in dialogues for turn in dialogue.turns]
    assert summary["dialogues"] == len(dialogues) and summary["turns"] == len(turns)
    hours = sum(turn.extra["duration"] for turn in turns) / 3600
    assert abs(summary["hours"] - hours) < 0.001 and hours >= HOURS
    assert summary["voices"] == sorted({turn.extra["voice"] for turn in turns})
    assert (summary["seed"], summary["split"]) == (recipe.seed, "train")


def test_two_workers_make_the_same(corpus: Path, recipe: Recipe, tmp_path: Path) -> None:
    make_corpus(tmp_path / "two", HOURS, recipe, Studio(num_workers=2))
    assert contents(tmp_path / "two") == contents(corpus)


def test_a_longer_corpus_starts_with_the_shorter(
    corpus: Path, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    root = tmp_path / "grown"
    assert main(command(recipe, root, HOURS / 3)) == 0
    first = {name: (root / name).stat().st_mtime_ns for name in contents(root)}
    assert len(first) < len(contents(corpus))
    assert main(command(recipe, root)) == 0
    assert contents(root) == contents(corpus)
    assert all((root / name).stat().st_mtime_ns == time_ns for name, time_ns in first.items())
    assert "dialogues" in capsys.readouterr().out
    assert main(["check", str(root)]) == 0


def test_a_killed_run_resumes(corpus: Path, recipe: Recipe, tmp_path: Path) -> None:
    """Workers end with their parent, partial dialogues are invisible, and nothing is repeated."""
    root = tmp_path / "killed"
    program = "import sys; from app.cli.data import main; sys.exit(main(sys.argv[1:]))"
    arguments = command(recipe, root, hours=50)
    process = subprocess.Popen(
        [sys.executable, "-c", f"if __name__ == '__main__':\n {program}", *arguments],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while not (root / "0").exists():
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    deadline = time.monotonic() + 20
    while _alive(process.pid):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.05)
    made_beyond = {p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")}
    (root / f"{PART}of a kill").mkdir(exist_ok=True)
    make_corpus(root, HOURS, recipe)
    assert not list(root.glob(f"{PART}*"))
    kept = {name: data for name, data in contents(root).items() if (corpus / name).exists()}
    assert kept == contents(corpus)
    assert made_beyond <= set(root.iterdir()), "what was complete is left alone"


def _alive(session: int) -> bool:
    """Whether a process of the session still runs (festival may take a moment to end)."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            return True
    return False


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hours": 0.0}, "--hours is 0"),
        ({"hours": float("nan")}, "--hours is nan"),
        ({"studio": Studio(num_workers=0)}, "--workers is 0"),
        ({"recipe": Recipe(1, "dev")}, "--split is 'dev'"),
    ],
)
def test_invalid_requests_are_explained(tmp_path: Path, change: dict, words: str) -> None:
    wishes = {"hours": 1.0, "recipe": Recipe(1), **change}
    with pytest.raises(InputError, match=words):
        make_corpus(tmp_path / "new", **wishes)
    assert not (tmp_path / "new").exists()


def test_other_corpora_and_foreign_files_are_not_touched(
    corpus: Path, recipe: Recipe, tmp_path: Path
) -> None:
    before = contents(corpus)
    with pytest.raises(InputError, match="choose another --out"):
        make_corpus(corpus, 1.0, Recipe(recipe.seed + 1))
    with pytest.raises(InputError, match="split train"):
        make_corpus(corpus, 1.0, Recipe(recipe.seed, "test"))
    assert contents(corpus) == before
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="no synthetic corpus"):
        make_corpus(tmp_path, 1.0, recipe)
    (tmp_path / "corpus.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        make_corpus(tmp_path, 1.0, recipe)
    with pytest.raises(InputError, match="not a folder"):
        make_corpus(tmp_path / "thesis.txt", 1.0, recipe)


def test_check_names_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["check", str(tmp_path / "nowhere")]) == 1
    assert "is not a folder" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["synthetic", "--hours", "many"])
