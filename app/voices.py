"""Voices by name or by a recording; the verbs `voices` and `clone`."""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from app.library import Library
from app.voice_sample import MAX_SAMPLE_S
from app.voice_store import VoiceStore
from data.audio import read_audio
from data.errors import InputError
from models.checkpoint import WEIGHTS
from models.speaker import Speaker
from models.voice import Voice, load_voices

_MAX_CLIP_S = 600


def load_speaker(
    weights: Path | None,
    device: str = "cpu",
    predictor: str | None = None,
    library: Library | None = None,
) -> tuple[Speaker, VoiceStore]:
    """The models, and their voices: cloned ones after the bundled ones."""
    speaker = Speaker.load(weights, device, predictor)
    return speaker, VoiceStore(speaker, library)


def resolve_voice(store: VoiceStore, name_or_path: str) -> Voice:
    """A voice by its name, or the voice of an audio file; the first there is for no name.

    Raises:
        InputError: neither, or the file is not a usable recording.
    """
    path = Path(name_or_path)
    if name_or_path and store.resolve(name_or_path) not in store.voices:
        if not path.is_file():
            raise InputError(
                f"there is no voice and no file {name_or_path!r}; voices are "
                f"{', '.join(store.voices)}; or give an audio file of a few seconds"
            )
        return store.clone(read_clips([path]), path.stem).voice
    return store.find(name_or_path)


def synthetic_fields(*voices: Voice) -> dict[str, object]:
    """What a manifest says of speech in these voices: that it is synthetic, and whose consent
    cloned ones have."""
    consent = "; ".join(dict.fromkeys(voice.consent for voice in voices if voice.consent))
    return {"synthetic": True, **({"consent": consent} if consent else {})}


def read_clips(paths: list[Path]) -> Iterator[np.ndarray]:
    """The sounds of audio files, each `[T]` float32 at 24 kHz, read when they are asked for.

    Raises:
        InputError: a file is not audio.
    """
    return (read_audio(path, max_seconds=_MAX_CLIP_S) for path in paths)


def recognised(samples: np.ndarray) -> str:
    """What is said in a sample, as the recogniser on this machine hears it."""
    from data.recognition.local import local_recognizer
    from data.recognition.recognizer import transcribe

    recognizer = local_recognizer()
    try:
        return transcribe(recognizer, samples)
    finally:
        recognizer.close()


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


def clone(argv: list[str]) -> int:
    """Clones a voice from a few seconds of one person speaking, and keeps it by name."""
    parser = argparse.ArgumentParser(prog="launch.py clone", description=clone.__doc__)
    parser.add_argument("sample", type=Path, nargs="+", help="audio files of the same voice")
    parser.add_argument("--name", required=True)
    parser.add_argument(
        "--consent", required=True, help="who allows the use of the voice, in your words"
    )
    parser.add_argument("--transcript", help="of the sample (default: as recognised)")
    parser.add_argument("--language", default="en")
    parser.add_argument("--weights", type=Path, help="a folder of models (default: bundled)")
    parser.add_argument("--library", type=Path, help="the folder of cloned voices")
    args = parser.parse_args(argv)
    library = Library(args.library, load_voices(args.weights or WEIGHTS))
    library.prepare(args.name, args.consent)  # before the models load
    _, store = load_speaker(args.weights, library=library)
    transcribe = recognised if args.transcript is None else lambda samples: args.transcript
    started = time.perf_counter()
    facts, sample = store.clone_and_keep(
        read_clips(args.sample), args.name, args.consent, transcribe, args.language
    )
    print(f"{args.name}: {sample.verdict}; at most {MAX_SAMPLE_S:.0f} s are used")
    print(f"cloned and kept in {time.perf_counter() - started:.2f} s")
    print(f"it says: {facts.transcript or '(nothing was recognised)'}")
    print(f'now: python3 launch.py reply --voice {args.name} --text "..." --out reply.wav')
    return 0
