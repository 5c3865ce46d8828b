"""`launch.py synth`: resumable batch synthesis from a JSONL file, with a manifest."""

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path

from app.batch import TIMES, Row, made_from, run_batch, speak_item, weights_of
from app.batch_items import Item, read_items
from app.marking_option import add_marking, add_watermark, watermark_of
from app.options import add_speaking, speak_options
from app.voices import load_speaker, resolve_voice
from data.errors import InputError
from data.files import check_file, clean_leftovers, folder_lock, prepare_folder
from models.checkpoint import WEIGHTS
from models.speaker import SpeakOptions

SLOTS = 8  # more gain little on a CPU, and each holds a dialogue's cache


def main(argv: list[str]) -> int:
    """Synthesises a JSONL file with `id`, `text` and optionally `voice`, `dialogue`, `seed` and
    `instructions` per line. An interrupted run resumes."""
    parser = argparse.ArgumentParser(prog="launch.py synth", description=main.__doc__)
    parser.add_argument("items", type=Path, help="JSONL file")
    parser.add_argument("out", type=Path, help="output folder")
    parser.add_argument("--jobs", type=int, default=1, help="concurrent batches (default: 1)")
    parser.add_argument(
        "--slots",
        type=int,
        default=SLOTS,
        help=f"batch size (default: {SLOTS}; with 1 a seed is reproducible bit for bit)",
    )
    parser.add_argument(
        "--times",
        nargs="+",
        choices=TIMES,
        default=[],
        help="also write word timestamps as subtitles, or as JSON with phone timestamps",
    )
    add_marking(parser)
    add_watermark(parser)
    add_speaking(parser)
    args = parser.parse_args(argv)
    for name in ("jobs", "slots"):
        if getattr(args, name) < 1:
            raise InputError(f"--{name} is {getattr(args, name)}; it must be 1 or more")
    shared = speak_options(args, 0)  # validates them before the models load
    items = read_items(args.items)
    prepare_folder(args.out)
    kinds = ("wav", *args.times)
    for name in ("manifest.jsonl", *(f"{item.id}.{kind}" for item in items for kind in kinds)):
        check_file(args.out / name)
    with folder_lock(args.out, "another synth"):
        clean_leftovers(args.out)
        return _synthesize(items, args, shared)


def _synthesize(items: list[Item], args: argparse.Namespace, shared: SpeakOptions) -> int:
    watermark = watermark_of(args)
    speaker, store = load_speaker(args.weights, args.device, args.predictor)
    names = {item.id: [item.voice, *(name for name, _ in item.lines)] for item in items}
    wanted = {name for several in names.values() for name in several}
    voices = {name: resolve_voice(store, name) for name in sorted(wanted)}
    options = asdict(shared)
    del options["streamed"]  # does not affect the audio
    speaking = {
        "options": options,
        "times": sorted(args.times),
        "marked": not args.no_marking,
        "predictor": args.predictor,
        "weights": weights_of(args.weights or WEIGHTS, args.predictor),
        **({} if watermark is None else {"watermark": watermark.name}),
    }
    marked = not args.no_marking

    def speak(item: Item) -> Row:
        options = replace(speak_options(args, item.seed), streamed=False)
        return speak_item(speaker, item, voices, args.out, options, args.times, marked, watermark)

    digests = {
        item.id: made_from(item, [voices[name] for name in names[item.id]], speaking)
        for item in items
    }
    done, failures = run_batch(items, digests, args.out, args.jobs * args.slots, speak)
    for name, reason in failures:
        print(f"failed: {name}: {reason}", file=sys.stderr)
    print(f"{done} of {len(items)} items synthesised into {args.out}")
    return 1 if failures else 0
