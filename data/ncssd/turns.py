"""Stage 5: turns, and the two-speaker windows of a scene."""

import itertools
from dataclasses import dataclass, field, replace

import numpy as np

from data.ncssd.config import TurnsConfig
from data.ncssd.stage import Context, drop, under
from data.ncssd.store import Row

VERSION = 6
_OF_SCENE = ("segments", "speech", "channel_speech", "label_channels", "voices", "two_people")
_MIXED_S = 0.1  # least overlap of a mixed turn; less is boundary error
_INSIDE = 0.9  # share of overlap of a turn inside others
_BACKCHANNEL_S = 1.0  # shorter interjections do not end the turn they fall into

Segment = tuple[float, float, int]


@dataclass
class Turn:
    """One person's turn; times in seconds of the working copy."""

    start: float
    end: float
    speaker: int
    overlap: float = 0.0  # seconds of overlap with other speakers
    backchannel: bool = False
    pauses: list[float] = field(default_factory=list)  # inside it, seconds each


def run(row: Row, context: Context, key: str) -> list[Row]:
    """A scene to one row per dialogue: `start`, `end`, `turns`, `voices` (of speakers 0 and 1)."""
    config = context.config.turns
    if "label_channels" in row:  # such overlaps are not guessed
        config = replace(config, min_inside_s=0.0)
    turns = make_turns([(a, b, label) for a, b, label in row["segments"]], config)
    base = {k: v for k, v in row.items() if k not in _OF_SCENE}
    rows = []
    for window in two_speaker_windows(turns):
        order = list(dict.fromkeys(turn.speaker for turn in window))
        first, last = window[0].start, max(turn.end for turn in window)
        dialogue = {
            **base,
            "scene": [row["start"], row["end"]],
            "start": round(first, 3),
            "end": round(last, 3),
            "turns": [{**_entry(turn, order), **_sound(row, turn)} for turn in window],
            "gaps": [round(b.start - a.end, 3) for a, b in itertools.pairwise(window)],
            "voices": [row["voices"][label] for label in order],
            "two_people": _chance(row, order),
        }
        if any(turn.get("mixed") for turn in dialogue["turns"]):
            dialogue["segments"] = _segments(row, order, first, last)
        reason = _reason(window, order, last - first, config)
        if reason:
            rows.append(drop(dialogue, reason, _why(reason, window, last - first, config)))
        elif dialogue["two_people"] < config.min_two_people:
            chance = dialogue["two_people"]
            why = under("chance", chance, config.min_two_people, "--min-two-people")
            rows.append(drop(dialogue, "perhaps one speaker", why))
        else:
            rows.append(dialogue)
    return rows or [drop(base, "no turns")]


def _segments(row: Row, order: list[int], first: float, last: float) -> list[list[float]]:
    """The segments [start, end, speaker] of a window, for the separation of overlaps."""
    return [
        [a, b, order.index(label)]
        for a, b, label in row["segments"]
        if label in order and a < last and b > first
    ]


def _chance(row: Row, labels: list[int]) -> float:
    """The probability that the speakers of a window are two people; 0 for one speaker."""
    return next((c for a, b, c in row["two_people"] if {a, b} == set(labels)), 0.0)


def make_turns(segments: list[Segment], config: TurnsConfig) -> list[Turn]:
    """Merges segments into turns, ordered by start. Overlaps and backchannels are marked, not
    removed."""
    turns: list[Turn] = []
    for label in sorted({s[2] for s in segments}):
        others = [s for s in segments if s[2] != label]
        mine: list[Turn] = []
        for start, end, _ in (s for s in segments if s[2] == label):
            if mine and _goes_on(mine[-1].end, start, others, config):
                if start > mine[-1].end:
                    mine[-1].pauses.append(start - mine[-1].end)
                mine[-1].end = max(end, mine[-1].end)
            else:
                mine.append(Turn(start, end, label))
        turns += [turn for turn in mine if turn.end - turn.start >= config.min_turn_s]
    turns = [turn for turn in turns if not _too_short_inside(turn, turns, config)]
    turns.sort(key=lambda turn: (turn.start, turn.speaker))
    for turn in turns:
        foreign = [t for t in turns if t.speaker != turn.speaker]
        turn.overlap = _overlap(turn, turns)
        turn.backchannel = turn.end - turn.start <= 1.5 and any(
            t.start < turn.start and turn.end < t.end for t in foreign
        )
    return turns


def _overlap(turn: Turn, turns: list[Turn]) -> float:
    """Seconds of overlap of a turn with other speakers."""
    return sum(
        max(0.0, min(other.end, turn.end) - max(other.start, turn.start))
        for other in turns
        if other.speaker != turn.speaker
    )


def _too_short_inside(turn: Turn, turns: list[Turn], config: TurnsConfig) -> bool:
    """Whether a turn is so short and so much inside others that it is probably a false overlap."""
    seconds = turn.end - turn.start
    return seconds < config.min_inside_s and _overlap(turn, turns) > _INSIDE * seconds


def _goes_on(end: float, start: float, others: list[Segment], config: TurnsConfig) -> bool:
    """Whether speech after a pause continues the turn before it."""
    if start - end >= config.merge_s:
        return False
    for a, b, _ in others:
        touches = a < start and b > end
        inside = a >= end - 0.1 and b <= start + 0.1
        if touches and (inside or b - a >= _BACKCHANNEL_S):
            return False
    return True


def two_speaker_windows(turns: list[Turn]) -> list[list[Turn]]:
    """Splits turns into windows of at most two speakers: the longest such run, then recursively the
    turns before and after it."""
    if not turns:
        return []
    best: tuple[int, int] = (0, 0)
    begin = 0
    for end in range(1, len(turns) + 1):
        while len({t.speaker for t in turns[begin:end]}) > 2:
            begin += 1
        if end - begin > best[1] - best[0]:
            best = (begin, end)
    before, after = turns[: best[0]], turns[best[1] :]
    return [*two_speaker_windows(before), turns[best[0] : best[1]], *two_speaker_windows(after)]


def _entry(turn: Turn, order: list[int]) -> Row:
    return {
        "start": round(turn.start, 3),
        "end": round(turn.end, 3),
        "speaker": order.index(turn.speaker),
        "overlap": round(turn.overlap, 3),
        "backchannel": turn.backchannel,
        "pauses": [round(seconds, 3) for seconds in turn.pauses],
    }


def _sound(row: Row, turn: Turn) -> Row:
    """How a turn's audio is read: its speaker's `channel`, or `mixed` if it has overlap."""
    channels = row.get("label_channels")
    if channels is not None:
        return {"channel": channels[turn.speaker]}
    return {"mixed": True} if turn.overlap > _MIXED_S else {}


def _why(reason: str, window: list[Turn], seconds: float, config: TurnsConfig) -> str:
    if reason == "dialogue too short":
        return under("seconds", seconds, config.min_dialogue_s, "--min-dialogue")
    if reason == "too few turns":
        least = f"{config.min_turns} are needed, {config.min_turns_each} of each speaker"
        return f"{len(window)} turns; {least} (--min-turns, turns.min_turns_each)"
    return ""


def _reason(window: list[Turn], order: list[int], seconds: float, config: TurnsConfig) -> str:
    """Why a window is rejected; empty if it is a dialogue."""
    if len(order) < 2:
        return "one speaker"
    counts = np.bincount([order.index(turn.speaker) for turn in window], minlength=2)
    if len(window) < config.min_turns or counts.min() < config.min_turns_each:
        return "too few turns"
    if seconds < config.min_dialogue_s:
        return "dialogue too short"
    return ""
