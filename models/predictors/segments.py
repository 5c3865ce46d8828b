"""Builds predictor input from turns: one segment per sentence."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from models.predictors.dialogue_model import DialogueModel
from models.predictors.frames import Frames, SemanticCodes
from models.predictors.plan import measure_plan
from models.predictors.sequence import Segment
from models.predictors.units import Units
from models.text import SYMBOLS
from models.text.symbols import IDS, LANGUAGE_MARKS
from models.tokenizers.semantic import SemanticTokenizer

_ENDS = frozenset(SYMBOLS.index(mark) for mark in ".?!")
_LANGUAGES = frozenset(IDS[mark] for mark in LANGUAGE_MARKS.values())
MIN_UNITS = 6


@dataclass(frozen=True)
class TurnSound:
    """The encoded audio of a turn, T frames.

    Attributes:
        codes: semantic codes; the plan is measured from them, whatever the predictor's frames.
        pointer: unit of the turn's text under the pointer at each frame, `[T]`.
        frames: of the predictor's kind.
        refined: refined units `[T]` for training HAM-TTS, else None.
    """

    codes: SemanticCodes
    pointer: Tensor
    frames: Frames
    refined: Tensor | None = None


@dataclass(frozen=True)
class EncodedTurn:
    """An encoded turn, from which its segments are built.

    Attributes:
        speaker: 0 for whoever speaks first, 1 for the other.
        units: its text; `no_text` if unknown.
        style: the speaker's style vector `[style_dim]`; zeros if unknown.
        sound: None for a typed turn.
    """

    speaker: int
    units: Units
    style: Tensor
    sound: TurnSound | None


class TurnBuilder:
    """The only code that turns a finished turn into predictor input: live speech, training and the
    sampling of codes all use it."""

    def __init__(self, tokenizer: SemanticTokenizer) -> None:
        self._tokenizer = tokenizer

    def build(
        self, turn: EncodedTurn, predictor: DialogueModel, plans: list[Tensor] | None = None
    ) -> list[Segment]:
        """Splits a turn into one segment per sentence, each starting with its language mark.

        If the turn has sound, sentences that the pointer never visits are omitted.

        Args:
            turn: the turn.
            predictor: the predictor that reads it; defines the plan bins.
            plans: output of `measure`, if known already.
        """
        segments = _split(turn)
        if turn.sound is None:
            return segments
        assert turn.sound.frames.kind == predictor.frames, (turn.sound.frames, predictor.name)
        plans = self.measure(turn) if plans is None else plans
        for segment, plan in zip(segments, plans, strict=True):
            segment.plan = predictor.config.plan_scale.bins(plan)
        return segments

    @torch.no_grad()
    def measure(self, turn: EncodedTurn) -> list[Tensor]:
        """The plan `[4]` of each segment that `build` makes of a turn with sound."""
        assert turn.sound is not None
        spoken = replace(turn, sound=replace(turn.sound, frames=turn.sound.codes))
        device = next(self._tokenizer.parameters()).device
        plans = []
        for segment in _split(spoken):
            assert segment.frames is not None
            prosody = self._tokenizer.inspect(segment.frames.values[None].to(device))[1]
            plans.append(measure_plan(prosody, len(segment.units)))
        return plans


def sentence_spans(units: Units) -> list[tuple[int, int]]:
    """(first unit, one past last) of each sentence; very short ones are merged with the next.

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


def _split(turn: EncodedTurn) -> list[Segment]:
    """A turn's segments without plans."""
    fields, sound = turn.units.fields, turn.sound
    segments: list[Segment] = []
    language = fields[:1]
    for start, end in sentence_spans(turn.units):
        units = torch.cat([language, fields[start:end]])
        segment = Segment(turn.speaker, bool(segments), units, turn.style)
        for index in range(start, end):  # a language switch carries over to the next sentence
            if turn.units.symbols[index] in _LANGUAGES:
                language = fields[index : index + 1]
        if sound is not None:
            first = 0 if start == 1 else start
            inside = (sound.pointer >= first) & (sound.pointer < end)
            if not inside.any():
                continue
            segment.frames = sound.frames[inside]
            segment.pointer = (sound.pointer[inside] - start + 1).clamp_min(0)
            segment.pointer[0] = 0
            segment.refined = None if sound.refined is None else sound.refined[inside]
        segments.append(segment)
    return segments


def last_segments(segments: list[Segment], most: int) -> list[Segment]:
    """The last segments of a turn that fit into `most` positions; if the last one alone does not,
    its end."""
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
    """The last frames of a segment and as many of its last units as still fit."""
    end = replace(segment)
    if segment.frames is not None and segment.pointer is not None:
        num_frames = min(len(segment.frames), 3 * most // 4)
        end.frames, end.pointer = segment.frames[-num_frames:], segment.pointer[-num_frames:]
    dropped = max(0, end.num_positions - most)
    end.units = torch.cat([segment.units[:1], segment.units[dropped + 1 :]])
    if end.pointer is not None:
        end.pointer = (end.pointer - dropped).clamp_min(0)
    return end
