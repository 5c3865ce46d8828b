"""`launch.py data`: makes the synthetic corpus, checks an NCSSD tree."""

import argparse
import os
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from data.dialogue import check_ncssd


def main(argv: list[str]) -> int:
    """Runs `data synthetic` or `data check`; returns the exit status."""
    arguments = _parser().parse_args(argv)
    if arguments.verb == "check":
        return _check(arguments.dir)
    return _synthetic(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="launch.py data", description=__doc__, epilog="Also: launch.py data convert --help"
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    synthetic = verbs.add_parser(
        "synthetic",
        help="conversations spoken by flite, festival and espeak-ng, in NCSSD layout",
        description="Makes seeded conversations with their truth (voice, manner, F0, phones). "
        "Stopped, it goes on where it was when the same command is given again.",
    )
    synthetic.add_argument("--hours", type=float, required=True, help="of sound, at least")
    synthetic.add_argument("--seed", type=int, required=True, help="of everything random")
    synthetic.add_argument("--out", type=Path, required=True, help="folder of the corpus")
    synthetic.add_argument(
        "--split",
        choices=("train", "test"),
        default="train",
        help="which texts and voices: test has those that training never sees (default: train)",
    )
    synthetic.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)"
    )
    check = verbs.add_parser("check", help="checks a tree in NCSSD layout, a line a problem")
    check.add_argument("dir", type=Path, help="folder of the dialogues")
    return parser


def _synthetic(arguments: argparse.Namespace) -> int:
    from data.synthetic.corpus import Recipe, make_corpus

    columns = (
        TextColumn("speaking"),
        BarColumn(),
        TextColumn("{task.completed:.2f} of {task.total:g} hours"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("speaking", total=arguments.hours)
        summary = make_corpus(
            arguments.out,
            arguments.hours,
            Recipe(arguments.seed, arguments.split),
            arguments.workers,
            f"launch.py data synthetic --hours {arguments.hours:g} --seed {arguments.seed} "
            f"--split {arguments.split}",
            lambda hours: bar.update(task, completed=hours),
        )
    print(
        f"{summary.hours:.2f} hours, {summary.dialogues} dialogues, {summary.turns} turns, "
        f"{len(summary.voices)} voices in {arguments.out}"
    )
    return 0


def _check(folder: Path) -> int:
    problems = check_ncssd(folder)
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems" if problems else f"{folder} is sound")
    return 1 if problems else 0
