"""`launch.py data`: makes the synthetic corpus, checks and joins NCSSD trees."""

import argparse
from collections.abc import Callable
from pathlib import Path

from data.dialogue import check_ncssd
from data.merge import merge
from data.synthetic.command import add_verbs, run_synthetic, run_teacher, run_texts


def main(argv: list[str], spell: Callable[[str], str] | None = None) -> int:
    """Runs a verb of `data`; returns the exit status.

    Args:
        argv: the verb and its options.
        spell: writes a text as it is read aloud, for `data synthetic --texts`; None leaves texts
            as they are.
    """
    arguments = _parser().parse_args(argv)
    if arguments.verb == "check":
        return _check(arguments.dir)
    if arguments.verb == "merge":
        print(f"{merge(arguments.folders, arguments.out)} dialogues in {arguments.out}")
        return 0
    if arguments.verb == "teacher":
        return run_teacher(arguments)
    if arguments.verb == "texts":
        return run_texts(arguments)
    return run_synthetic(arguments, spell)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="launch.py data", description=__doc__, epilog="Also: launch.py data convert --help"
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    add_verbs(verbs)
    check = verbs.add_parser("check", help="checks a tree in NCSSD layout, a line a problem")
    check.add_argument("dir", type=Path, help="folder of the dialogues")
    merged = verbs.add_parser("merge", help="joins corpora in NCSSD layout; may be repeated")
    merged.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="a corpus")
    merged.add_argument("--out", type=Path, required=True, help="folder of the joined corpus")
    return parser


def _check(folder: Path) -> int:
    problems = check_ncssd(folder)
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems" if problems else f"{folder} is sound")
    return 1 if problems else 0
