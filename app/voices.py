"""Voices by name or by a recording; the verbs `voices` and `clone`."""

import argparse
import json
import logging
import time
from dataclasses import asdict
from pathlib import Path

from app.library import Library, read_voice_file
from app.voice_sample import MAX_SAMPLE_S, VoiceSample, clean_sample
from data.audio import read_audio
from data.errors import InputError
from models.checkpoint import WEIGHTS
from models.speaker import Speaker
from models.voice import Voice, load_voices

logger = logging.getLogger(__name__)

_MAX_CLIP_S = 600


def load_speaker(
    weights: Path | None,
    device: str = "cpu",
    predictor: str | None = None,
    library: Library | None = None,
) -> Speaker:
    """The models, with the cloned voices after the bundled ones, which keep their names."""
    speaker = Speaker.load(weights, device, predictor)
    cloned = (library or Library()).voices(speaker.style.config.style_dim)
    for name, voice in cloned.items():
        if name in speaker.voices:
            logger.warning(
                "the voice %s is left out: a bundled voice has its name; export it, remove it and "
                "import it under another name",
                name,
            )
        else:  # after the others: the first speaks for whoever asks for none
            speaker.voices[name] = voice
    return speaker


def resolve_voice(speaker: Speaker, name_or_path: str) -> Voice:
    """A voice by its name, or the voice of an audio file; the first there is for no name.

    Raises:
        InputError: neither, or the file is not a usable recording.
    """
    if not name_or_path:
        return next(iter(speaker.voices.values()))
    if name_or_path in speaker.voices:
        return speaker.voices[name_or_path]
    path = Path(name_or_path)
    if not path.is_file():
        raise InputError(
            f"there is no voice and no file {name_or_path!r}; voices are "
            f"{', '.join(speaker.voices)}; or give an audio file of a few seconds"
        )
    return speaker.clone(read_sample([path]).samples, name=path.stem)


def synthetic_fields(voice: Voice) -> dict[str, object]:
    """What a manifest says of speech in this voice: that it is synthetic, and whose consent a
    cloned one has."""
    return {"synthetic": True, **({"consent": voice.consent} if voice.consent else {})}


def read_sample(paths: list[Path]) -> VoiceSample:
    """The cleaned sample of one voice from audio files.

    Raises:
        InputError: a file is not audio, or the sample will not do.
    """
    return clean_sample(read_audio(path, max_seconds=_MAX_CLIP_S) for path in paths)


def transcribed(sample: VoiceSample) -> str:
    """What is said in a sample, as the recogniser on this machine hears it."""
    from data.recognition.local import local_recognizer
    from data.recognition.recognizer import transcribe

    recognizer = local_recognizer()
    try:
        return transcribe(recognizer, sample.samples)
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
    if args.verb == "show":
        print(json.dumps(asdict(library.load(args.name)[1]), indent=2, ensure_ascii=False))
    elif args.verb == "remove":
        library.remove(args.name)
        print(f"removed {args.name}")
    elif args.verb == "export":
        library.export(args.name, args.file)
        print(args.file)
    elif args.verb == "import":
        print(f"took in {_take_in(library, args.file, args.name, args.weights)}")
    else:
        for name, voice in load_speaker(args.weights, library=library).voices.items():
            print(f"{name:12} {voice.description}")
    return 0


def _take_in(library: Library, file: Path, name: str | None, weights: Path | None) -> str:
    """Takes in a voice's file, unless a bundled voice has its name; returns the name."""
    wanted = name or read_voice_file(file)[2].name
    _check_not_bundled(wanted, weights)
    return library.take_in(file, wanted).name


def _check_not_bundled(name: str, weights: Path | None) -> None:
    if name in load_voices(weights or WEIGHTS):
        raise InputError(f"there is a bundled voice {name!r} already; take another --name")


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
    if not args.consent.strip():
        raise InputError("--consent is empty; say who allows the use of the voice")
    library = Library(args.library)
    _check_not_bundled(args.name, args.weights)
    library.prepare(args.name)
    speaker = load_speaker(args.weights, library=library)
    started = time.perf_counter()
    sample = read_sample(args.sample)
    voice = speaker.clone(sample.samples, args.name)
    seconds = time.perf_counter() - started
    words = transcribed(sample) if args.transcript is None else args.transcript
    library.keep(voice, sample, args.consent, words, args.language)
    print(f"{args.name}: {sample.verdict}; at most {MAX_SAMPLE_S:.0f} s are used")
    print(f"cloned in {seconds:.2f} s")
    print(f"it says: {words or '(nothing was recognised)'}")
    print(f'now: python3 launch.py reply --voice {args.name} --text "..." --out reply.wav')
    return 0
