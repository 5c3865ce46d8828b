"""Voice conversion of a data set."""

import itertools
import json
import random
from pathlib import Path

from app.progress import progress_bar
from data.dialogue import Dialogue, Turn, read_ncssd, write_ncssd_dialogue
from data.errors import InputError
from data.files import atomic_write
from models.speaker import Speaker
from models.voice import Voice

_RECORD = "conversion.json"
# Ground truth about the audio that voice conversion invalidates. Timestamps stay valid.
_UNTRUE = {"f0_hz", "synthesizer", "snr_db", "dnsmos", "similarity"}


def convert(
    speaker: Speaker,
    data: Path,
    out: Path,
    voices: list[Voice],
    copies: int,
    seed: int,
    models: dict[str, str],
) -> tuple[int, list[tuple[str, str]]]:
    """Writes `copies` of every dialogue; existing copies are kept.

    Args:
        speaker: the models.
        data: folder in NCSSD layout.
        out: output folder, likewise; copies are numbered from the original's index times `copies`.
        voices: voices to sample from; the speakers of a dialogue get different ones.
        copies: copies of each dialogue.
        seed: random seed of the sampling.
        models: checksums of the models, recorded beside the copies and in each.

    Returns:
        The number of copies, and the failed dialogues with the reason.

    Raises:
        InputError: too few voices, an invalid `data`, or an `out` made with other settings.
    """
    originals = list(read_ncssd(data))
    _check_enough(voices, originals)
    drawing = {"voices": [voice.name for voice in voices], "copies": copies, "seed": seed}
    record = {"tool": "launch.py data convert", "models": models, **drawing}
    _claim(out, record)
    done, failures = 0, []
    with progress_bar("converting") as bar:
        task = bar.add_task("", total=len(originals) * copies)
        for number, (dialogue, _) in enumerate(itertools.product(originals, range(copies))):
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
    """Converts each turn of a dialogue to the voice that `cast` assigns to its speaker.

    Raises:
        InputError: a turn has no audio, or unreadable audio.
    """
    turns = []
    for index, turn in enumerate(dialogue.turns):
        samples = turn.load()
        if samples is None or not len(samples):
            raise InputError(f"turn {index} has no audio")
        voice = cast[turn.speaker]
        extra = {key: value for key, value in turn.extra.items() if key not in _UNTRUE}
        origin = extra.get("voice") or f"{dialogue.id}-{turn.speaker}"
        extra |= {"voice": voice.name, "converted_from": origin}
        sound = speaker.revoice(samples, turn.text, voice)
        turns.append(Turn(turn.speaker, turn.text, samples=sound, extra=extra))
    extra = {**dialogue.extra, "converted": {**record, "dialogue": dialogue.id}}
    return Dialogue(dialogue.id, turns, extra)


def _check_enough(voices: list[Voice], dialogues: list[Dialogue]) -> None:
    most = max(len({turn.speaker for turn in dialogue.turns}) for dialogue in dialogues)
    if len(voices) < most:
        raise InputError(
            f"there are {len(voices)} voices for dialogues of {most} speakers; give more voices"
        )


def _cast(dialogue: Dialogue, voices: list[Voice], seed: str) -> dict[int, Voice]:
    speakers = sorted({turn.speaker for turn in dialogue.turns})
    return dict(zip(speakers, random.Random(seed).sample(voices, len(speakers)), strict=True))


def _claim(out: Path, record: dict[str, object]) -> None:
    """Records in `out` how its copies are made, so that settings are never mixed."""
    path = out / _RECORD
    if path.exists():
        if json.loads(path.read_text(encoding="utf-8")) != record:
            raise InputError(
                f"{out} has copies made with other models, voices, copies or seed "
                f"(see {_RECORD}); choose another folder"
            )
        return
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty and has no {_RECORD}; choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    atomic_write(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
