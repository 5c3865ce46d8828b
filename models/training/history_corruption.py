"""Data augmentation: corrupts the acoustic history and keeps clean targets."""

import dataclasses

import numpy as np

from models.predictors.sequence import Segment

_SHORTEST, _LONGEST = 5, 50  # frames of a corrupted stretch: 0.2 to 2 s


def corrupt_history(
    rows: list[list[Segment]], share: float, generator: np.random.Generator
) -> list[list[Segment]]:
    """In `share` of the rows, overwrites a stretch of one segment's history by frames of another
    utterance or of its own.

    Keeps a predictor from relying on the timbre of the preceding frames (HAM-TTS, arXiv 2403.05989,
    section 3.3). The length is preserved to keep the pointer valid; the paper appends the copy
    instead.
    """
    sounding = [
        s for row in rows for s in row if s.frames is not None and len(s.frames) > _SHORTEST
    ]
    return [
        _with_stretch(row, sounding, generator) if generator.random() < share else row
        for row in rows
    ]


def _with_stretch(
    row: list[Segment], sounding: list[Segment], generator: np.random.Generator
) -> list[Segment]:
    places = [i for i, s in enumerate(row) if s.frames is not None and len(s.frames) > _SHORTEST]
    if not places:
        return row
    place = int(generator.choice(places))
    frames = row[place].frames
    assert frames is not None
    other = frames
    if generator.random() < 0.5:
        picked = sounding[int(generator.integers(len(sounding)))].frames
        assert picked is not None
        other = picked
    longest = min(_LONGEST, len(frames), len(other))
    length = int(generator.integers(_SHORTEST, longest + 1))
    start = int(generator.integers(len(frames) - length + 1))
    source = int(generator.integers(len(other) - length + 1))
    values = frames.values.clone()
    values[start : start + length] = other.values[source : source + length]
    changed = list(row)
    changed[place] = dataclasses.replace(row[place], history=type(frames)(values))
    return changed
