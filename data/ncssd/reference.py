"""A reference data set in NCSSD layout, whose distributions the report shows beside a build's."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from data.audio import SAMPLE_RATE, resample
from data.audio.activity import speech_in
from data.audio.features import RATE
from data.audio.snr import estimate_snr
from data.dialogue import Dialogue, Turn, read_ncssd
from data.errors import InputError
from data.ncssd.quality import bandwidth, mos_windows
from data.ncssd.store import Row
from data.ncssd.texts import units

_MEASURED = 60  # turns, spread evenly
_MEASURES = {"snr_db": "SNR", "dnsmos": "DNSMOS", "bandwidth_hz": "bandwidth"}
_KEPT = ("overlap", *_MEASURES, "confidence")
_LEAST_PAUSE_S = 0.3  # as in a build, where shorter ones do not split a segment


@dataclass(frozen=True)
class Reference:
    """A data set's dialogues as rows like those of a build, as far as they are known.

    Attributes:
        rows: with `turns`, and `gaps` if the metadata have times. Turns without times start at 0.
        notes: what is missing from the figures, and what was measured here.
    """

    rows: list[Row]
    notes: list[str]


def read_reference(root: Path, measures: tuple[str, ...]) -> Reference:
    """Reads any data set in NCSSD layout, or the folder of a build.

    Args:
        root: the data set's folder.
        measures: keys of `_MEASURES`, to measure on some turns if the metadata lack them.

    Raises:
        InputError: there is no dialogue, or one cannot be read.
        MissingModelError: DNSMOS is to be measured and its model is missing.
    """
    inner = root / "ncssd"
    try:
        dialogues = list(read_ncssd(inner if inner.is_dir() else root))
    except InputError as error:
        raise InputError(
            f"{error}; --reference needs a data set in NCSSD layout, such as the folder `ncssd` of "
            "a build or a corpus of `data synthetic`"
        ) from None
    turns = [turn for dialogue in dialogues for turn in dialogue.turns if _seconds(turn)]
    if not turns:
        raise InputError(f"{root}: no turn has a duration or audio; check it with: data check")
    notes = []
    for name in measures:
        if not any(_is_number(turn.extra.get(name)) for turn in turns):
            number = _measure(name, turns)
            notes.append(f"{_MEASURES[name]} was measured on {number} of {len(turns)} turns")
    rows = [row for row in map(_row, dialogues) if row["turns"]]
    if untimed := sum("gaps" not in row for row in rows):
        notes.append(
            f"{untimed} of {len(rows)} dialogues have no times: their gaps and overlaps are "
            "unknown, and their turn lengths are those of the audio files"
        )
    if not any("pauses" in turn for row in rows for turn in row["turns"]):
        notes.append("the metadata have no pauses inside turns")
    if any("build_key" in dialogue.extra for dialogue in dialogues):
        notes.append("turns of builds include up to 0.12 s of silence around them")
    return Reference(rows, notes)


def _row(dialogue: Dialogue) -> Row:
    turns = [turn for turn in dialogue.turns if _seconds(turn)]
    found = [_turn(turn, str(dialogue.extra.get("language", "en"))) for turn in turns]
    if not all(_is_timed(turn) for turn in turns):
        return {"turns": found}
    found.sort(key=lambda turn: turn["start"])
    for turn in found:
        turn.setdefault("overlap", round(_overlap(turn, found), 3))
    gaps = [round(b["start"] - a["end"], 3) for a, b in itertools.pairwise(found)]
    return {"turns": found, "gaps": gaps}


def _turn(turn: Turn, language: str) -> Row:
    extra, seconds = turn.extra, _seconds(turn)
    timed = _is_timed(turn)
    spoken = len(units(turn.text, language))
    found = {
        "speaker": turn.speaker,
        "start": extra["start"] if timed else 0.0,
        "end": extra["end"] if timed else seconds,
        "rate": spoken / seconds if spoken else None,
        **{key: extra[key] for key in _KEPT if _is_number(extra.get(key))},
    }
    pauses = _pauses(extra)
    return found if pauses is None else {**found, "pauses": pauses}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _is_timed(turn: Turn) -> bool:
    start, end = turn.extra.get("start"), turn.extra.get("end")
    return isinstance(start, (int, float)) and isinstance(end, (int, float)) and start < end


def _seconds(turn: Turn) -> float:
    """A turn's duration from the metadata or its file; 0 if neither has one."""
    given = turn.extra.get("duration")
    if isinstance(given, (int, float)) and given > 0:
        return float(given)
    if turn.audio is None:
        return 0.0
    try:
        return soundfile.info(str(turn.audio)).duration
    except soundfile.LibsndfileError:
        raise InputError(f"{turn.audio} is not a WAV file; replace or remove it") from None


def _pauses(extra: dict[str, Any]) -> list[float] | None:
    """Lengths of the pauses inside a turn, seconds, as a build notes them or between the phones of
    a synthetic turn; None if the metadata have neither."""
    try:
        if "pauses" in extra:
            return [float(seconds) for seconds in extra["pauses"]]
        inside = extra["phones"][1:-1]
        lengths = [float(end) - float(start) for phone, start, end in inside if phone == "pau"]
    except (KeyError, TypeError, ValueError):  # or in a format of others
        return None
    return [round(seconds, 3) for seconds in lengths if seconds >= _LEAST_PAUSE_S]


def _overlap(turn: Row, turns: list[Row]) -> float:
    return sum(
        max(0.0, min(turn["end"], other["end"]) - max(turn["start"], other["start"]))
        for other in turns
        if other["speaker"] != turn["speaker"]
    )


def _measure(name: str, turns: list[Turn]) -> int:
    """Adds a measurement to evenly spaced turns; returns to how many."""
    number = 0
    for place in np.unique(np.linspace(0, len(turns) - 1, _MEASURED).round().astype(int)):
        samples = turns[place].load()
        if samples is not None and samples.shape[0] >= SAMPLE_RATE // 10:
            turns[place].extra[name] = _value(name, samples)
            number += 1
    return number


def _value(name: str, samples: np.ndarray) -> float:
    """A measurement of samples `[T]` at 24 kHz."""
    if name == "bandwidth_hz":
        return bandwidth(samples)
    narrow = resample(samples, SAMPLE_RATE, RATE)
    if name == "dnsmos":
        return float(mos_windows(narrow).mean())
    return estimate_snr(narrow, speech_in(narrow))
