"""The structure of a measure: items measured one by one, and figures computed from all rows."""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app.turn_ending import TurnJudge
from data.audio import SAMPLE_RATE
from data.dialogue import Turn, read_ncssd
from data.errors import InputError
from data.recognition.whisper_recognizer import WhisperRecognizer
from models.evaluation.figures import Figure
from models.evaluation.recorded import is_held_out

Row = dict[str, Any]


@dataclass(frozen=True)
class Item:
    """One measurement; `key` identifies it in the file of rows."""

    key: str
    measure: Callable[[], Row]


@dataclass(frozen=True)
class Part:
    """One measure: its items and the function that summarises their rows."""

    name: str
    items: list[Item]
    figures: Callable[[Sequence[Row]], list[Figure]]


@dataclass(frozen=True)
class Bench:
    """The models and settings that all measures share.

    Attributes:
        recognizer, judge: those of the chat.
        folders: held-out speech in NCSSD layout.
        count: number of items; None uses the measure's default.
        seed: random seed.
        held_out: whether the voices of scenes are held out, or those of training.
    """

    recognizer: WhisperRecognizer
    judge: TurnJudge
    folders: tuple[Path, ...]
    count: int | None
    seed: int
    held_out: bool = True


def measured(part: Part, folder: Path, until: float) -> list[Row]:
    """Measures and stores a part's missing items until `time.monotonic()` passes `until`; returns
    all rows so far."""
    path = folder / f"{part.name}.jsonl"
    rows = {row["key"]: row for row in _read(path)}
    with path.open("a", encoding="utf-8") as file:
        for item in part.items:
            if item.key in rows:
                continue
            if time.monotonic() > until:
                break
            rows[item.key] = {"key": item.key, "load": os.getloadavg()[0], **item.measure()}
            file.write(json.dumps(rows[item.key], ensure_ascii=False) + "\n")
            file.flush()
    return [rows[item.key] for item in part.items if item.key in rows]


def _read(path: Path) -> Iterator[Row]:
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except ValueError:  # the run was killed while writing this line
            continue


def spoken_turns(folders: Sequence[Path], language: str) -> list[Turn]:
    """Turns with audio in a language, by people or by held-out synthetic voices.

    Raises:
        InputError: there are none.
    """
    found = []
    for folder in folders:
        for dialogue in read_ncssd(folder):
            if dialogue.extra.get("language", "en") != language:
                continue
            for turn in dialogue.turns:
                known = is_held_out(turn.extra.get("voice", ""))
                if turn.audio is not None and turn.text.strip() and known is not False:
                    found.append(turn)
    if not found:
        named = ", ".join(map(str, folders))
        raise InputError(
            f"no held-out speech in {language!r} in {named}; add a folder with it to --data"
        )
    return found


def sound_of(turn: Turn) -> np.ndarray:
    """The turn's samples `[T]` at 24 kHz."""
    samples = turn.load()
    assert samples is not None
    return samples


def room(seconds: float, seed: int, dbfs: float = -68.0) -> np.ndarray:
    """The noise floor of a quiet room, `[T]` at 24 kHz."""
    noise = np.random.default_rng(seed).standard_normal(round(seconds * SAMPLE_RATE))
    return (10 ** (dbfs / 20) * noise).astype(np.float32)


def pink(num_samples: int, seed: int) -> np.ndarray:
    """Pink noise `[T]` of unit level, like the noise of rooms and streets."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(num_samples))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, num_samples)
    return (noise / np.std(noise)).astype(np.float32)
