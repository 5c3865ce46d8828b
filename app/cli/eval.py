"""`launch.py eval`: evaluate the models, with confidence intervals, teacher values and bars."""

import argparse
import json
import os
from pathlib import Path

from data.errors import InputError, MissingModelError, OutputError
from data.files import atomic_write, prepare_file, prepare_folder
from data.languages import LANGUAGES
from models.checkpoint import WEIGHTS
from models.evaluation.figures import Result, as_text, figure_table
from models.evaluation.measures import Measuring, measure
from models.evaluation.panel import Panel, default_cache
from models.evaluation.report import CARD, load, save, write_card, write_report
from models.predictors.table import PREDICTORS
from models.speaker import Speaker, SpeakOptions

# Defaults of `--count`, which take a few minutes each on two cores, and its unit.
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
    "speed": "time to first audio, real-time factor and memory",
    "vocoder": "resynthesis through the latents",
    "speech": "intelligibility, naturalness and speaker similarity",
    "dialogue": "whether the prosody of answers follows the dialogue",
    "clone": "similarity of cloned voices",
    "robustness": "replies that stop early, run on or skip words",
    "tokenizers": "information content and bit rate of the tokens",
    "speech-to-speech": "answers to spoken questions",
    "compare": "all predictors side by side",
    "recordings": "resynthesis of human speech, and voices cloned from one utterance",
    "seed-tts": "cloned voices on a list in Seed-TTS-eval's format",
}
# Option groups of each measure beside the common ones.
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
_OPTIONAL = ("speech-to-speech",)  # weights may lack its model
# Not part of `all`: compare repeats other measures, the others need a folder.
_APART = ("compare", "recordings", "seed-tts")
_FOLDERS = {
    "recordings": "audio files, with a folder per speaker, or a folder in NCSSD layout",
    "seed-tts": "folder with meta.lst, or en/meta.lst and zh/meta.lst",
}
_LANGUAGES = {
    "robustness": "language of the texts (default: en)",
    "recordings": "language of the recordings (default: en)",
    "seed-tts": "evaluate one language only (default: both)",
}
_TRANSCRIPTS = (
    "file with a name and a transcript per line (default: texts in the folder, else Whisper)"
)
_DEFAULT_OUT = Path("runs/evaluation")


def main(argv: list[str]) -> int:
    """Evaluates the models."""
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
    # Measures without judges need neither cache nor worker processes.
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
                    print(f"{name} skipped: {error}\n")
            _finish(out, args)
        else:
            result = measured(args.what)
            if args.out is not None:
                text = json.dumps(result.as_json(), indent=1, ensure_ascii=False)
                atomic_write(args.out, text + "\n")
    return 0


def _prepare(args: argparse.Namespace) -> None:
    """Raises OutputError before any work if the figures cannot be written."""
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
        raise OutputError(f"{error}; or use --no-cache") from None


def make_parser() -> argparse.ArgumentParser:
    """`launch.py eval`, with one subcommand per measure."""
    parser = argparse.ArgumentParser(
        prog="launch.py eval",
        description=main.__doc__,
        epilog="Also: launch.py eval hearing --help, for the chat's recognition and turn taking",
    )
    measures = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    parents = _parents()
    for name, (num, unit) in COUNTS.items():
        added = measures.add_parser(
            name,
            parents=[parents["models"], *(parents[group] for group in _GROUPS[name])],
            help=f"{_SUMMARY[name]} ({num} {unit})",
            description=f"Measures {_SUMMARY[name]}.",
        )
        added.add_argument("--count", type=int, help=f"{unit} (default: {num})")
        added.add_argument("--out", type=Path, help="JSON file to write the figures to")
        if name in _FOLDERS:
            added.add_argument("folder", type=Path, help=_FOLDERS[name])
        if name in _LANGUAGES:
            added.add_argument("--language", choices=LANGUAGES, help=_LANGUAGES[name])
        if name == "recordings":
            added.add_argument("--transcripts", type=Path, metavar="FILE", help=_TRANSCRIPTS)
    every = measures.add_parser(
        "all",
        parents=list(parents.values()),
        help="all of them except the last three, and the report",
        description=f"Runs every measure except {', '.join(_APART)}, and writes the report.",
    )
    every.add_argument("--count", type=int, help="overrides the count of each measure")
    every.add_argument("--resume", action="store_true", help="keep existing results")
    report = measures.add_parser(
        "report",
        help="write the report from existing results",
        description="Writes the report from existing results.",
    )
    report.add_argument("--weights", type=Path, help="weights folder (default: bundled)")
    for one in (every, report):
        one.add_argument("--out", type=Path, help=f"results folder (default: {_DEFAULT_OUT})")
        one.add_argument("--card", action="store_true", help="write results.md beside the weights")
    return parser


def _parents() -> dict[str, argparse.ArgumentParser]:
    """The options shared by several measures, by group."""
    names = ("models", "replies", "predictor", "data", "voices", "judges", "ablations", "encodec")
    groups = {name: argparse.ArgumentParser(add_help=False) for name in names}
    models = groups["models"].add_argument
    models("--weights", type=Path, help="weights folder (default: bundled)")
    models("--device", default="cpu", help="cpu or cuda (default: cpu)")
    replies = groups["replies"].add_argument
    temperature = SpeakOptions.temperature
    replies("--seed", type=int, default=0, help="random seed of the replies (default: 0)")
    replies(
        "--temperature",
        type=float,
        default=temperature,
        help=f"sampling temperature (default: {temperature})",
    )
    replies(
        "--flow-steps", type=int, default=0, help="Euler steps of flow-omni (0: the model's own)"
    )
    replies(
        "--guidance",
        type=float,
        default=0.0,
        help="classifier-free guidance scale (1 disables it; 0: the model's own)",
    )
    groups["predictor"].add_argument(
        "--predictor", choices=PREDICTORS, help="speech model (default: the first in the weights)"
    )
    folder = groups["data"].add_argument
    folder("--data", type=Path, help="held-out speech in NCSSD layout (default: made with flite)")
    folder("--language", choices=LANGUAGES, help="evaluate one language only (default: both)")
    groups["voices"].add_argument(
        "--voices", help="comma-separated teacher voices (default: flite's)"
    )
    judges = groups["judges"].add_argument
    jobs = min(2, os.cpu_count() or 1)
    judges("--no-cache", action="store_true", help="ignore cached judgements")
    judges("--jobs", type=int, default=jobs, help=f"judge processes (default: {jobs})")
    groups["ablations"].add_argument("--main-only", action="store_true", help="skip the ablations")
    groups["encodec"].add_argument(
        "--encodec", type=Path, help="weights of EnCodec 24 kHz for comparison"
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
