"""`launch.py build train-...`: train the builder's own models."""

import argparse
from pathlib import Path

from data.errors import InputError
from data.files import prepare_file
from data.ncssd.training_plan import TrainingPlan

_WEIGHTS_HELP = ".safetensors file to write"


def segmentation(argv: list[str]) -> int:
    """`build train-segmentation`."""
    what = "Trains the segmentation network on recordings simulated from corpora."
    arguments = _training("train-segmentation", what, argv, TrainingPlan())
    from data.ncssd.segmentation_training import train

    train(arguments.corpus, _plan(arguments), arguments.out, arguments.begin)
    return 0


def separator(argv: list[str]) -> int:
    """`build train-separator`."""
    what = "Trains the separation network on overlaps in recordings simulated from corpora."
    plan = TrainingPlan(minutes_of_sound=60.0, rounds=8, steps=2400, lr=1e-3)
    arguments = _training("train-separator", what, argv, plan)
    from data.ncssd.separator_training import train

    train(arguments.corpus, _plan(arguments), arguments.out, arguments.begin)
    return 0


def voice_encoder(argv: list[str]) -> int:
    """`build train-voice-encoder`."""
    what = "Fine-tunes the voice encoder on recordings simulated from corpora."
    plan = TrainingPlan(minutes_of_sound=60.0, rounds=2, steps=800, batch=32, lr=5e-4)
    arguments = _training("train-voice-encoder", what, argv, plan, "resemblyzer's")
    from data.ncssd.voice_encoder_training import train

    train(arguments.corpus, _plan(arguments), arguments.out, arguments.begin)
    return 0


def _training(
    verb: str, what: str, argv: list[str], default: TrainingPlan, begin: str = "random"
) -> argparse.Namespace:
    """Parses the options of training a network."""
    parser = argparse.ArgumentParser(
        prog=f"launch.py build {verb}",
        description=f"{what} After an interruption the same command resumes from the last round.",
    )
    parser.add_argument("corpus", type=Path, nargs="+", help="corpus in NCSSD layout")
    parser.add_argument("--out", type=Path, required=True, help=_WEIGHTS_HELP)
    parser.add_argument(
        "--minutes",
        type=float,
        default=default.minutes_of_sound,
        help="audio simulated per round (default: %(default)g)",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=default.rounds,
        help="rounds, each with new recordings (default: %(default)s)",
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=default.steps,
        help="optimiser steps in total (default: %(default)s)",
    )
    parser.add_argument(
        "--batch", type=int, default=default.batch, help="examples per step (default: %(default)s)"
    )
    parser.add_argument(
        "--lr", type=float, default=default.lr, help="learning rate (default: %(default)g)"
    )
    parser.add_argument("--begin", type=Path, help=f"initial weights (default: {begin})")
    parser.add_argument(
        "--limit", type=int, default=2000, help="dialogues per corpus (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
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
        description="Fits to corpora the space in which a voice sample is checked for two voices.",
    )
    parser.add_argument("corpus", type=Path, nargs="+", help="corpus in NCSSD layout")
    parser.add_argument("--out", type=Path, required=True, help=_WEIGHTS_HELP)
    parser.add_argument(
        "--minutes", type=float, default=120.0, help="audio to fit on (default: %(default)g)"
    )
    parser.add_argument("--limit", type=int, default=0, help="dialogues per corpus (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    arguments = parser.parse_args(argv)
    _check_weights(arguments.out)
    from data.ncssd.voice_space_training import fit_and_save

    number = fit_and_save(
        arguments.corpus, arguments.out, arguments.minutes, arguments.limit, arguments.seed
    )
    print(f"fitted on {number} speech segments: {arguments.out}")
    return 0


def one_person(argv: list[str]) -> int:
    """`build train-one-person`."""
    parser = argparse.ArgumentParser(
        prog="launch.py build train-one-person",
        description="Fits the model of how likely two speaker clusters are two people.",
    )
    parser.add_argument("truth", type=Path, nargs="+", help="output folder of `build truth`")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    arguments = parser.parse_args(argv)
    prepare_file(arguments.out, make_folder=True)
    from data.ncssd.one_person_training import fit_and_save

    one, two = fit_and_save(arguments.truth, arguments.out, arguments.seed)
    print(f"fitted on {one} same-person and {two} two-person pairs: {arguments.out}")
    return 0


def _check_weights(out: Path) -> None:
    """Checks before training that the weights can be written after it."""
    if out.suffix != ".safetensors" or out.is_dir():
        raise InputError(f"--out is {out}; give a file whose name ends in .safetensors")
    prepare_file(out, make_folder=True)
