"""`launch.py voices`: list and sample voices; show, remove, export and import cloned ones."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from app.library import Library
from app.voice_store import SAMPLE_TEXT
from app.voices import load_speaker, synthetic_fields
from data.audio import SAMPLE_RATE, mark_of, prepare_audio_file, write_audio
from data.files import prepare_folder
from models.checkpoint import WEIGHTS
from models.speaker import SpeakOptions
from models.voice import load_voices


def main(argv: list[str]) -> int:
    """Lists and samples voices; shows, removes, exports and imports cloned ones."""
    args = _parser().parse_args(argv)
    library = Library(args.library)
    if args.verb == "import":
        library.reserved = load_voices(args.weights or WEIGHTS)
        print(f"imported {library.take_in(args.file, args.name).name}")
    elif args.verb == "show":
        print(json.dumps(asdict(library.load(args.name)[1]), indent=2, ensure_ascii=False))
    elif args.verb == "remove":
        library.remove(args.name)
        print(f"removed {args.name}")
    elif args.verb == "export":
        library.export(args.name, args.file)
        print(args.file)
    elif args.verb == "samples":
        _write_samples(args.folder, args.weights, library)
    else:
        for name, voice in load_speaker(args.weights, library=library)[1].voices.items():
            print(f"{name:12} {voice.description}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="launch.py voices", description=main.__doc__)
    parser.add_argument("--weights", type=Path, help="weights folder (default: bundled)")
    parser.add_argument("--library", type=Path, help="folder of cloned voices")
    verbs = parser.add_subparsers(dest="verb")
    verbs.add_parser("list", help="list all voices (default)")
    samples = verbs.add_parser("samples", help="write a sample of each voice as DIR/NAME.wav")
    samples.add_argument("folder", type=Path, metavar="DIR")
    verbs.add_parser("show", help="print a cloned voice's metadata").add_argument("name")
    verbs.add_parser("remove", help="delete a cloned voice").add_argument("name")
    export = verbs.add_parser("export", help="copy a cloned voice to a file")
    export.add_argument("name")
    export.add_argument("file", type=Path)
    take = verbs.add_parser("import", help="import an exported voice")
    take.add_argument("file", type=Path)
    take.add_argument("--name", help="import it under another name")
    return parser


def _write_samples(folder: Path, weights: Path | None, library: Library) -> None:
    """Speaks `SAMPLE_TEXT` in every voice, into `folder`."""
    prepare_folder(folder)
    speaker, store = load_speaker(weights, library=library)
    for name, voice in store.voices.items():
        path = folder / f"{name}.wav"
        prepare_audio_file(path)
        reply = speaker.speak(speaker.open_dialogue(), SAMPLE_TEXT, voice, SpeakOptions(seed=1))
        for _ in reply:
            pass
        consent = str(synthetic_fields(voice).get("consent", ""))
        write_audio(path, reply.samples(), SAMPLE_RATE, mark_of(consent))
        print(path)
