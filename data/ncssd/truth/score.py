"""Scores of a build against the truth.

Times are in seconds of the recording. DER and JER are computed by pyannote.metrics with collar 0
and overlap over all kept scenes (`der_in_dialogues`: over accepted dialogues); all other figures
compare accepted with true dialogues.
"""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.errors import InputError
from data.ncssd.store import Row, hash_file, read_rows

BOUNDARY_S = 0.25
SHORT_S = 1.0
_MIN_IOU = 0.5  # least intersection over union of a matching dialogue
_FOREIGN = 0.02  # share of a third voice's speech from which a dialogue is wrong


def add_counts(total: Any, part: Any) -> None:
    """Adds the counts of `part` to those of `total`, a dataclass of the same kind."""
    for name, value in vars(part).items():
        if isinstance(value, dict):
            for key, share in value.items():
                getattr(total, name)[key] += share
        else:
            setattr(total, name, getattr(total, name) + value)


@dataclass
class Counts:
    """Counts and sums over recordings, from which the figures are computed."""

    seconds: float = 0.0
    der_error: float = 0.0
    der_total: float = 0.0
    der_parts: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    dialogue_der_error: float = 0.0
    dialogue_der_total: float = 0.0
    jer_sum: float = 0.0
    scenes: int = 0
    boundary_hits: int = 0
    boundary_found: int = 0
    boundary_true: int = 0
    turns: int = 0
    wrong_speaker: int = 0
    short_true: int = 0
    short_hits: int = 0
    dialogues_true: int = 0
    dialogues_hit: int = 0
    dialogues_found: int = 0
    dialogues_right: int = 0
    overlap_hits: int = 0
    overlap_found: int = 0
    overlap_true: int = 0
    turn_hits: int = 0
    turns_true: int = 0
    backchannels: int = 0
    backchannel_hits: int = 0
    backchannel_class: int = 0
    monologues: int = 0
    monologue_dialogues: int = 0
    accepted_s: float = 0.0
    true_s: float = 0.0

    def figures(self) -> dict[str, float]:
        """Fractions from 0 to 1 (DER may exceed 1); NaN without data."""
        return {
            "hours": self.seconds / 3600,
            "der": share(self.der_error, self.der_total),
            **{f"der_{k}": share(v, self.der_total) for k, v in sorted(self.der_parts.items())},
            "der_in_dialogues": share(self.dialogue_der_error, self.dialogue_der_total),
            "jer": share(self.jer_sum, self.scenes),
            "boundary_f1": _f1(self.boundary_hits, self.boundary_found, self.boundary_true),
            "wrong_speaker": share(self.wrong_speaker, self.turns),
            "short_turn_recall": share(self.short_hits, self.short_true),
            "turn_f1": _f1(self.turn_hits, self.turns, self.turns_true),
            "backchannels": self.backchannels,
            "backchannels_kept": share(self.backchannel_hits, self.backchannels),
            "backchannel_class": share(self.backchannel_class, self.backchannel_hits),
            "monologues": self.monologues,
            "monologue_dialogues": self.monologue_dialogues,
            "dialogue_recall": share(self.dialogues_hit, self.dialogues_true),
            "dialogue_precision": share(self.dialogues_right, self.dialogues_found),
            "overlap_flag_f1": _f1(self.overlap_hits, self.overlap_found, self.overlap_true),
            "yield": share(self.accepted_s, self.true_s),
        }


@dataclass(frozen=True)
class Recording:
    """A recording's truth and the build's rows for it."""

    truth: Row
    media: Path
    scenes: list[Row]
    dialogues: list[Row]


def read_recordings(truth: Path, out: Path) -> list[Recording]:
    """Pairs each recording of `truth` with the rows of the build in `out`.

    Raises:
        InputError: a folder has no truth or no finished build.
    """
    found = sorted(truth.glob("*.truth.json"))
    if not found:
        raise InputError(f"{truth} has no *.truth.json; make them with: launch.py build truth")
    if not (out / "build.json").is_file():
        raise InputError(f"{out} has no finished build (build.json); run launch.py build first")
    scenes, dialogues = defaultdict(list), defaultdict(list)
    for row in read_rows(out / "work" / "speakers.jsonl"):
        if "segments" in row:
            scenes[row["sha256"]].append(row)
    for row in read_rows(out / "dialogues.jsonl"):
        dialogues[row["sha256"]].append(row)
    recordings = []
    for path in found:
        content = json.loads(path.read_text(encoding="utf-8"))
        media = path.parent / content["file"]
        sha = hash_file(media)
        recordings.append(Recording(content, media, scenes[sha], dialogues[sha]))
    return recordings


def score(recording: Recording) -> Counts:
    """Scores everything except the words."""
    counts = Counts(seconds=recording.truth["duration"])
    _diarisation(recording, counts)
    true = recording.truth["dialogues"]
    counts.dialogues_true = len(true)
    counts.true_s = sum(d["end"] - d["start"] for d in true)
    counts.dialogues_found = len(recording.dialogues)
    counts.accepted_s = sum(d["end"] - d["start"] for d in recording.dialogues)
    for dialogue in true:
        hit = any(_iou(dialogue, found) >= _MIN_IOU for found in recording.dialogues)
        counts.dialogues_hit += hit
    if not true:
        counts.monologues = 1
        counts.monologue_dialogues = len(recording.dialogues)
    recovered: dict[int, Row] = {}
    for dialogue in recording.dialogues:
        _dialogue(recording.truth, dialogue, counts, recovered)
    backchannels = [i for i, t in enumerate(recording.truth["turns"]) if t["backchannel"]]
    kept = [recovered[i] for i in backchannels if i in recovered]
    counts.backchannels, counts.backchannel_hits = len(backchannels), len(kept)
    counts.backchannel_class = sum(turn.get("backchannel", False) for turn in kept)
    short = [
        index
        for index, turn in enumerate(recording.truth["turns"])
        if turn["dialogue"] >= 0 and turn["end"] - turn["start"] < SHORT_S
    ]
    counts.short_true = len(short)
    counts.short_hits = sum(index in recovered for index in short)
    return counts


def speaker_map(truth: Row, dialogue: Row) -> dict[int, str]:
    """Maps speakers 0 and 1 of a dialogue to true voices, maximising the shared time."""
    common: dict[tuple[int, str], float] = defaultdict(float)
    for turn in dialogue["turns"]:
        for start, end, voice in truth["segments"]:
            common[turn["speaker"], voice] += max(
                0.0, min(end, turn["end"]) - max(start, turn["start"])
            )
    voices = sorted({voice for (_, voice), time in common.items() if time > 0})
    pairs = [(a, b) for a in voices for b in voices if a != b] or [(v, "") for v in voices]
    if not pairs:
        return {}
    best = max(pairs, key=lambda pair: common[0, pair[0]] + common[1, pair[1]])
    return dict(enumerate(best))


def _diarisation(recording: Recording, counts: Counts) -> None:
    from pyannote.core import Annotation, Segment, Timeline
    from pyannote.metrics.diarization import DiarizationErrorRate, JaccardErrorRate

    def annotation(segments: list[list[Any]], start: float, end: float) -> Any:
        out = Annotation(uri="recording")
        for index, (a, b, label) in enumerate(segments):
            a, b = max(a, start), min(b, end)
            if b > a:
                out[Segment(a, b), index] = str(label)
        return out

    for scene in recording.scenes:
        start, end = scene["start"], scene["end"]
        true = annotation(recording.truth["segments"], start, end)
        found = annotation(scene["segments"], start, end)
        uem = Timeline([Segment(start, end)], uri="recording")
        parts: Any = DiarizationErrorRate(collar=0.0)(true, found, uem=uem, detailed=True)
        for name in ("missed detection", "false alarm", "confusion"):
            counts.der_parts[name.split()[0]] += parts[name]
            counts.der_error += parts[name]
        counts.der_total += parts["total"]
        counts.jer_sum += float(JaccardErrorRate(collar=0.0)(true, found, uem=uem))  # pyright: ignore[reportArgumentType]
        counts.scenes += 1
        for dialogue in recording.dialogues:
            if dialogue["scene"] != [start, end]:
                continue
            limits = dialogue["start"], dialogue["end"]
            uem = Timeline([Segment(*limits)], uri="recording")
            true = annotation(recording.truth["segments"], *limits)
            found = annotation(scene["segments"], *limits)
            parts: Any = DiarizationErrorRate(collar=0.0)(true, found, uem=uem, detailed=True)
            counts.dialogue_der_total += parts["total"]
            counts.dialogue_der_error += (
                parts["missed detection"] + parts["false alarm"] + parts["confusion"]
            )


def _dialogue(truth: Row, dialogue: Row, counts: Counts, recovered: dict[int, Row]) -> None:
    voice_of = speaker_map(truth, dialogue)
    counts.dialogues_right += _is_right(truth, dialogue, voice_of)
    inside = [
        (index, turn)
        for index, turn in enumerate(truth["turns"])
        if turn["end"] > dialogue["start"] and turn["start"] < dialogue["end"]
    ]
    for edge in ("start", "end"):
        found = [turn[edge] for turn in dialogue["turns"]]
        true = [turn[edge] for _, turn in inside]
        counts.boundary_hits += _matches(found, true, BOUNDARY_S)
        counts.boundary_found += len(found)
        counts.boundary_true += len(true)
    for turn in dialogue["turns"]:
        counts.turns += 1
        counts.wrong_speaker += _is_wrong(truth, turn, voice_of.get(turn["speaker"]))
    counts.turns_true += len(inside)
    counts.overlap_true += sum(_overlapped(truth, turn) for _, turn in inside)
    for index, turn in inside:
        match = _match(turn, dialogue["turns"], voice_of)
        if match is None:
            continue
        recovered[index] = match
        counts.turn_hits += 1
        counts.overlap_hits += _overlapped(truth, turn) and match["overlap"] > 0.05
    counts.overlap_found += sum(turn["overlap"] > 0.05 for turn in dialogue["turns"])


def _is_right(truth: Row, dialogue: Row, voice_of: dict[int, str]) -> bool:
    """Whether a dialogue matches one true dialogue and has no third voice."""
    time: dict[str, float] = defaultdict(float)
    for start, end, voice in truth["segments"]:
        time[voice] += max(0.0, min(end, dialogue["end"]) - max(start, dialogue["start"]))
    foreign = sum(t for voice, t in time.items() if voice not in voice_of.values())
    if foreign > _FOREIGN * sum(time.values()):
        return False
    return any(_iou(dialogue, true) >= _MIN_IOU for true in truth["dialogues"])


def _is_wrong(truth: Row, turn: Row, voice: str | None) -> bool:
    """Whether a turn's speaker is silent in most of it and another speaks more.

    A backchannel, during which both speak, is not wrong.
    """
    time: dict[str | None, float] = defaultdict(float)
    for start, end, other in truth["segments"]:
        time[other] += max(0.0, min(end, turn["end"]) - max(start, turn["start"]))
    own = time[voice]
    return own < 0.5 * (turn["end"] - turn["start"]) and own < max(time.values())


def _match(turn: Row, found: list[Row], voice_of: dict[int, str]) -> Row | None:
    """The found turn that matches a true one: same speaker, and at least half in common."""
    mine = [f for f in found if voice_of.get(f["speaker"]) == turn["speaker"]]
    best = max(mine, key=lambda f: _iou(turn, f), default=None)
    return best if best is not None and _iou(turn, best) >= 0.5 else None


def _overlapped(truth: Row, turn: Row) -> bool:
    return any(
        min(other["end"], turn["end"]) - max(other["start"], turn["start"]) > 0.05
        for other in truth["turns"]
        if other["speaker"] != turn["speaker"]
    )


def _iou(a: Row, b: Row) -> float:
    common = min(a["end"], b["end"]) - max(a["start"], b["start"])
    return max(0.0, common) / max(1e-9, max(a["end"], b["end"]) - min(a["start"], b["start"]))


def _matches(found: list[float], true: list[float], within: float) -> int:
    """The number of sorted values that pair one to one within a distance, greedily."""
    hits, left = 0, sorted(true)
    for time in sorted(found):
        while left and left[0] < time - within:
            left.pop(0)
        if left and left[0] <= time + within:
            left.pop(0)
            hits += 1
    return hits


def share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _f1(hits: int, found: int, true: int) -> float:
    return share(2 * hits, found + true)
