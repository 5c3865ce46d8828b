"""`launch.py voices`: lists voices; shows, removes, exports and imports cloned ones."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from app.library import Library
from app.voices import load_speaker
from models.checkpoint import WEIGHTS
from models.voice import load_voices


def main(argv: list[str]) -> int:
    """Lists voices; shows, removes, exports and imports cloned ones."""
    parser = argparse.ArgumentParser(prog="launch.py voices", description=main.__doc__)
    parser.add_argument("--weights", type=Path, help="a folder of models (default: bundled)")
    parser.add_argument("--library", type=Path, help="the folder of cloned voices")
    verbs = parser.add_subparsers(dest="verb")
    verbs.add_parser("list", help="all voices, a line each")
    for verb, text in (("show", "what is known of a voice"), ("remove", "delete a cloned voice")):
        verbs.add_parser(verb, help=text).add_argument("name")
    export = verbs.add_parser("export", help="a cloned voice as a file")
    export.add_argument("name")
    export.add_argument("file", type=Path)
    take = verbs.add_parser("import", help="take in an exported voice")
    take.add_argument("file", type=Path)
    take.add_argument("--name", help="another name for it")
    args = parser.parse_args(argv)
    library = Library(args.library)
    if args.verb == "import":
        library.reserved = load_voices(args.weights or WEIGHTS)
        print(f"took in {library.take_in(args.file, args.name).name}")
    elif args.verb == "show":
        print(json.dumps(asdict(library.load(args.name)[1]), indent=2, ensure_ascii=False))
    elif args.verb == "remove":
        library.remove(args.name)
        print(f"removed {args.name}")
    elif args.verb == "export":
        library.export(args.name, args.file)
        print(args.file)
    else:
        for name, voice in load_speaker(args.weights, library=library)[1].voices.items():
            print(f"{name:12} {voice.description}")
    return 0
