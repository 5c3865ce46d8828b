"""`launch.py reply`: one answer to a dialogue, spoken; what to say is given, or thought of."""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from app.options import VOICE_HELP, add_speaking, speak_options
from app.performance import Line, lines_in, perform
from app.voices import load_speaker, resolve_voice, synthetic_fields
from data.audio import SAMPLE_RATE, mark_of, prepare_audio_file, write_audio
from data.dialogue import Turn, read_dialogue
from data.limits import MAX_SPOKEN, limited_text
from models.delivery.instructions import understand
from models.dialogue_state import DialogueState
from models.omni import Omni
from models.predictors.thinker import USER, Exchange
from models.speaker import Speaker


def hear_turns(speaker: Speaker, turns: Iterable[Turn]) -> DialogueState:
    """A dialogue in which `turns` were heard."""
    dialogue = speaker.open_dialogue()
    for turn in turns:
        speaker.hear(dialogue, int(turn.speaker), turn.text, turn.load())
    return dialogue


def hear_sound(
    speaker: Speaker, omni: Omni, turns: Iterable[Turn]
) -> tuple[DialogueState, list[Exchange]]:
    """A dialogue in which `turns` were heard, for speech-to-speech: the words of the user's turns
    are taken from no file where there is sound."""
    dialogue = speaker.open_dialogue()
    exchanges = []
    for turn in turns:
        who, samples = int(turn.speaker), turn.load()
        text = "" if who == USER and samples is not None else turn.text
        speaker.hear(dialogue, who, text, samples)
        exchanges.append(omni.exchange(who, text, samples))
    return dialogue, exchanges


def main(argv: list[str]) -> int:
    """Speaks the answer to a dialogue into a file."""
    parser = argparse.ArgumentParser(prog="launch.py reply", description=main.__doc__)
    parser.add_argument("--dialogue", type=Path, help="dialogue.json, or a folder in NCSSD layout")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--text", help="what to answer")
    what.add_argument(
        "--speech-to-speech",
        action="store_true",
        help="think of an answer to the sound of the dialogue's last turn (the bundled model only "
        "knows the topics of the synthetic conversations)",
    )
    parser.add_argument("--voice", default="", help=VOICE_HELP)
    parser.add_argument("--out", type=Path, required=True, help="a .wav or .flac file")
    parser.add_argument("--seed", type=int, help="the same seed gives the same speech")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_speaking(parser)
    args = parser.parse_args(argv)
    options = speak_options(args, args.seed)
    prepare_audio_file(args.out)
    text = None if args.speech_to_speech else limited_text(args.text, MAX_SPOKEN, "--text")
    turns = read_dialogue(args.dialogue).turns if args.dialogue else []
    speaker, store = load_speaker(args.weights, args.device, args.predictor)
    voice = resolve_voice(store, args.voice)
    voices = [voice]
    if text is None:
        omni = Omni.load(speaker, args.weights)
        print("the thinker can only talk about what it was trained on", file=sys.stderr)
        dialogue, exchanges = hear_sound(speaker, omni, turns)
        thought = omni.think(exchanges, args.seed)
        reply = speaker.speak(dialogue, thought, voice, options)
    else:
        lines = lines_in(text, voice, lambda name: resolve_voice(store, name))
        lines = lines or [Line(voice, text)]
        reply = perform(speaker, lambda: hear_turns(speaker, turns), lines, options)
        voices = list({line.voice.name: line.voice for line in lines}.values())
    for _ in reply:
        pass
    marks = synthetic_fields(*voices)
    write_audio(args.out, reply.samples(), SAMPLE_RATE, mark_of(str(marks.get("consent", ""))))
    result = {
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
    if args.json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        if args.speech_to_speech:
            print(reply.text)
        print(
            f"{result['out']}: {result['duration_s']} s in the voice {voice.name}, first audio "
            f"after {result['first_audio_ms']:.0f} ms, {result['rtf']:.2f} s of work a second "
            f"(seed {reply.seed})"
        )
    return 0
