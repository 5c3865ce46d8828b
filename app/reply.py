"""`launch.py reply`: one answer to a dialogue, spoken."""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

from app.options import add_speaking, speak_options
from app.voices import load_speaker, resolve_voice
from data.audio import SAMPLE_RATE, write_audio
from data.dialogue import Turn, read_dialogue
from data.errors import InputError
from models.dialogue_state import DialogueState
from models.speaker import Speaker

MAX_TEXT = 4096


def hear_turns(speaker: Speaker, turns: Iterable[Turn]) -> DialogueState:
    """A dialogue in which `turns` were heard."""
    dialogue = speaker.open_dialogue()
    for turn in turns:
        speaker.hear(dialogue, int(turn.speaker), turn.text, turn.load())
    return dialogue


def checked_text(text: str) -> str:
    """The text, if it is of a length that can be spoken at once.

    Raises:
        InputError: it is empty or too long.
    """
    if not text.strip():
        raise InputError("the text is empty; give something to say")
    if len(text) > MAX_TEXT:
        raise InputError(
            f"the text has {len(text)} characters; at most {MAX_TEXT} are spoken at once: split it"
        )
    return text


def main(argv: list[str]) -> int:
    """Speaks the answer to a dialogue into a file."""
    parser = argparse.ArgumentParser(prog="launch.py reply", description=main.__doc__)
    parser.add_argument("--dialogue", type=Path, help="dialogue.json, or a folder in NCSSD layout")
    parser.add_argument("--text", required=True, help="what to answer")
    parser.add_argument("--voice", default="slt", help="a bundled voice, or an audio file")
    parser.add_argument("--out", type=Path, required=True, help="a .wav or .flac file")
    parser.add_argument("--seed", type=int, help="the same seed gives the same speech")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_speaking(parser)
    args = parser.parse_args(argv)
    text, options = checked_text(args.text), speak_options(args, args.seed)
    turns = read_dialogue(args.dialogue).turns if args.dialogue else []
    speaker = load_speaker(args.weights, args.device, args.predictor)
    voice = resolve_voice(speaker, args.voice)
    reply = speaker.speak(hear_turns(speaker, turns), text, voice, options)
    for _ in reply:
        pass
    write_audio(args.out, reply.samples(), SAMPLE_RATE)
    result = {
        "out": str(args.out),
        "sample_rate": SAMPLE_RATE,
        "duration_s": round(reply.duration_s, 3),
        "first_audio_ms": round(reply.first_audio_ms or 0.0, 1),
        "rtf": round(reply.rtf or 0.0, 4),
        "predictor": args.predictor,
        "voice": voice.name,
        "seed": reply.seed,
        "retries": reply.retries,
        "words": [list(word) for word in reply.words],
    }
    if args.json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        print(
            f"{result['out']}: {result['duration_s']} s in the voice {voice.name}, first audio "
            f"after {result['first_audio_ms']:.0f} ms, {result['rtf']:.2f} s of work a second "
            f"(seed {reply.seed})"
        )
    return 0
