"""`launch.py train`: one subcommand per model, and `bundle` for all of them in order."""

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
    """Rejects mutually exclusive options."""
    given = {key for key, value in vars(args).items() if value not in (None, False)}
    given |= set() if getattr(args, "warm", True) else {"from-scratch"}
    for one, other in _EXCLUSIVE:
        if {one, other} <= given:
            spelt = [f"--{name.replace('_', '-')}" for name in (one, other)]
            parser.error(f"train {args.model}: {' and '.join(spelt)} are mutually exclusive")


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
    """Deletes the checkpoints of an earlier bundle, so that a later --resume cannot continue from
    them."""
    for checkpoint in work.glob(f"*/{CHECKPOINT}"):
        clear_run(checkpoint.parent)


def chosen_recipes(args: argparse.Namespace) -> dict[str, Any]:
    """The configuration of each recipe to run, after `--config`, `--set` and their shorthands.

    Raises:
        InputError: an unknown setting, a wrong type, or a value out of range.
    """
    known = read_config(args.config, tuple(RECIPES))
    names = list(RECIPES) if args.model == BUNDLE else [args.model]
    recipes = {name: configured(RECIPES[name](), known.get(name, {}), name) for name in names}
    for name, values in _assigned(args, names):
        recipes[name] = configured(recipes[name], values, name)
    return recipes


def _assigned(args: argparse.Namespace, names: list[str]) -> list[tuple[str, dict[str, Any]]]:
    """The settings of `--set`, `--steps` and `--order`, as (recipe, values)."""
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
                    f"--set {text}: for a bundle use RECIPE.NAME=VALUE, such as prior.batch=32; "
                    f"recipes are {', '.join(RECIPES)}"
                )
            found.append((place[0], nested(place[1:], value)))
        else:
            found.append((args.model, nested(place, value)))
    return found


class _Help(argparse.RawDescriptionHelpFormatter):
    """Appends the default of each option that has one."""

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
        epilog="--steps and --minutes apply to each model, --set takes RECIPE.NAME=VALUE.",
        formatter_class=_Help,
    )
    _add_beginnings(models.choices)
    _add_own_options(models.choices)
    return parser


_SUMMARY = {
    "style": "the style encoder, which embeds the speaker's voice",
    "tokenizer": "the semantic tokenizer",
    "vocoder": "the posterior encoder and the decoder, between audio and latents",
    "gpt-talker": "the predictor of semantic codes",
    "prior": "the flow from semantic codes to latents",
    "flow-omni": "the predictor of latents",
    "acoustic": "the codebooks of the acoustic tokenizer",
    "ham-tts": "the predictor of acoustic codes",
    "acoustic-decoder": "the model from first-level acoustic codes to latents",
    "omni-thinker": "the thinker of speech-to-speech",
    "voices": "the style vectors of the named voices, with checksums and a model card",
}


def _shared_options() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--data", type=Path, required=True, help="folder in NCSSD layout")
    shared.add_argument("--out", type=Path, required=True, help="weights folder, read and written")
    shared.add_argument(
        "--work", type=Path, default=Path("runs"), help="folder of checkpoints and logs"
    )
    shared.add_argument("--seed", type=int, default=1, help="random seed")
    shared.add_argument(
        "--limit", type=_at_least_one, help="use only the first LIMIT dialogues of the data"
    )
    shared.add_argument("--threads", type=_at_least_one, help="CPU threads (default: all)")
    shared.add_argument(
        "--precision",
        choices=precision.CHOICES,
        default="auto",
        help="auto: bf16 where the hardware supports it, else fp32",
    )
    shared.add_argument(
        "--config",
        default=PRESETS[0],
        metavar="NAME|FILE.toml",
        help=f"preset ({', '.join(PRESETS)}) or TOML file with a table per recipe",
    )
    shared.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="override one setting; repeatable",
    )
    return shared


def _run_options() -> argparse.ArgumentParser:
    run = argparse.ArgumentParser(add_help=False)
    run.add_argument("--steps", type=int, help="optimiser steps, same as --set steps=N")
    run.add_argument("--minutes", type=_over_zero, help="wall-clock budget instead of steps")
    run.add_argument("--resume", action="store_true", help="resume from the last checkpoint")
    return run


def _add_beginnings(models: dict[str, argparse.ArgumentParser]) -> None:
    """Adds the options that choose a model's initial weights."""
    for name, detail in {
        "style": " for robustness to rooms and noise",
        "vocoder": "; changes the latent space",
        "gpt-talker": "",
        "prior": "",
        "flow-omni": "",
        "ham-tts": "",
        "acoustic-decoder": "",
        "omni-thinker": "",
    }.items():
        models[name].add_argument(
            "--further", action="store_true", help=f"fine-tune the weights in --out{detail}"
        )
    for name in ("flow-omni", "ham-tts"):
        models[name].add_argument(
            "--from-scratch",
            dest="warm",
            action="store_false",
            help="initialise randomly instead of from the gpt-talker in --out",
        )


def _add_own_options(models: dict[str, argparse.ArgumentParser]) -> None:
    """Adds the options that only one model takes."""
    models["tokenizer"].add_argument(
        "--hold",
        action="store_true",
        help="freeze the codes and fine-tune only the phone classifier in --out, for new languages",
    )
    _add_vocoder_options(models["vocoder"])
    models["gpt-talker"].add_argument(
        "--order",
        choices=("ABAB", "AABB"),
        help="order of the dialogue history, same as --set model.order=...; AABB puts all texts "
        "before all audio",
    )
    models["flow-omni"].add_argument(
        "--distill",
        action="store_true",
        help="distil the model in --out to one flow step per frame",
    )
    models["acoustic"].add_argument(
        "--like",
        type=Path,
        help="weights folder with whose codes the first level is aligned, for ham-tts --further",
    )
    models["acoustic"].add_argument(
        "--encodec",
        type=Path,
        help="weights of EnCodec 24 kHz, whose codes and decoder then replace ours in --out",
    )
    models["acoustic"].add_argument(
        "--kbps", type=float, choices=KBPS, default=EncodecConfig.kbps, help="EnCodec's bit rate"
    )
    models["ham-tts"].add_argument(
        "--without", choices=("lvs", "augmentation"), help="ablate one component"
    )
    models["ham-tts"].add_argument(
        "--hubert", type=Path, help="folder of a Hugging Face HuBERT for the aligner"
    )
    models["omni-thinker"].add_argument(
        "--backbone", type=Path, help="folder of a Hugging Face language model"
    )
    models["omni-thinker"].add_argument(
        "--stage",
        type=int,
        choices=(1, 2),
        default=2,
        help="1 freezes the backbone, 2 trains everything",
    )


def _add_vocoder_options(vocoder: argparse.ArgumentParser) -> None:
    vocoder.add_argument(
        "--latent-dim",
        type=_at_least_one,
        help="latent dimension; with --further at least the present one",
    )
    vocoder.add_argument(
        "--hold",
        action="store_true",
        help="freeze the latents and fine-tune only the decoder in --out",
    )
    vocoder.add_argument(
        "--adversarial",
        action="store_true",
        help="like --hold, with a GAN loss",
    )


def _over_zero(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer of at least 1")
    return int(text)
