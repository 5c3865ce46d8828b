"""`launch.py build`: the command line of the dataset builder."""

import argparse
import os
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli import build_training, build_truth
from app.cli.build_engine import make_engine, with_devices
from data.errors import InputError, MissingModelError
from data.files import check_file, check_folder, prepare_folder
from data.ncssd.config import BuildConfig, read_config

if TYPE_CHECKING:
    from data.ncssd.pipeline import Built

_PATHS = {"auto": None, "absolute": True, "relative": False}
# flag: stages, their setting, help
_THRESHOLDS = {
    "--max-clipped-file": ("decode", "max_clipped", "maximum share of clipped samples in a file"),
    "--min-scene": ("activity", "min_scene_s", "minimum length of a scene, seconds"),
    "--min-speech": ("activity", "min_speech_share", "minimum share of speech in a scene, 0 to 1"),
    "--min-snr": (
        "background quality",
        "min_snr_db",
        "minimum signal-to-noise ratio of scenes and turns, dB",
    ),
    "--min-turns": ("turns", "min_turns", "minimum turns of a dialogue"),
    "--min-dialogue": ("turns", "min_dialogue_s", "minimum length of a dialogue, seconds"),
    "--min-two-people": ("turns", "min_two_people", "minimum probability of two speakers, 0 to 1"),
    "--min-separation": ("overlaps", "min_sdr_db", "minimum predicted SDR of split speech, dB"),
    "--min-dnsmos": ("quality", "min_dnsmos", "minimum mean DNSMOS of a dialogue, 1 to 5"),
    "--min-bandwidth": ("quality", "min_bandwidth_hz", "minimum bandwidth of a turn, Hz"),
    "--max-clipped": ("quality", "max_clipped", "maximum share of clipped samples in a turn"),
    "--min-confidence": ("quality", "min_confidence", "minimum ASR confidence of a turn, 0 to 1"),
    "--min-agreement": (
        "quality",
        "min_agreement",
        "minimum agreement of a turn's two texts, 0 to 1; needs --second-recogniser",
    ),
    "--max-failed": (
        "quality",
        "max_failed_turns",
        "maximum share of a dialogue's turns outside the limits of turns, 0 to 1",
    ),
    "--level": ("export", "level_dbfs", "target speech level in dBFS; 0 leaves it unchanged"),
}


def main(argv: list[str]) -> int:
    """Runs `build INPUT... --out DIR` or one of its subcommands; returns the exit status.

    Raises:
        RepError: the input cannot be used, or a model is missing.
    """
    if argv and argv[0] in _SUBCOMMANDS:
        return _SUBCOMMANDS[argv[0]](argv[1:])
    return _build(argv)


def _build(argv: list[str]) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.offline:
        from data.ncssd.offline import forbid_network

        if arguments.engine == "ray":
            raise InputError("--offline opens no socket, but Ray needs them; use --engine pool")
        forbid_network()
    # Models are small and rows are many, so the pool uses the cores, one thread per process.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from data.ncssd.recognise import resolve

    config = resolve(_config(arguments), arguments.offline)
    _say_models(config, arguments.offline)
    return _run(arguments, config)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="launch.py build",
        description="Turns raw audio and video into two-speaker conversations in NCSSD layout.",
        epilog=f"Also: launch.py build {'|'.join(_SUBCOMMANDS)} --help",
    )
    add = parser.add_argument
    add("inputs", nargs="+", type=Path, metavar="INPUT", help="media files or folders")
    add(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="output folder; repeat the command to resume",
    )
    add("--config", type=Path, metavar="FILE", help="JSON file of settings that override defaults")
    add("--workers", type=int, help="processes (default: all cores, of a cluster too)")
    add(
        "--device",
        default="cpu",
        help="device of all networks but Whisper, which has --asr-device: cpu (default), cuda, "
        "cuda:N or auto",
    )
    add(
        "--engine",
        choices=("pool", "ray"),
        default="pool",
        help="local processes or a Ray cluster (default: pool)",
    )
    add("--ray-address", help="address of a Ray cluster (default: start one here)")
    _add_recognisers(parser)
    _add_known(parser)
    add(
        "--separation",
        choices=("none", "demucs"),
        help="remove music and noise (default: none)",
    )
    add(
        "--separate-overlaps",
        action=argparse.BooleanOptionalAction,
        help="split overlapping speech into a track per speaker (default: yes)",
    )
    _add_output(parser)
    return parser


def _add_recognisers(parser: argparse.ArgumentParser) -> None:
    """Adds the options of recognisers and the language."""
    add = parser.add_argument
    add(
        "--recogniser",
        help="auto (default): Whisper, or pocketsphinx if its weights are missing; whisper, "
        "pocketsphinx, endpoint or none",
    )
    add("--asr-model", help="Whisper folder or model name such as small; or the endpoint's model")
    add("--asr-device", help="device for Whisper: cpu (default), cuda or auto")
    add(
        "--asr-batch",
        type=int,
        metavar="N",
        help="turns that Whisper decodes at once (default: 8); larger batches are meant for GPUs",
    )
    add("--asr-endpoint", help="OpenAI-compatible URL ending in /v1")
    add(
        "--second-recogniser",
        help="measure how far its text of each turn agrees with the first: none (default), "
        "whisper, pocketsphinx or endpoint",
    )
    add("--second-asr-model", help="model of the second recogniser, as --asr-model")
    add(
        "--language",
        help="spoken language: auto (default) detects it per dialogue; en, zh-CN, pt_BR, ...",
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    """Adds the options of filters, exports and rights."""
    add = parser.add_argument
    for flag, (stages, setting, what) in _THRESHOLDS.items():
        default = getattr(getattr(BuildConfig(), stages.split()[0]), setting)
        add(flag, type=type(default), metavar="X", help=f"{what} (default: {default:g})")
    add(
        "--formats",
        default="",
        help="additional export formats: huggingface,lhotse,kaldi,nemo,rttm,duplex",
    )
    add(
        "--paths",
        choices=tuple(_PATHS),
        default="auto",
        help="file paths in manifests: auto (default) is absolute for Kaldi and Lhotse, relative "
        "to the manifest for NeMo; relative ones survive moving the folder",
    )
    add(
        "--keep-mixed",
        action="store_true",
        help="also list turns that contain the other speaker's words",
    )
    add("--license", default="", help="licence of the inputs, such as CC-BY-4.0")
    add("--consent", default="", help="how the speakers consented, in a few words")
    add(
        "--link-shows",
        action="store_true",
        help="link speakers across all episodes of a show: the files of one folder, or those with "
        'the same {"show": "..."} in talk.mp3.json',
    )
    add("--require-license", action="store_true", help="reject inputs without a known licence")
    add("--offline", action="store_true", help="open no network connection")
    add("--quiet", action="store_true", help="hide progress bars")


def _add_known(parser: argparse.ArgumentParser) -> None:
    """Adds the options that use existing annotations of the inputs."""
    add = parser.add_argument
    add(
        "--given",
        action="store_true",
        help="take the diarisation from talk.rttm, or Emilia-Pipe's talk.json, beside talk.wav",
    )
    add(
        "--duplexchat",
        type=Path,
        metavar="FILE",
        help="take the dialogue boundaries from a DuplexChat manifest; episodes match by name",
    )


def _config(arguments: argparse.Namespace) -> BuildConfig:
    config = read_config(arguments.config)
    given = {
        "recogniser": arguments.recogniser,
        "language": arguments.language,
        "model": arguments.asr_model,
        "endpoint": arguments.asr_endpoint,
        "device": arguments.asr_device,
        "batch": arguments.asr_batch,
        "second": arguments.second_recogniser,
        "second_model": arguments.second_asr_model,
    }
    config = config.replace("recognise", **{k: v for k, v in given.items() if v is not None})
    for flag, (stages, setting, _) in _THRESHOLDS.items():
        value = getattr(arguments, flag[2:].replace("-", "_"))
        if value is not None:
            for stage in stages.split():
                config = config.replace(stage, **{setting: value})
    if arguments.separation is not None:
        config = config.replace("background", separation=arguments.separation)
    if arguments.separate_overlaps is not None:
        config = config.replace("overlaps", separate=arguments.separate_overlaps)
    return with_devices(config, arguments.device, arguments.engine)


def _say_models(config: BuildConfig, offline: bool) -> None:
    """Reports all missing models at once, before any work."""
    from data.ncssd.missing_models import missing_models

    missing = missing_models(config, offline)
    if missing:
        raise MissingModelError("missing for this build: " + "; ".join(missing))


def _run(arguments: argparse.Namespace, config: BuildConfig) -> int:
    from data.ncssd.exports import FORMATS, Listing
    from data.ncssd.known_files import KnownFiles
    from data.ncssd.pipeline import build
    from data.ncssd.progress import Bars
    from data.ncssd.sources import find_media, read_sources

    formats = tuple(name for name in arguments.formats.split(",") if name)
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise InputError(f"unknown format {unknown[0]!r}; choose from {', '.join(FORMATS)}")
    rights = {
        "license": arguments.license,
        "consent": arguments.consent,
        "language": config.recognise.language,
    }
    check_folder(arguments.out)
    media = find_media(arguments.inputs, arguments.out)
    began = time.monotonic()
    try:
        with make_engine(arguments, config) as engine:
            sources = read_sources(
                media,
                rights,
                arguments.require_license,
                arguments.given,
                arguments.duplexchat,
                arguments.link_shows,
                KnownFiles(arguments.out / "work" / "files.jsonl"),
            )
            _prepare(arguments.out, formats)
            listing = Listing(_PATHS[arguments.paths], arguments.keep_mixed)
            with Bars(arguments.quiet, {s.sha256: s.seconds for s in sources}) as bars:
                built = build(sources, arguments.out, config, engine, formats, bars, listing)
    except KeyboardInterrupt:
        print("\nstopped; repeat the command to resume", file=sys.stderr)
        return 130
    _say_made(built, arguments.out, config)
    print(_cost(time.monotonic() - began))
    print(f"next: python3 launch.py build report {arguments.out}")
    return 0


def _say_made(built: "Built", out: Path, config: BuildConfig) -> None:
    from data.ncssd.recognise import doubts, unmeasured

    hours = sum(row["end"] - row["start"] for row in built.accepted) / 3600
    print(f"{len(built.accepted)} dialogues, {hours:.2f} hours, in {out / 'ncssd'}")
    if built.removed:
        print(
            f"{built.removed} dialogues of an earlier build removed: they do not come from these "
            "inputs and settings (use another --out to keep both)"
        )
    print(f"{len(built.dropped) - len(built.quarantined)} scenes and windows rejected", end="; ")
    print(f"{len(built.quarantined)} files quarantined ({out / 'quarantine.jsonl'})")
    if why := doubts(config.recognise, built.accepted):
        print(f"WARNING: the transcripts are not fit for training: {why}; see --recogniser")
    if why := unmeasured(config.recognise, built.accepted):
        print(f"WARNING: {why}")


def _prepare(out: Path, formats: tuple[str, ...]) -> None:
    """Raises OutputError before any work if the results cannot be written."""
    prepare_folder(out)
    prepare_folder(out / "work")
    for name in ("ncssd", *formats):
        check_folder(out / name)
    for name in ("build.json", "dialogues.jsonl", "dropped.jsonl", "quarantine.jsonl"):
        check_file(out / name)


def _cost(seconds: float) -> str:
    """Wall time and the peak memory of the largest process."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak = max(resource.getrusage(who).ru_maxrss for who in whose) / 1024
    return f"{seconds:.1f} s, peak memory {peak:.0f} MiB per process"


def _report(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="launch.py build report", description="Writes DIR/report.html about a build."
    )
    parser.add_argument("dir", type=Path, help="output folder of a build")
    parser.add_argument("--beside", type=Path, metavar="DIR", help="another build to compare with")
    parser.add_argument(
        "--reference",
        type=Path,
        metavar="FOLDER",
        help="data set in NCSSD layout whose distributions are shown beside the build's",
    )
    arguments = parser.parse_args(argv)
    from data.ncssd.report import write_report

    print(write_report(arguments.dir, arguments.beside, arguments.reference))
    return 0


def _review(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="launch.py build review",
        description="Serves a page for manual review of the dialogues until Ctrl-C.",
    )
    parser.add_argument("dir", type=Path, help="output folder of a build")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to bind to (default: localhost)"
    )
    parser.add_argument("--port", type=int, default=7861, help="port (default: %(default)s)")
    parser.add_argument("--auth", default="", metavar="USER:PASSWORD", help="login for the page")
    parser.add_argument(
        "--no-auth", action="store_true", help="with --host: disable authentication"
    )
    arguments = parser.parse_args(argv)
    from app.review import serve

    serve(arguments.dir, arguments.host, arguments.port, arguments.auth, arguments.no_auth)
    return 0


_SUBCOMMANDS = {
    "report": _report,
    "review": _review,
    "truth": build_truth.truth,
    "score": build_truth.score,
    "train-segmentation": build_training.segmentation,
    "train-separator": build_training.separator,
    "train-voice-encoder": build_training.voice_encoder,
    "train-voices": build_training.voices,
    "train-one-person": build_training.one_person,
}
