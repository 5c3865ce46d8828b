"""Turns as segments: a turn of several sentences is several segments."""

from dataclasses import replace

import torch
from torch import Tensor

from models.predictors.sequence import Segment
from models.predictors.units import Units
from models.text import SYMBOLS

_ENDS = frozenset(SYMBOLS.index(mark) for mark in ".?!")
MIN_UNITS = 6


def sentence_spans(units: Units) -> list[tuple[int, int]]:
    """First unit and one past the last of each sentence; very short ones join what follows.

    Unit 0 is the language mark and belongs to the first sentence.
    """
    spans, start = [], 1
    for index in range(1, len(units)):
        long_enough = index + 1 - start >= MIN_UNITS
        if units.symbols[index] in _ENDS and long_enough and index + 1 < len(units):
            spans.append((start, index + 1))
            start = index + 1
    spans.append((start, len(units)))
    return spans


def split_turn(
    speaker: int, units: Units, style: Tensor, codes: Tensor | None, pointer: Tensor | None
) -> list[Segment]:
    """A turn as one segment a sentence, every one with the language mark first.

    Args:
        speaker: 0 or 1.
        units: of the whole turn.
        style: `[style_dim]`.
        codes: `[T]`, or None without sound.
        pointer: `[T]` over the whole turn's units, or None.

    Returns:
        Segments without plans. A sentence that has no frame at all joins no sound: it is left out
        when the turn has sound.
    """
    fields = units.fields
    segments: list[Segment] = []
    for start, end in sentence_spans(units):
        own = torch.cat([fields[:1], fields[start:end]])
        segment = Segment(speaker, bool(segments), own, style)
        if codes is not None and pointer is not None:
            first = 0 if start == 1 else start
            inside = (pointer >= first) & (pointer < end)
            if not inside.any():
                continue
            segment.codes = codes[inside]
            segment.pointer = (pointer[inside] - start + 1).clamp_min(0)
            segment.pointer[0] = 0
        segments.append(segment)
    return segments


def last_segments(segments: list[Segment], most: int) -> list[Segment]:
    """The last of a turn's segments that take at most `most` positions together; of a last one that
    is longer by itself, its end."""
    kept, total = segments[-1:], segments[-1].num_positions
    if total > most:
        return [_end_of(segments[-1], most)]
    for segment in reversed(segments[:-1]):
        total += segment.num_positions
        if total > most:
            break
        kept.insert(0, segment)
    return kept


def _end_of(segment: Segment, most: int) -> Segment:
    """The last frames of a segment, and as many of its last units as fit beside them."""
    end = replace(segment)
    if segment.codes is not None and segment.pointer is not None:
        num_frames = min(len(segment.codes), 3 * most // 4)
        end.codes, end.pointer = segment.codes[-num_frames:], segment.pointer[-num_frames:]
    dropped = max(0, end.num_positions - most)
    end.units = torch.cat([segment.units[:1], segment.units[dropped + 1 :]])
    if end.pointer is not None:
        end.pointer = (end.pointer - dropped).clamp_min(0)
    return end
