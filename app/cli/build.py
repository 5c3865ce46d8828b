"""`launch.py build`: the command line of the dataset builder."""

import argparse
import contextlib
import os
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli import build_training
from data.errors import InputError, MissingModelError
from data.files import check_file, check_folder, prepare_file, prepare_folder
from data.ncssd.config import BuildConfig, read_config

if TYPE_CHECKING:
    from data.ncssd.pipeline import Built

_PATHS = {"auto": None, "absolute": True, "relative": False}
# flag: the stage, its setting, and what it is
_THRESHOLDS = {
    "--min-dnsmos": ("quality", "min_dnsmos", "mean DNSMOS of a dialogue, 1 to 5"),
    "--min-snr": ("quality", "min_snr_db", "speech over background in dB"),
    "--min-bandwidth": ("quality", "min_bandwidth_hz", "of a turn, in Hz"),
    "--max-clipped": ("quality", "max_clipped", "share of a turn's samples at full scale"),
    "--min-confidence": ("quality", "min_confidence", "of a turn's text, 0 to 1"),
    "--min-two-people": ("turns", "min_two_people", "chance that two people speak"),
    "--min-turns": ("turns", "min_turns", "of a dialogue"),
    "--level": ("export", "level_dbfs", "of speech in what is written, in dBFS; 0 leaves it"),
}


def main(argv: list[str]) -> int:
    """Runs `build INPUT... --out DIR` or one of its subcommands; returns the exit status.

    Raises:
        RepError: what came cannot be used, or a model is absent.
    """
    if argv and argv[0] in _SUBCOMMANDS:
        return _SUBCOMMANDS[argv[0]](argv[1:])
    return _build(argv)


def _build(argv: list[str]) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.offline:
        from data.ncssd.offline import forbid_network

        if arguments.engine == "ray":
            raise InputError("--offline opens no socket, and Ray talks by them; use --engine pool")
        forbid_network()
    # models are small here and rows are many: the pool uses the cores, not the libraries
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from data.ncssd.recognise import resolve

    config = resolve(_config(arguments), arguments.offline)
    _say_models(config, arguments.offline)
    return _run(arguments, config)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="launch.py build",
        description="Turns raw video and audio into two-speaker conversations in NCSSD layout.",
        epilog=f"Also: launch.py build {'|'.join(_SUBCOMMANDS)} --help",
    )
    add = parser.add_argument
    add("inputs", nargs="+", type=Path, metavar="INPUT", help="media files, or folders of them")
    add("--out", type=Path, required=True, metavar="DIR", help="what is made; run again to go on")
    add("--config", type=Path, metavar="FILE", help="settings in JSON; the rest are defaults")
    add("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
    add("--engine", choices=("pool", "ray"), default="pool")
    add("--ray-address", help="of a running Ray cluster; without it one begins here")
    add(
        "--recogniser",
        help="auto (default): Whisper, or pocketsphinx where it cannot be had; whisper, "
        "pocketsphinx, endpoint or none",
    )
    add("--asr-model", help="Whisper's, a folder or a name such as small; or the endpoint's")
    add("--asr-device", help="where Whisper runs: cpu (default), cuda or auto")
    add("--asr-endpoint", help="OpenAI-compatible address ending in /v1")
    add("--language", help="of the recordings: auto (default) finds each dialogue's; en, zh, ...")
    _add_known(parser)
    add("--separation", choices=("none", "demucs"))
    for flag, (stage, setting, what) in _THRESHOLDS.items():
        kind = type(getattr(getattr(BuildConfig(), stage), setting))
        default = getattr(getattr(BuildConfig(), stage), setting)
        add(flag, type=kind, metavar="X", help=f"{what} (default: {default:g})")
    add("--formats", default="", help="also: huggingface,lhotse,kaldi,nemo,rttm,duplex")
    add(
        "--paths",
        choices=tuple(_PATHS),
        default="auto",
        help="how manifests name files: auto (default) as from any folder, absolute for Kaldi and "
        "Lhotse and relative to the manifest for NeMo; relative ones may be moved",
    )
    add("--keep-mixed", action="store_true", help="list turns with another's words in them, too")
    add("--license", default="", help="of the inputs, such as CC-BY-4.0")
    add("--consent", default="", help="how the speakers agreed, in a few words")
    add("--require-license", action="store_true", help="refuse inputs of which none is known")
    add("--offline", action="store_true", help="open no socket to anywhere")
    add("--quiet", action="store_true", help="no progress bars")
    return parser


def _add_known(parser: argparse.ArgumentParser) -> None:
    """Options that take what others have found out about the inputs."""
    add = parser.add_argument
    add(
        "--given",
        action="store_true",
        help="take who speaks when from talk.rttm, or Emilia-Pipe's talk.json, beside talk.wav",
    )
    add(
        "--duplexchat",
        type=Path,
        metavar="FILE",
        help="take where dialogues lie from a manifest of DuplexChat; episodes by their names",
    )


def _config(arguments: argparse.Namespace) -> BuildConfig:
    config = read_config(arguments.config)
    given = {
        "recogniser": arguments.recogniser,
        "language": arguments.language,
        "model": arguments.asr_model,
        "endpoint": arguments.asr_endpoint,
        "device": arguments.asr_device,
    }
    config = config.replace("recognise", **{k: v for k, v in given.items() if v is not None})
    for flag, (stage, setting, _) in _THRESHOLDS.items():
        value = getattr(arguments, flag[2:].replace("-", "_"))
        if value is not None:
            config = config.replace(stage, **{setting: value})
    if arguments.separation is not None:
        config = config.replace("background", separation=arguments.separation)
    return config


def _say_models(config: BuildConfig, offline: bool) -> None:
    """Names every model that is missing at once, before any work is done."""
    from data.ncssd.needs import missing_models

    missing = missing_models(config, offline)
    if missing:
        raise MissingModelError("missing for this build: " + "; ".join(missing))


def _run(arguments: argparse.Namespace, config: BuildConfig) -> int:
    from data.ncssd.engine import Engine, Pool, Serial
    from data.ncssd.exports import FORMATS, Listing
    from data.ncssd.pipeline import build
    from data.ncssd.progress import Bars
    from data.ncssd.sources import find_media, read_sources

    formats = tuple(name for name in arguments.formats.split(",") if name)
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise InputError(f"unknown format {unknown[0]!r}; choose of {', '.join(FORMATS)}")
    rights = {
        "license": arguments.license,
        "consent": arguments.consent,
        "language": config.recognise.language,
    }
    check_folder(arguments.out)
    media = find_media(arguments.inputs, arguments.out)
    sources = read_sources(
        media, rights, arguments.require_license, arguments.given, arguments.duplexchat
    )
    engine: Engine
    closing: contextlib.AbstractContextManager = contextlib.nullcontext()
    if arguments.engine == "ray":
        from data.ncssd.ray_engine import RayEngine

        engine = RayEngine(arguments.workers, arguments.ray_address)
        closing = contextlib.closing(engine)
    else:
        engine = Serial() if arguments.workers == 1 else Pool(arguments.workers)
    _prepare(arguments.out, formats)
    began = time.monotonic()
    try:
        with closing, Bars(arguments.quiet) as bars:
            listing = Listing(_PATHS[arguments.paths], arguments.keep_mixed)
            built = build(sources, arguments.out, config, engine, formats, bars, listing)
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return 130
    _say_made(built, arguments.out, config)
    print(_cost(time.monotonic() - began))
    print(f"next: python3 launch.py build report {arguments.out}")
    return 0


def _say_made(built: "Built", out: Path, config: BuildConfig) -> None:
    from data.ncssd.recognise import doubts

    hours = sum(row["end"] - row["start"] for row in built.accepted) / 3600
    print(f"{len(built.accepted)} dialogues, {hours:.2f} hours, in {out / 'ncssd'}")
    if built.removed:
        print(
            f"{built.removed} dialogues of an earlier build removed from there: these inputs and "
            "settings do not give them (another --out keeps both)"
        )
    print(f"{len(built.dropped) - len(built.quarantined)} scenes and windows left out", end="; ")
    print(f"{len(built.quarantined)} in quarantine ({out / 'quarantine.jsonl'})")
    if why := doubts(config.recognise, built.accepted):
        print(f"WARNING: the texts are not fit for training: {why}; see --recogniser")


def _prepare(out: Path, formats: tuple[str, ...]) -> None:
    """Raises OutputError before any work is done, where its results cannot be written."""
    prepare_folder(out)
    prepare_folder(out / "work")
    for name in ("ncssd", *formats):
        check_folder(out / name)
    for name in ("build.json", "dialogues.jsonl", "dropped.jsonl", "quarantine.jsonl"):
        check_file(out / name)


def _cost(seconds: float) -> str:
    """Time and the memory of the process that took most, which the system keeps count of."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak = max(resource.getrusage(who).ru_maxrss for who in whose) / 1024
    return f"{seconds:.1f} s, at most {peak:.0f} MiB a process"


def _report(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="launch.py build report")
    parser.add_argument("dir", type=Path, help="what a build made")
    parser.add_argument("--beside", type=Path, metavar="DIR", help="another build, to compare with")
    arguments = parser.parse_args(argv)
    from data.ncssd.report import write_report

    print(write_report(arguments.dir, arguments.beside))
    return 0


def _review(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="launch.py build review",
        description="Serves the page on which a person judges the dialogues, until Ctrl-C.",
    )
    parser.add_argument("dir", type=Path, help="what a build made")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=7861)
    parser.add_argument("--auth", default="", metavar="USER:PASSWORD", help="asked of the page")
    parser.add_argument("--no-auth", action="store_true", help="with --host: everybody may come in")
    arguments = parser.parse_args(argv)
    from app.review import serve

    serve(arguments.dir, arguments.host, arguments.port, arguments.auth, arguments.no_auth)
    return 0


def _truth(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="launch.py build truth",
        description="Makes long recordings with known truth from a corpus in NCSSD layout.",
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recordings", type=int, default=12)
    parser.add_argument("--minutes", type=float, default=10.0, help="of each recording")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, default=0, help="dialogues of the corpus to use")
    parser.add_argument(
        "--scenes",
        choices=("changing", "natural", "monologues"),
        default="changing",
        help="changing pairs with silences; one pair or person a recording, by kind of pair and "
        "condition; or single persons alone",
    )
    parser.add_argument("--voices", default="*", help="patterns of voices to use, with commas")
    parser.add_argument(
        "--least", type=int, default=8, help="utterances of a voice that talks in natural scenes"
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
    made = make_truth(arguments.corpus, arguments.out, plan)
    print(f"{len(made)} recordings in {arguments.out}")
    return 0


def _score(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="launch.py build score",
        description="Scores a build against the truth of its recordings.",
    )
    parser.add_argument("truth", type=Path, help="what `build truth` made")
    parser.add_argument("dir", type=Path, help="what `build` made of it")
    parser.add_argument("--words", action="store_true", help="also recognise the true turns")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args(argv)
    if arguments.json is not None:
        prepare_file(arguments.json)
    from data.ncssd.truth.report import score_and_print

    return score_and_print(arguments.truth, arguments.dir, arguments.words, arguments.json)


_SUBCOMMANDS = {
    "report": _report,
    "review": _review,
    "truth": _truth,
    "score": _score,
    "train-segmentation": build_training.segmentation,
    "train-separator": build_training.separator,
    "train-voices": build_training.voices,
    "train-one-person": build_training.one_person,
}
