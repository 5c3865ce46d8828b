"""`launch.py bench`: first audio, speed and memory of replies on this machine."""

import argparse
import json
import resource
import statistics
import sys

import torch

from app.options import VOICE_HELP, add_speaking, speak_options
from app.voices import load_speaker, resolve_voice
from data.errors import InputError

TEXTS = (
    "The train to the coast leaves at half past nine, so we still have time for breakfast.",
    "I see. That must have been a long and difficult day for you.",
    "My brother repaired the old radio, and now it plays music all night.",
    "Would you like me to read you the second letter as well?",
    "There are three good reasons to stay, and I will tell you all of them.",
)
MIN_REPLIES = 20


def main(argv: list[str]) -> int:
    """Measures replies one after the other; the last line is a JSON object."""
    parser = argparse.ArgumentParser(prog="launch.py bench", description=main.__doc__)
    parser.add_argument("--replies", type=int, default=25)
    parser.add_argument("--voice", default="", help=VOICE_HELP)
    add_speaking(parser)
    args = parser.parse_args(argv)
    if args.replies < MIN_REPLIES:
        raise InputError(f"--replies is {args.replies}; at least {MIN_REPLIES} make a median")
    speaker, store = load_speaker(args.weights, args.device, args.predictor)
    voice = resolve_voice(store, args.voice)
    first, rtf = [], []
    for number in range(-3, args.replies):  # three to warm up
        reply = speaker.speak(
            speaker.open_dialogue(),
            TEXTS[number % len(TEXTS)],
            voice,
            speak_options(args, 1000 + number),
        )
        for _ in reply:
            pass
        if number >= 0:
            assert reply.first_audio_ms is not None and reply.rtf is not None
            first.append(reply.first_audio_ms)
            rtf.append(reply.rtf)
            print(
                f"{number + 1:3}  first audio {first[-1]:6.1f} ms  RTF {rtf[-1]:.3f}",
                file=sys.stderr,
            )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = {
        "first_audio_ms_p50": round(statistics.median(first), 1),
        "first_audio_ms_p95": round(_percentile(first, 0.95), 1),
        "rtf_p50": round(statistics.median(rtf), 4),
        "rtf_p95": round(_percentile(rtf, 0.95), 4),
        "peak_rss_mb": round(peak, 1),
        "threads": torch.get_num_threads(),
        "predictor": args.predictor,
        "replies": args.replies,
        "device": args.device,
    }
    print(json.dumps(result))
    return 0


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]
