"""`launch.py data`: make a synthetic corpus, check a folder."""

import argparse
import os
from pathlib import Path

from data.dialogue import check_ncssd
from data.synthetic.corpus import make_corpus
from data.synthetic.grammar import SPLITS


def main(argv: list[str]) -> int:
    """Makes and checks data in NCSSD layout."""
    parser = argparse.ArgumentParser(prog="launch.py data", description=main.__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    made = verbs.add_parser("synthetic", help="speak a corpus of conversations")
    made.add_argument("--hours", type=float, required=True)
    made.add_argument("--seed", type=int, required=True)
    made.add_argument("--out", type=Path, required=True)
    made.add_argument("--split", choices=SPLITS, default="train")
    made.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    checked = verbs.add_parser("check", help="say what a strict reader would trip on")
    checked.add_argument("folder", type=Path)
    args = parser.parse_args(argv)
    if args.verb == "synthetic":
        hours = make_corpus(args.out, args.hours, args.seed, args.split, args.workers)
        print(f"{hours:.2f} hours in {args.out}")
        return 0
    problems = check_ncssd(args.folder)
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems" if problems else "no problems")
    return 1 if problems else 0
