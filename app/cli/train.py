"""`launch.py train`: one subcommand a model, and `bundle` for all of them in order."""

import argparse
import logging
from pathlib import Path
from typing import Any

import torch

from data.errors import InputError
from data.files import prepare_folder
from models import precision
from models.training.bundle import finish_bundle
from models.training.configuration import (
    PRESETS,
    Recipe,
    configured,
    describe,
    nested,
    parse_assignment,
    read_config,
)
from models.training.corpus import Corpus, prepare
from models.training.job import Job
from models.training.loop import (
    CHECKPOINT,
    Budget,
    clear_run,
    device,
    first_process_first,
    on_first_process,
)
from models.training.recipes import RECIPES, train_one, write_record
from models.vocoder.encodec import KBPS, EncodecConfig

BUNDLE = "bundle"
_SHARED = (
    *("model", "data", "out", "work", "seed", "limit", "threads", "precision", "config", "set"),
    *("steps", "minutes", "resume", "order"),
)
_EXCLUSIVE = (
    *(("further", "from-scratch"), ("further", "distill"), ("distill", "from-scratch")),
    *(("further", "without"), ("further", "hold"), ("hold", "latent_dim"), ("like", "encodec")),
    *((one, "adversarial") for one in ("further", "hold", "latent_dim")),
)


def main(argv: list[str]) -> int:
    """Trains one model, or all in order."""
    parser = make_parser()
    args = parser.parse_args(argv)
    _check(args, parser)
    names = list(RECIPES) if args.model == BUNDLE else [args.model]
    recipes = chosen_recipes(args)
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
    for folder in (args.out, args.work):
        prepare_folder(folder)
    precision.choose(args.precision)
    logging.info("training in %s", precision.describe(device()))
    if args.threads:
        torch.set_num_threads(args.threads)
    with first_process_first():
        shards = prepare(args.data, limit=args.limit)
    corpus = Corpus(shards)
    logging.info(
        "%.1f hours, %d utterances, %d voices",
        corpus.hours,
        len(corpus.utterances),
        len(corpus.voices),
    )
    if args.model == BUNDLE and not args.resume:
        on_first_process(lambda: _forget_all(args.work))
    options = {key: value for key, value in vars(args).items() if key not in _SHARED}
    for name in names:
        _train(name, recipes[name], corpus, args, options)
    if names[-1] == "voices":
        on_first_process(lambda: finish_bundle(args.out, args.work, corpus, args.data, args.seed))
    return 0


def _check(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Refuses options that exclude each other."""
    given = {key for key, value in vars(args).items() if value not in (None, False)}
    given |= set() if getattr(args, "warm", True) else {"from-scratch"}
    for one, other in _EXCLUSIVE:
        if {one, other} <= given:
            spelt = [f"--{name.replace('_', '-')}" for name in (one, other)]
            parser.error(f"train {args.model}: {' and '.join(spelt)} exclude each other")


def _train(
    name: str, recipe: Any, corpus: Corpus, args: argparse.Namespace, options: dict[str, Any]
) -> None:
    steps = recipe.distillation.steps if options.get("distill") else getattr(recipe, "steps", 0)
    budget = Budget(steps, getattr(args, "minutes", None))
    resume = getattr(args, "resume", False)
    job = Job(args.data, corpus, args.out, args.work, args.seed, budget, resume)
    made = train_one(name, job, recipe, **options)
    on_first_process(lambda: write_record(name, job, made, options))


def _forget_all(work: Path) -> None:
    """A bundle begins anew: no model of it is to go on from what an earlier one left in `work`,
    even if this one is stopped before it comes to that model."""
    for checkpoint in work.glob(f"*/{CHECKPOINT}"):
        clear_run(checkpoint.parent)


def chosen_recipes(args: argparse.Namespace) -> dict[str, Any]:
    """The configuration of each recipe to follow, by `--config`, `--set` and what stands for them.

    Raises:
        InputError: an unknown setting, or one of a wrong type or out of range.
    """
    known = read_config(args.config, tuple(RECIPES))
    names = list(RECIPES) if args.model == BUNDLE else [args.model]
    recipes = {name: configured(RECIPES[name](), known.get(name, {}), name) for name in names}
    for name, values in _assigned(args, names):
        recipes[name] = configured(recipes[name], values, name)
    return recipes


def _assigned(args: argparse.Namespace, names: list[str]) -> list[tuple[str, dict[str, Any]]]:
    """What `--set` and `--steps` set: recipes and values."""
    found = []
    steps = getattr(args, "steps", None)
    for name in names:
        if steps is not None and issubclass(RECIPES[name], Recipe):
            distilled = getattr(args, "distill", False)
            place = ("distillation", "steps") if distilled else ("steps",)
            found.append((name, nested(place, steps)))
    if getattr(args, "order", None):
        found.append((args.model, nested(("model", "order"), args.order)))
    for text in args.set:
        place, value = parse_assignment(text)
        if args.model == BUNDLE:
            if place[0] not in RECIPES or len(place) < 2:
                raise InputError(
                    f"--set {text}: of a bundle write RECIPE.NAME=VALUE, as prior.batch=32; "
                    f"recipes are {', '.join(RECIPES)}"
                )
            found.append((place[0], nested(place[1:], value)))
        else:
            found.append((args.model, nested(place, value)))
    return found


class _Help(argparse.RawDescriptionHelpFormatter):
    """Adds the default of each option that has one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, [], argparse.SUPPRESS) or isinstance(action.default, bool):
            return action.help
        return f"{action.help} (default: %(default)s)"


def make_parser() -> argparse.ArgumentParser:
    """`launch.py train`, with a subcommand for each model."""
    parser = argparse.ArgumentParser(prog="launch.py train", description=main.__doc__)
    models = parser.add_subparsers(dest="model", required=True, metavar="MODEL")
    fitted, trained = _shared_options(), _run_options()
    for name, recipe in RECIPES.items():
        steps = issubclass(recipe, Recipe)
        models.add_parser(
            name,
            parents=[fitted, trained] if steps else [fitted],
            help=_SUMMARY[name],
            description=f"Trains {_SUMMARY[name]}.",
            epilog=f"settings, changed by --set NAME=VALUE:\n{describe(recipe())}",
            formatter_class=_Help,
        )
    models.add_parser(
        BUNDLE,
        parents=[fitted, trained],
        help="all of them, in this order, with checksums and a model card",
        description="Trains all models in order; writes checksums and a model card.",
        epilog="--steps and --minutes count for each model, --set takes RECIPE.NAME=VALUE.",
        formatter_class=_Help,
    )
    _add_beginnings(models.choices)
    _add_own_options(models.choices)
    return parser


_SUMMARY = {
    "style": "the style encoder, which hears whose voice it is",
    "tokenizer": "the semantic tokenizer",
    "vocoder": "posterior and decoder, between sound and latents",
    "gpt-talker": "the predictor of semantic codes",
    "prior": "the flow from semantic codes to latents",
    "flow-omni": "the predictor of latents",
    "acoustic": "the codebooks of the acoustic tokenizer",
    "ham-tts": "the predictor of acoustic codes",
    "acoustic-decoder": "the model from first acoustic codes to latents",
    "omni-thinker": "the thinker of speech-to-speech",
    "voices": "the voices of a folder of weights, with checksums and a model card",
}


def _shared_options() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--data", type=Path, required=True, help="a folder in NCSSD layout")
    shared.add_argument(
        "--out",
        type=Path,
        required=True,
        help="folder of weights: those it needs and those it writes",
    )
    shared.add_argument("--work", type=Path, default=Path("runs"), help="checkpoints and logs")
    shared.add_argument("--seed", type=int, default=1, help="of everything random")
    shared.add_argument(
        "--limit", type=_at_least_one, help="use only the first dialogues of the data"
    )
    shared.add_argument("--threads", type=_at_least_one, help="processor threads, instead of all")
    shared.add_argument(
        "--precision",
        choices=precision.CHOICES,
        default="auto",
        help="auto: bf16 where the hardware has it, else fp32",
    )
    shared.add_argument(
        "--config",
        default=PRESETS[0],
        metavar="NAME|FILE.toml",
        help=f"sizes and settings: {', '.join(PRESETS)}, or a file with a table for each recipe",
    )
    shared.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="changes one setting; may be given again",
    )
    return shared


def _run_options() -> argparse.ArgumentParser:
    run = argparse.ArgumentParser(add_help=False)
    run.add_argument("--steps", type=int, help="optimiser steps, as --set steps=N")
    run.add_argument("--minutes", type=_over_zero, help="wall-clock minutes, instead of steps")
    run.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    return run


def _add_beginnings(models: dict[str, argparse.ArgumentParser]) -> None:
    """The weights that some models may start from."""
    for name, detail in {
        "style": ": to say the same in rooms and noise",
        "vocoder": "; its latents move",
        "gpt-talker": "",
        "prior": "",
        "flow-omni": "",
        "ham-tts": "",
        "acoustic-decoder": "",
        "omni-thinker": "",
    }.items():
        models[name].add_argument(
            "--further", action="store_true", help=f"begin with the weights in --out{detail}"
        )
    for name in ("flow-omni", "ham-tts"):
        models[name].add_argument(
            "--from-scratch",
            dest="warm",
            action="store_false",
            help="not with the weights of the gpt-talker in --out",
        )


def _add_own_options(models: dict[str, argparse.ArgumentParser]) -> None:
    """What one model alone takes."""
    models["tokenizer"].add_argument(
        "--hold",
        action="store_true",
        help="codes stay as they are; what names phones in --out alone goes on, for new languages",
    )
    _add_vocoder_options(models["vocoder"])
    models["gpt-talker"].add_argument(
        "--order",
        choices=("ABAB", "AABB"),
        help="of a dialogue's past, as --set model.order=...; AABB has all texts before all sounds",
    )
    models["flow-omni"].add_argument(
        "--distill",
        action="store_true",
        help="the one in --out learns to take one step where it takes several",
    )
    models["acoustic"].add_argument(
        "--like",
        type=Path,
        help="a folder of weights whose first codes keep their meaning, for ham-tts --further",
    )
    models["acoustic"].add_argument(
        "--encodec",
        type=Path,
        help="weights of EnCodec 24 kHz, whose codes and decoder the folder in --out has from then "
        "on in place of our own",
    )
    models["acoustic"].add_argument(
        "--kbps", type=float, choices=KBPS, default=EncodecConfig.kbps, help="of --encodec"
    )
    models["ham-tts"].add_argument("--without", choices=("lvs", "augmentation"), help="an ablation")
    models["ham-tts"].add_argument(
        "--hubert", type=Path, help="a folder with a HuBERT of Hugging Face, for the aligner"
    )
    models["omni-thinker"].add_argument(
        "--backbone", type=Path, help="a folder with a Hugging Face language model"
    )
    models["omni-thinker"].add_argument(
        "--stage",
        type=int,
        choices=(1, 2),
        default=2,
        help="1 keeps the backbone as it is, 2 trains all",
    )


def _add_vocoder_options(vocoder: argparse.ArgumentParser) -> None:
    vocoder.add_argument(
        "--latent-dim",
        type=_at_least_one,
        help="numbers in a latent; with --further no fewer than there are",
    )
    vocoder.add_argument(
        "--hold",
        action="store_true",
        help="latents stay as they are; the decoder in --out alone goes on",
    )
    vocoder.add_argument(
        "--adversarial",
        action="store_true",
        help="as --hold, against discriminators of its sound",
    )


def _over_zero(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number over 0")
    return value


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)
