"""`launch.py clone`: clone a voice from a few seconds of one person's speech."""

import argparse
import time
from functools import partial
from pathlib import Path

from app.library import Library
from app.spoken_consent import SENTENCES, consent_with
from app.voice_sample import MAX_SAMPLE_S
from app.voices import load_speaker, read_clips, recognised
from models.checkpoint import WEIGHTS
from models.voice import load_voices


def main(argv: list[str]) -> int:
    """Clones a voice from a few seconds of one person's speech and stores it by name."""
    parser = argparse.ArgumentParser(prog="launch.py clone", description=main.__doc__)
    parser.add_argument("sample", type=Path, nargs="+", help="audio files of the same voice")
    parser.add_argument("--name", required=True, help="name of the new voice")
    parser.add_argument(
        "--consent", required=True, help="who consented to the use of the voice, in your words"
    )
    parser.add_argument(
        "--spoken-consent",
        type=Path,
        metavar="FILE",
        help=f"recording in which the person says (--language zh: in Mandarin): {SENTENCES['en']}",
    )
    parser.add_argument("--transcript", help="transcript of the sample (default: recognised)")
    parser.add_argument("--language", default="en", help="language of the sample (default: en)")
    parser.add_argument("--weights", type=Path, help="weights folder (default: bundled)")
    parser.add_argument("--library", type=Path, help="folder of cloned voices")
    args = parser.parse_args(argv)
    library = Library(args.library, load_voices(args.weights or WEIGHTS))
    library.prepare(args.name, args.consent)  # before the models load
    _, store = load_speaker(args.weights, library=library)
    transcribe = recognised if args.transcript is None else lambda samples: args.transcript
    spoken = None
    if args.spoken_consent is not None:
        (said,) = read_clips([args.spoken_consent])
        spoken = partial(consent_with, args.consent, said, recognised, args.language)
    started = time.perf_counter()
    facts, sample = store.clone_and_keep(
        read_clips(args.sample), args.name, args.consent, transcribe, args.language, spoken
    )
    if spoken is not None:
        print(f"consent: {facts.consent}")
    print(f"{args.name}: {sample.verdict}; at most {MAX_SAMPLE_S:.0f} s are used")
    print(f"cloned and stored in {time.perf_counter() - started:.2f} s")
    print(f"transcript: {facts.transcript or '(nothing recognised)'}")
    print(f'next: python3 launch.py reply --voice {args.name} --text "..." --out reply.wav')
    return 0
