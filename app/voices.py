"""Voices by name or by a recording; `launch.py voices` lists the bundled ones."""

import argparse
from pathlib import Path

from data.audio import read_audio
from data.errors import InputError
from models.speaker import MAX_CLONE_SECONDS, Speaker
from models.voice import Voice


def resolve_voice(speaker: Speaker, name_or_path: str) -> Voice:
    """A bundled voice by its name, or the voice of an audio file.

    Raises:
        InputError: neither, or the file is not a usable recording.
    """
    if name_or_path in speaker.voices:
        return speaker.voices[name_or_path]
    path = Path(name_or_path)
    if not path.is_file():
        raise InputError(
            f"there is no voice and no file {name_or_path!r}; bundled voices are "
            f"{', '.join(speaker.voices)}; or give an audio file of a few seconds"
        )
    samples = read_audio(path, max_seconds=MAX_CLONE_SECONDS)
    return speaker.clone(samples, name=path.stem)


def main(argv: list[str]) -> int:
    """Lists the bundled voices, a line each."""
    parser = argparse.ArgumentParser(prog="launch.py voices", description=main.__doc__)
    parser.add_argument("--weights", type=Path, help="a folder of models (default: bundled)")
    args = parser.parse_args(argv)
    for name, voice in Speaker.load(args.weights).voices.items():
        print(f"{name:12} {voice.description}")
    return 0
