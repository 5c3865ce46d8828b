"""External diarisation beside the media (`--given`): RTTM, or the JSON of Emilia-Pipe."""

import itertools
import json
from pathlib import Path
from typing import Any

from data.errors import InputError

Given = list[list[Any]]
"""Segments [start, end, speaker] in seconds, in order."""


def read_given(media: Path) -> Given:
    """The segments of `talk.wav`, from `talk.rttm` or else `talk.json` beside it.

    Raises:
        InputError: neither exists, or it cannot be read.
    """
    rttm, emilia = media.with_suffix(".rttm"), media.with_suffix(".json")
    if rttm.is_file():
        found = _read_rttm(rttm)
    elif emilia.is_file():
        found = _read_emilia(emilia)
    else:
        raise InputError(
            f"--given: {media.name} has neither {rttm.name} nor {emilia.name} beside it; add one "
            "or leave out --given"
        )
    if not found:
        raise InputError(f"--given: the file beside {media.name} has no speech segment")
    return sorted(found)


def _read_rttm(path: Path) -> Given:
    found, files = [], set()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue  # comments, and record types other than speech
        try:
            start, length, speaker = float(fields[3]), float(fields[4]), fields[7]
        except (IndexError, ValueError):
            raise InputError(
                f"{path}:{number} is not RTTM (SPEAKER file channel start duration <NA> <NA> "
                f"speaker ...): {line:.80}"
            ) from None
        files.add(fields[1])
        found.append(_segment(path, number, start, start + length, speaker))
    if len(files) > 1:
        raise InputError(f"{path} covers {len(files)} recordings; split it into one file each")
    return found


def _read_emilia(path: Path) -> Given:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        entries = [(float(e["start"]), float(e["end"]), str(e["speaker"])) for e in content]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f'{path} is not a list of {{"start", "end", "speaker"}} in seconds, as Emilia-Pipe '
            f"writes it ({type(error).__name__}: {error})"
        ) from None
    return [_segment(path, number, *entry) for number, entry in enumerate(entries, 1)]


def _segment(path: Path, number: int, start: float, end: float, speaker: str) -> list[Any]:
    if not 0.0 <= start < end < 1e7:
        raise InputError(
            f"{path}: segment {number} has the invalid time range {start} to {end} s; correct it"
        )
    return [start, end, speaker]


def segments_within(given: Given, start: float, end: float) -> tuple[list[list[float]], int]:
    """The segments [start, end, label] inside a scene, and the number of labels.

    Touching segments of a speaker are merged; labels are numbered by first appearance.
    """
    inside = [[max(a, start), min(b, end), who] for a, b, who in given if a < end and b > start]
    order = list(dict.fromkeys(who for _, _, who in inside))
    out: list[list[float]] = []
    inside.sort(key=lambda one: (order.index(one[2]), one[0]))
    for who, own in itertools.groupby(inside, key=lambda one: one[2]):
        label, last = order.index(who), -1.0
        for a, b, _ in own:
            if a <= last:
                out[-1][1] = max(out[-1][1], b)
            else:
                out.append([a, b, label])
            last = out[-1][1]
    return sorted([round(a, 3), round(b, 3), label] for a, b, label in out), len(order)
