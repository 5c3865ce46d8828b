"""`launch.py reply`: synthesise one reply to a dialogue, from text or by speech-to-speech."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from app.marking_option import add_marking, add_watermark, watermark_of
from app.multi_voice_reply import Line, lines_in, speak_lines
from app.options import VOICE_HELP, add_speaking, speak_options
from app.past_turns import hear_sound, hear_turns
from app.voices import load_speaker, resolve_voice, synthetic_fields
from data.audio import SAMPLE_RATE, mark_of, prepare_audio_file, write_audio
from data.dialogue import Turn, read_dialogue
from data.limits import MAX_SPOKEN, limited_text
from models.delivery.instructions import understand
from models.omni import Omni
from models.reply import Reply
from models.speaker import Speaker, SpeakOptions
from models.voice import Voice


def main(argv: list[str]) -> int:
    """Synthesises a reply to a dialogue and writes it to a file."""
    args = _parser().parse_args(argv)
    options = speak_options(args, args.seed)
    prepare_audio_file(args.out)
    text = None if args.speech_to_speech else limited_text(args.text, MAX_SPOKEN, "--text")
    turns = read_dialogue(args.dialogue).turns if args.dialogue else []
    watermark = watermark_of(args)
    speaker, store = load_speaker(args.weights, args.device, args.predictor)
    voice = resolve_voice(store, args.voice)
    voices = [voice]
    if text is None:
        reply = _thought_of(speaker, turns, voice, options, args.weights)
    else:
        lines = lines_in(text, voice, lambda name: resolve_voice(store, name))
        lines = lines or [Line(voice, text)]
        reply = speak_lines(speaker, lambda: hear_turns(speaker, turns), lines, options)
        voices = list({line.voice.name: line.voice for line in lines}.values())
    for _ in reply:
        pass
    marks = synthetic_fields(*voices)
    mark = "" if args.no_marking else mark_of(str(marks.get("consent", "")))
    samples = reply.samples() if watermark is None else watermark.mark(reply.samples())
    write_audio(args.out, samples, SAMPLE_RATE, mark)
    if args.json:
        print(json.dumps(_facts(args, reply, voice, marks), ensure_ascii=False))
        return 0
    if args.speech_to_speech:
        print(reply.text)
    print(
        f"{args.out}: {reply.duration_s:.3f} s, voice {voice.name}, first audio after "
        f"{reply.first_audio_ms or 0:.0f} ms, RTF {reply.rtf or 0:.2f}, seed {reply.seed}"
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="launch.py reply", description=main.__doc__)
    parser.add_argument("--dialogue", type=Path, help="dialogue.json, or a folder in NCSSD layout")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--text", help="text of the reply")
    what.add_argument(
        "--speech-to-speech",
        action="store_true",
        help="generate the reply from the audio of the dialogue's last turn (the bundled model "
        "knows only the topics of its synthetic training conversations)",
    )
    parser.add_argument("--voice", default="", help=VOICE_HELP)
    parser.add_argument("--out", type=Path, required=True, help=".wav or .flac file to write")
    parser.add_argument("--seed", type=int, help="random seed, for reproducible output")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_marking(parser)
    add_watermark(parser)
    add_speaking(parser)
    return parser


def _thought_of(
    speaker: Speaker, turns: list[Turn], voice: Voice, options: SpeakOptions, weights: Path | None
) -> Reply:
    """A reply whose text the thinker generates."""
    omni = Omni.load(speaker, weights)
    print("the thinker knows only the topics of its training data", file=sys.stderr)
    dialogue, exchanges = hear_sound(speaker, omni, turns)
    return speaker.speak(dialogue, omni.think(exchanges, options.seed), voice, options)


def _facts(
    args: argparse.Namespace, reply: Any, voice: Voice, marks: dict[str, object]
) -> dict[str, object]:
    return {
        "out": str(args.out),
        "sample_rate": SAMPLE_RATE,
        "duration_s": round(reply.duration_s, 3),
        "first_audio_ms": round(reply.first_audio_ms or 0.0, 1),
        "rtf": round(reply.rtf or 0.0, 4),
        "predictor": args.predictor,
        "voice": voice.name,
        **marks,
        **({"understood": understand(args.instructions).summary} if args.instructions else {}),
        "text": reply.text,
        "seed": reply.seed,
        "retries": reply.retries,
        "words": [list(word) for word in reply.words],
    }
