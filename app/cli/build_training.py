"""`launch.py build train-...`: the trainings of the builder's own models."""

import argparse
from pathlib import Path

from data.errors import InputError
from data.files import prepare_file
from data.ncssd.training_plan import TrainingPlan


def segmentation(argv: list[str]) -> int:
    """`build train-segmentation`."""
    what = "Trains the segmentation network on recordings made from corpora."
    arguments = _training("train-segmentation", what, argv, TrainingPlan())
    from data.ncssd.segmentation_training import train

    train(arguments.corpus, _plan(arguments), arguments.out, arguments.begin)
    return 0


def separator(argv: list[str]) -> int:
    """`build train-separator`."""
    what = "Trains the separation network on overlaps of recordings made from corpora."
    plan = TrainingPlan(minutes_of_sound=60.0, rounds=8, steps=2400, lr=1e-3)
    arguments = _training("train-separator", what, argv, plan)
    from data.ncssd.separator_training import train

    train(arguments.corpus, _plan(arguments), arguments.out, arguments.begin)
    return 0


def _training(verb: str, what: str, argv: list[str], default: TrainingPlan) -> argparse.Namespace:
    """The options of a network's training."""
    parser = argparse.ArgumentParser(
        prog=f"launch.py build {verb}",
        description=f"{what} Stopped, the same command goes on from the last round.",
    )
    parser.add_argument("corpus", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True, help="the file of weights to make")
    parser.add_argument(
        "--minutes", type=float, default=default.minutes_of_sound, help="of sound in a round"
    )
    parser.add_argument(
        "--rounds", type=int, default=default.rounds, help="each of other recordings"
    )
    parser.add_argument("--steps", type=int, default=default.steps, help="in all")
    parser.add_argument("--batch", type=int, default=default.batch, help="examples a step")
    parser.add_argument("--lr", type=float, default=default.lr)
    parser.add_argument("--begin", type=Path, help="weights to begin with")
    parser.add_argument("--limit", type=int, default=2000, help="dialogues of a corpus to use")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    _check_weights(arguments.out)
    return arguments


def _plan(arguments: argparse.Namespace) -> TrainingPlan:
    return TrainingPlan(
        minutes_of_sound=arguments.minutes,
        rounds=arguments.rounds,
        steps=arguments.steps,
        batch=arguments.batch,
        lr=arguments.lr,
        limit=arguments.limit,
        seed=arguments.seed,
    )


def voices(argv: list[str]) -> int:
    """`build train-voices`."""
    parser = argparse.ArgumentParser(
        prog="launch.py build train-voices",
        description="Fits the space in which voices are compared to the voices of corpora.",
    )
    parser.add_argument("corpus", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True, help="the file of weights to make")
    parser.add_argument("--minutes", type=float, default=120.0, help="of sound to learn from")
    parser.add_argument("--limit", type=int, default=0, help="dialogues of a corpus to use")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    _check_weights(arguments.out)
    from data.ncssd.voice_space_training import fit_and_save

    number = fit_and_save(
        arguments.corpus, arguments.out, arguments.minutes, arguments.limit, arguments.seed
    )
    print(f"{number} stretches of speech; {arguments.out}")
    return 0


def one_person(argv: list[str]) -> int:
    """`build train-one-person`."""
    parser = argparse.ArgumentParser(
        prog="launch.py build train-one-person",
        description="Fits the odds that two clusters are two people, and not one.",
    )
    parser.add_argument("truth", type=Path, nargs="+", help="what `build truth` made")
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to make")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    prepare_file(arguments.out, make_folder=True)
    from data.ncssd.one_person_training import fit_and_save

    one, two = fit_and_save(arguments.truth, arguments.out, arguments.seed)
    print(f"{one} pairs of one person, {two} of two; {arguments.out}")
    return 0


def _check_weights(out: Path) -> None:
    """Before the training: they are written after it."""
    if out.suffix != ".safetensors" or out.is_dir():
        raise InputError(f"--out is {out}; give a file whose name ends in .safetensors")
    prepare_file(out, make_folder=True)
