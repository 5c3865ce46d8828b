"""`launch.py eval hearing`: evaluate the chat's recognition and turn taking."""

import argparse
import time
from pathlib import Path

from app.measuring.barge_in import barge_in
from app.measuring.echoes import echoes
from app.measuring.invented import invented
from app.measuring.parts import Bench, Part, measured
from app.measuring.turns import turns
from app.measuring.words import words
from app.turn_ending import TurnJudge
from data.errors import InputError
from data.files import prepare_folder
from data.recognition.smart_turn import SmartTurn
from data.recognition.smart_turn_weights import find_smart_turn
from data.recognition.whisper_recognizer import WhisperRecognizer
from data.recognition.whisper_weights import DEFAULT_MODEL
from models.evaluation.figures import as_text, figure_table

PARTS = {
    "words": (words, "WER of the chat's transcripts, clean and in noise, and their latency"),
    "turns": (turns, "turns cut off at a hesitation, and end-of-turn latency"),
    "barging": (barge_in, "backchannels that stop the agent, interruptions that do not"),
    "echoes": (echoes, "the agent's own echo mistaken for the user"),
    "invented": (invented, "words hallucinated in noise, music and silence"),
}


def main(argv: list[str]) -> int:
    """Measures recognition and turn taking in conversations on a virtual clock, with the chat's
    Whisper, Smart Turn, silero-vad and echo canceller. Results are stored as they are measured: an
    interrupted run resumes when the command is repeated."""
    args = _parser().parse_args(argv)
    for folder in args.data:
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder; --data takes speech in NCSSD layout")
    names = args.parts.split(",") if args.parts else list(PARTS)
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise InputError(f"unknown measure {unknown[0]!r}; --parts takes {', '.join(PARTS)}")
    out = prepare_folder(args.out)
    until = time.monotonic() + 60 * args.minutes
    bench = Bench(
        WhisperRecognizer(args.asr_model, num_threads=args.asr_threads),
        TurnJudge(SmartTurn(find_smart_turn())),
        tuple(args.data),
        args.count,
        args.seed,
    )
    try:
        for name in names:
            _show(PARTS[name][0](bench), out, until)
    finally:
        bench.recognizer.close()
        bench.judge.close()
    return 0


def _show(part: Part, out: Path, until: float) -> None:
    rows = measured(part, out, until)
    left = len(part.items) - len(rows)
    title = f"{part.name}: {len(rows)} of {len(part.items)}"
    if left:
        title += "; repeat the command for the rest"
    print(as_text(figure_table(title, part.figures(rows))), flush=True)


def _parser() -> argparse.ArgumentParser:
    epilog = "; ".join(f"{name}: {text}" for name, (_, text) in PARTS.items())
    parser = argparse.ArgumentParser(
        prog="launch.py eval hearing", description=main.__doc__, epilog=epilog
    )
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, help="held-out speech in NCSSD layout"
    )
    parser.add_argument("--parts", help=f"any of {','.join(PARTS)} (default: all)")
    parser.add_argument(
        "--count", type=int, help="items per part and language (default: the part's own)"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="time limit (default: none)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs/hearing"),
        help="results folder (default: %(default)s)",
    )
    parser.add_argument(
        "--asr-model",
        default=DEFAULT_MODEL,
        help="Whisper folder or model name (default: %(default)s)",
    )
    parser.add_argument(
        "--asr-threads",
        type=int,
        help="Whisper's threads (default: as in the chat, half the cores, at most 2)",
    )
    return parser
