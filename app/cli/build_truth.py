"""`launch.py build truth` and `build score`: how well the dataset builder does."""

import argparse
from pathlib import Path

from data.files import prepare_file


def truth(argv: list[str]) -> int:
    """Makes recordings with ground truth; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="launch.py build truth",
        description="Simulates long recordings with ground truth from corpora in NCSSD layout.",
    )
    parser.add_argument("corpora", type=Path, nargs="+", help="corpora in NCSSD layout")
    parser.add_argument("--out", type=Path, required=True, help="output folder")
    parser.add_argument(
        "--recordings", type=int, default=12, help="number of recordings (default: %(default)s)"
    )
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="length of a recording (default: %(default)g)"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    parser.add_argument("--limit", type=int, default=0, help="dialogues per corpus (default: all)")
    parser.add_argument(
        "--scenes",
        choices=("changing", "natural", "monologues"),
        default="changing",
        help="changing: varying pairs with silences (default); natural: one pair or person per "
        "recording, by kind of pair and condition; monologues: single speakers",
    )
    parser.add_argument(
        "--voices", default="*", help="comma-separated patterns of voices to use (default: all)"
    )
    parser.add_argument(
        "--least",
        type=int,
        default=8,
        help="minimum utterances of a voice in natural scenes (default: %(default)s)",
    )
    arguments = parser.parse_args(argv)
    from data.ncssd.truth.maker import TruthPlan, make_truth

    plan = TruthPlan(
        arguments.recordings,
        arguments.minutes,
        arguments.seed,
        arguments.limit,
        arguments.scenes,
        tuple(arguments.voices.split(",")),
        arguments.least,
    )
    made = make_truth(arguments.corpora, arguments.out, plan)
    print(f"{len(made)} recordings in {arguments.out}")
    return 0


def score(argv: list[str]) -> int:
    """Scores a build against the truth; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="launch.py build score",
        description="Scores a build against the ground truth of its recordings.",
    )
    parser.add_argument("truth", type=Path, help="output folder of `build truth`")
    parser.add_argument("dir", type=Path, help="output folder of `build` on those recordings")
    parser.add_argument(
        "--words", action="store_true", help="also recognise the true turns, for cpWER and WER"
    )
    parser.add_argument("--json", type=Path, help="JSON file to write the figures to")
    arguments = parser.parse_args(argv)
    if arguments.json is not None:
        prepare_file(arguments.json)
    from data.ncssd.truth.report import score_and_print

    return score_and_print(arguments.truth, arguments.dir, arguments.words, arguments.json)
