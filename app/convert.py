"""`launch.py data convert`: a data set once more in other voices."""

import argparse
import json
import random
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.voices import load_speaker, resolve_voice
from data.dialogue import Dialogue, Turn, read_ncssd, write_ncssd_dialogue
from data.errors import InputError
from data.files import atomic_write, prepare_folder
from models.checkpoint import WEIGHTS, sha256
from models.speaker import Speaker
from models.voice import Voice

_RECORD = "conversion.json"
# What an utterance's truth says of its sound that another voice makes untrue. Times stay true.
_UNTRUE = {"f0_hz", "synthesizer", "snr_db", "dnsmos", "similarity"}
_MODELS = ("semantic", "prior", "decoder")


def main(argv: list[str]) -> int:
    """Says every dialogue of a data set in NCSSD layout in other voices: words, timing and manner
    stay, who speaks does not (the synthetic data of HAM-TTS, arXiv 2403.05989)."""
    parser = argparse.ArgumentParser(prog="launch.py data convert", description=main.__doc__)
    parser.add_argument("data", type=Path, help="a folder in NCSSD layout")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the copies")
    parser.add_argument("--copies", type=int, default=1, help="of each dialogue")
    parser.add_argument(
        "--voices", help="names or audio files, with commas (default: all bundled and cloned ones)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of who speaks in which voice")
    parser.add_argument("--weights", type=Path, help="a folder of models (default: bundled)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    args = parser.parse_args(argv)
    if args.copies < 1:
        raise InputError(f"--copies is {args.copies}; it must be 1 or more")
    prepare_folder(args.out, keep=False)
    speaker, store = load_speaker(args.weights, args.device)
    names = args.voices.split(",") if args.voices else list(store.voices)
    voices = [resolve_voice(store, name.strip()) for name in dict.fromkeys(names)]
    weights = args.weights or WEIGHTS
    models = {name: sha256(weights / f"{name}.safetensors") for name in _MODELS}
    done, failures = convert(speaker, args.data, args.out, voices, args.copies, args.seed, models)
    for name, reason in failures:
        print(f"failed: dialogue {name}: {reason}", file=sys.stderr)
    print(f"{done} dialogues in {args.out}")
    return 1 if failures else 0


def convert(
    speaker: Speaker,
    data: Path,
    out: Path,
    voices: list[Voice],
    copies: int,
    seed: int,
    models: dict[str, str],
) -> tuple[int, list[tuple[str, str]]]:
    """Writes `copies` of every dialogue; what is there already is kept.

    Args:
        speaker: the models.
        data: NCSSD layout.
        out: the same; a copy's number is the original's place times `copies`, and on.
        voices: to draw from; the speakers of a dialogue get different ones.
        copies: of each dialogue.
        seed: of the draw.
        models: checksums of the models; with the rest they are kept beside the copies and in each.

    Returns:
        How many copies are there now, and the dialogues that failed with the reason.

    Raises:
        InputError: too few voices, `data` is no data set, or `out` was made in another way.
    """
    originals = list(read_ncssd(data))
    most = max(len({turn.speaker for turn in dialogue.turns}) for dialogue in originals)
    if len(voices) < most:
        raise InputError(
            f"there are {len(voices)} voices for dialogues of {most} speakers; give more voices"
        )
    record = {
        "tool": "launch.py data convert",
        "models": models,
        "voices": [voice.name for voice in voices],
        "copies": copies,
        "seed": seed,
    }
    _claim(out, record)
    done, failures = 0, []
    columns = (TextColumn("converting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=len(originals) * copies)
        for place, dialogue in enumerate(originals):
            for copy in range(copies):
                number = place * copies + copy
                try:
                    if not (out / str(number)).exists():
                        chosen = _cast(dialogue, voices, f"{seed} {number}")
                        made = converted(speaker, dialogue, chosen, record)
                        made.id = str(number)
                        write_ncssd_dialogue(out, made)
                    done += 1
                except InputError as error:
                    failures.append((dialogue.id, str(error)))
                bar.advance(task)
    return done, failures


def converted(
    speaker: Speaker, dialogue: Dialogue, cast: dict[int, Voice], record: dict[str, object]
) -> Dialogue:
    """A dialogue with every turn in the voice that `cast` gives its speaker.

    Raises:
        InputError: a turn has no sound, or sound that cannot be read.
    """
    turns = []
    for index, turn in enumerate(dialogue.turns):
        samples = turn.load()
        if samples is None or not len(samples):
            raise InputError(f"turn {index} has no sound")
        voice = cast[turn.speaker]
        extra = {key: value for key, value in turn.extra.items() if key not in _UNTRUE}
        origin = extra.get("voice") or f"{dialogue.id}-{turn.speaker}"
        extra |= {"voice": voice.name, "converted_from": origin}
        sound = speaker.revoice(samples, turn.text, voice)
        turns.append(Turn(turn.speaker, turn.text, samples=sound, extra=extra))
    extra = {**dialogue.extra, "converted": {**record, "dialogue": dialogue.id}}
    return Dialogue(dialogue.id, turns, extra)


def _cast(dialogue: Dialogue, voices: list[Voice], seed: str) -> dict[int, Voice]:
    speakers = sorted({turn.speaker for turn in dialogue.turns})
    return dict(zip(speakers, random.Random(seed).sample(voices, len(speakers)), strict=True))


def _claim(out: Path, record: dict[str, object]) -> None:
    """Notes in `out` how its copies are made, so that no other way is mixed in."""
    path = out / _RECORD
    if path.exists():
        if json.loads(path.read_text(encoding="utf-8")) != record:
            raise InputError(
                f"{out} holds copies made with other models, voices, copies or seed "
                f"({_RECORD} says which); choose another folder"
            )
        return
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty and holds no {_RECORD}; choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    atomic_write(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
