"""`launch.py eval`: measures the models; every figure with its interval, its teacher's, its bar."""

import argparse
import json
import os
from pathlib import Path

from data.errors import InputError, MissingModelError, OutputError
from data.files import atomic_write, prepare_file, prepare_folder
from models.checkpoint import WEIGHTS
from models.evaluation.figures import Result, as_text, figure_table
from models.evaluation.measures import Measuring, measure
from models.evaluation.panel import Panel, default_cache
from models.evaluation.report import CARD, load, save, write_card, write_report
from models.predictors.table import PREDICTORS
from models.speaker import Speaker, SpeakOptions

# Sizes that take a few minutes each on two cores; what `--count` counts.
COUNTS = {
    "speed": (20, "replies"),
    "vocoder": (40, "sentences, each in three voices"),
    "speech": (40, "sentences, each in three voices"),
    "dialogue": (40, "pairs of dialogues"),
    "clone": (20, "held-out voices"),
    "robustness": (200, "replies"),
    "tokenizers": (24, "utterances"),
    "speech-to-speech": (200, "questions"),
    "compare": (20, "sentences, each in three voices, and pairs of dialogues"),
    "recordings": (40, "recordings"),
    "seed-tts": (100, "texts"),
}
_SUMMARY = {
    "speed": "first audio, real-time factor and memory",
    "vocoder": "copies of speech through latents",
    "speech": "how speech sounds and what is understood of it",
    "dialogue": "whether an answer follows how it was spoken to",
    "clone": "how near cloned voices come",
    "robustness": "replies that stop, run on or leave words out",
    "tokenizers": "what tokens hold, and what they cost",
    "speech-to-speech": "answers to spoken questions",
    "compare": "all predictors side by side",
    "recordings": "copies of people's speech, and clones from one utterance",
    "seed-tts": "clones that say the texts of a list in Seed-TTS-eval's format",
}
# Groups of options beside those of all.
_GROUPS = {
    "speed": ("replies", "predictor"),
    "vocoder": ("data", "voices", "judges"),
    "speech": ("replies", "predictor", "data", "voices", "judges"),
    "dialogue": ("replies", "predictor", "data", "judges", "ablations"),
    "clone": ("replies", "predictor", "data", "judges"),
    "robustness": ("replies", "predictor"),
    "tokenizers": ("judges", "encodec"),
    "speech-to-speech": ("replies", "predictor", "judges"),
    "compare": ("replies", "data", "judges"),
    "recordings": ("replies", "predictor", "judges"),
    "seed-tts": ("replies", "predictor", "judges"),
}
_OPTIONAL = ("speech-to-speech",)  # a bundle may be without its model
# What `all` leaves out: compare measures the same again, the others want a folder.
_APART = ("compare", "recordings", "seed-tts")
_FOLDERS = {
    "recordings": "with sound files, a folder for each speaker, or in NCSSD layout",
    "seed-tts": "with meta.lst, or en/meta.lst and zh/meta.lst",
}
_LANGUAGES = {
    "robustness": "of the texts (default: en)",
    "recordings": "in which people speak (default: en)",
    "seed-tts": "one language alone (default: both, apart)",
}
_TRANSCRIPTS = (
    "a name and a text a line (default: texts in the folder; Whisper, where there is none)"
)
_DEFAULT_OUT = Path("runs/evaluation")


def main(argv: list[str]) -> int:
    """Measures the models."""
    if argv[:1] == ["hearing"]:
        from app.cli.eval_hearing import main as measure_hearing

        return measure_hearing(argv[1:])
    if argv[:1] == ["--seed-tts"]:
        argv = ["seed-tts", *argv[1:]]
    args = make_parser().parse_args(argv)
    _prepare(args)
    if args.what == "report":
        _finish(args.out or _DEFAULT_OUT, args)
        return 0
    if args.count is not None and args.count < 1:
        raise InputError(f"--count is {args.count}; it must be at least 1")
    # Without judges nothing is cached, and no process but this one is needed.
    cache = None if getattr(args, "no_cache", True) else _prepared_cache()
    with Panel(getattr(args, "jobs", 1), cache) as panel:
        speaker = Speaker.load(args.weights, args.device, getattr(args, "predictor", None))

        def measured(name: str) -> Result:
            of = Measuring(speaker, panel, args, args.count or COUNTS[name][0])
            return _shown(measure(name, of))

        if args.what == "all":
            out = args.out or _DEFAULT_OUT
            for name in COUNTS:
                if name in _APART or (args.resume and (out / f"{name}.json").is_file()):
                    continue
                try:
                    save(out, measured(name))
                except MissingModelError as error:
                    if name not in _OPTIONAL:
                        raise
                    print(f"{name} is left out: {error}\n")
            _finish(out, args)
        else:
            result = measured(args.what)
            if args.out is not None:
                text = json.dumps(result.as_json(), indent=1, ensure_ascii=False)
                atomic_write(args.out, text + "\n")
    return 0


def _prepare(args: argparse.Namespace) -> None:
    """Raises OutputError before anything is measured, where the figures cannot be written."""
    if args.what in ("all", "report"):
        prepare_folder(args.out or _DEFAULT_OUT)
        if args.card:
            prepare_file((args.weights or WEIGHTS) / CARD)
    elif args.out is not None:
        prepare_file(args.out, make_folder=True)


def _prepared_cache() -> Path:
    try:
        return prepare_folder(default_cache())
    except OutputError as error:
        raise OutputError(f"{error}; or give --no-cache") from None


def make_parser() -> argparse.ArgumentParser:
    """`launch.py eval`, with a subcommand for each thing that is measured."""
    parser = argparse.ArgumentParser(
        prog="launch.py eval",
        description=main.__doc__,
        epilog="Also: launch.py eval hearing --help, of the chat's ears",
    )
    measures = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    parents = _parents()
    for name, (num, unit) in COUNTS.items():
        added = measures.add_parser(
            name,
            parents=[parents["models"], *(parents[group] for group in _GROUPS[name])],
            help=f"{_SUMMARY[name]}, by {num} {unit}",
            description=f"Measures {_SUMMARY[name]}.",
        )
        added.add_argument("--count", type=int, help=f"{unit} (default: {num})")
        added.add_argument("--out", type=Path, help="a JSON file of the figures")
        if name in _FOLDERS:
            added.add_argument("folder", type=Path, help=_FOLDERS[name])
        if name in _LANGUAGES:
            added.add_argument("--language", choices=("en", "zh"), help=_LANGUAGES[name])
        if name == "recordings":
            added.add_argument("--transcripts", type=Path, metavar="FILE", help=_TRANSCRIPTS)
    every = measures.add_parser(
        "all",
        parents=list(parents.values()),
        help="all of them but the last three, and the report",
        description=f"Measures everything but {', '.join(_APART)}, and writes the report.",
    )
    every.add_argument("--count", type=int, help="of each, instead of its own")
    every.add_argument("--resume", action="store_true", help="keep what is measured already")
    report = measures.add_parser(
        "report",
        help="the report of figures that were measured before",
        description="Writes the report of figures that were measured before.",
    )
    report.add_argument("--weights", type=Path, help="a folder of models (default: the bundled)")
    for one in (every, report):
        one.add_argument("--out", type=Path, help=f"folder (default: {_DEFAULT_OUT})")
        one.add_argument("--card", action="store_true", help="write results.md beside the weights")
    return parser


def _parents() -> dict[str, argparse.ArgumentParser]:
    """The options that several measures share, by group."""
    names = ("models", "replies", "predictor", "data", "voices", "judges", "ablations", "encodec")
    groups = {name: argparse.ArgumentParser(add_help=False) for name in names}
    models = groups["models"].add_argument
    models("--weights", type=Path, help="a folder of models (default: the bundled)")
    models("--device", default="cpu", help="where the models run: cpu or cuda (default: cpu)")
    replies = groups["replies"].add_argument
    temperature = SpeakOptions.temperature
    replies("--seed", type=int, default=0, help="of the replies (default: 0)")
    replies(
        "--temperature",
        type=float,
        default=temperature,
        help=f"of sampling (default: {temperature})",
    )
    replies("--flow-steps", type=int, default=0, help="Euler steps of flow-omni (0: its own)")
    replies(
        "--guidance", type=float, default=0.0, help="guidance scale (1: none; 0: the models' own)"
    )
    groups["predictor"].add_argument(
        "--predictor", choices=PREDICTORS, help="the speech model (default: the first there is)"
    )
    folder = groups["data"].add_argument
    folder("--data", type=Path, help="held-out speech in NCSSD layout (default: flite speaks)")
    folder("--language", choices=("en", "zh"), help="of it, one language (default: both, apart)")
    groups["voices"].add_argument(
        "--voices", help="the teacher's voices, with commas (default: flite's)"
    )
    judges = groups["judges"].add_argument
    jobs = min(2, os.cpu_count() or 1)
    judges("--no-cache", action="store_true", help="judge every sound anew")
    judges("--jobs", type=int, default=jobs, help=f"processes (default: {jobs})")
    groups["ablations"].add_argument(
        "--main-only", action="store_true", help="dialogue without its ablations"
    )
    groups["encodec"].add_argument(
        "--encodec", type=Path, help="weights of EnCodec 24 kHz, to compare with"
    )
    return groups


def _shown(result: Result) -> Result:
    print(as_text(figure_table(result.title, result.figures)))
    for table in result.tables:
        print(as_text(table))
    print(f"{result.settings}\n{result.name} took {result.seconds:.0f} s\n")
    return result


def _finish(folder: Path, args: argparse.Namespace) -> None:
    results = load(folder)
    for path in write_report(folder, results):
        print(path)
    if args.card:
        print(write_card(args.weights or WEIGHTS, results))
    asked = [f for result in results for f in result.figures if f.bar or f.goal]
    met = sum(figure.meets_bar is True for figure in asked)
    print(f"{met} of {sum(f.bar is not None for f in asked)} bars are met")
