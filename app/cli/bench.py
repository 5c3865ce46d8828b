"""`launch.py bench`: latency, speed, memory and a cost breakdown on this machine."""

import argparse
import json
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch

from app.options import VOICE_HELP, add_speaking, speak_options
from app.voices import load_speaker, resolve_voice
from data.errors import InputError
from kernels.processor import chosen_kernels
from models.engine.engine import Engine, WorkCost

TEXTS = (
    "The train to the coast leaves at half past nine, so we still have time for breakfast.",
    "I see. That must have been a long and difficult day for you.",
    "My brother repaired the old radio, and now it plays music all night.",
    "Would you like me to read you the second letter as well?",
    "There are three good reasons to stay, and I will tell you all of them.",
)
MIN_REPLIES = 20
_WARM_UP = 3  # replies, or as many as slots


class Timing(NamedTuple):
    """What is kept of a reply, which itself holds its dialogue with a cache of 10 MB."""

    first_audio_ms: float
    rtf: float
    duration_s: float


def main(argv: list[str]) -> int:
    """Synthesises replies, --slots at a time, and prints the measurements as a JSON object."""
    parser = argparse.ArgumentParser(prog="launch.py bench", description=main.__doc__)
    parser.add_argument(
        "--replies", type=int, default=25, help="replies to synthesise (default: %(default)s)"
    )
    parser.add_argument("--slots", type=int, default=1, help="concurrent replies (default: 1)")
    parser.add_argument("--voice", default="", help=VOICE_HELP)
    add_speaking(parser)
    args = parser.parse_args(argv)
    if args.replies < MIN_REPLIES:
        raise InputError(f"--replies is {args.replies}; give at least {MIN_REPLIES}")
    if not 1 <= args.slots <= args.replies:
        raise InputError(f"--slots is {args.slots}; it must be from 1 to --replies")
    speaker, store = load_speaker(args.weights, args.device, args.predictor)
    voice = resolve_voice(store, args.voice)

    def speak(number: int) -> Timing:
        options = speak_options(args, 1000 + number)
        text = TEXTS[number % len(TEXTS)]
        reply = speaker.speak(speaker.open_dialogue(), text, voice, options)
        for _ in reply:
            pass
        return Timing(reply.first_audio_ms or 0.0, reply.rtf or 0.0, reply.duration_s)

    run(speak, range(-max(_WARM_UP, args.slots), 0), args.slots)
    before = costs_of(speaker.engine)
    wall, processor = time.perf_counter(), time.process_time()
    replies = run(speak, range(args.replies), args.slots)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    result = summarise(replies, wall, processor)
    audio_s = sum(reply.duration_s for reply in replies)
    result["work"] = by_audio(costs_of(speaker.engine), before, audio_s)
    result |= {
        "threads": torch.get_num_threads(),
        "predictor": args.predictor,
        "replies": args.replies,
        "slots": args.slots,
        "device": args.device,
        "kernels": chosen_kernels(),
        "cuda_graphs": speaker.step_graphs(args.predictor),
    }
    print(json.dumps(result))
    return 0


def run(speak: Callable[[int], Timing], numbers: range, slots: int) -> list[Timing]:
    """Runs `speak` on all numbers with `slots` workers; prints progress to stderr."""
    waiting, lock, done = iter(numbers), threading.Lock(), list[Timing]()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            while not errors:
                with lock:
                    number = next(waiting, None)
                if number is None:
                    return
                done.append(speak(number))
                _say(number, done[-1])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(slots)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return done


def _say(number: int, reply: Timing) -> None:
    if number >= 0:
        first, rtf = reply.first_audio_ms, reply.rtf
        print(f"{number + 1:3}  first audio {first:6.1f} ms  RTF {rtf:.3f}", file=sys.stderr)


def summarise(replies: list[Timing], wall_s: float, processor_s: float) -> dict[str, object]:
    """Aggregate measurements.

    Args:
        replies: all replies.
        wall_s: their total wall time, s.
        processor_s: their total CPU time over all cores, s.
    """
    first = [reply.first_audio_ms for reply in replies]
    rtf = [reply.rtf for reply in replies]
    audio_s = sum(reply.duration_s for reply in replies)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "first_audio_ms_p50": round(statistics.median(first), 1),
        "first_audio_ms_p95": round(_percentile(first, 0.95), 1),
        "rtf_p50": round(statistics.median(rtf), 4),
        "rtf_p95": round(_percentile(rtf, 0.95), 4),
        "audio_s_per_s": round(audio_s / wall_s, 2),
        "audio_s_per_processor_s": round(audio_s / processor_s, 2),
        "peak_rss_mb": round(peak, 1),
    }


def costs_of(engine: Engine) -> dict[str, WorkCost]:
    """The cost of an engine so far, by kind of work."""
    return {kind: replace(cost) for kind, cost in engine.costs.items()}


def by_audio(
    now: dict[str, WorkCost], before: dict[str, WorkCost], audio_s: float
) -> dict[str, dict[str, float]]:
    """By kind of work: milliseconds per second of audio, and mean batch size."""
    found = {}
    for kind, spent in now.items():
        was = before[kind]
        found[kind] = {
            "ms_per_audio_s": round(1000 * (spent.seconds - was.seconds) / audio_s, 3),
            "slots_together": round((spent.slots - was.slots) / max(1, spent.count - was.count), 2),
        }
    return found


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]
