"""A data set once more in other voices."""

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
# What an utterance's truth says of its sound that another voice makes untrue. Times stay true.
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
