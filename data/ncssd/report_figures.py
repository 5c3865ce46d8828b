"""The figures of the report: hours by source and reason, speakers, words, distributions."""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import InputError
from data.ncssd.config import BuildConfig
from data.ncssd.store import Row, read_rows

# name to unit
DISTRIBUTIONS = {
    "Turn length": "s",
    "Gap before a turn": "s",
    "Pause inside a turn": "s",
    "Overlap per turn": "s",
    "SNR": "dB",
    "DNSMOS, overall": "",
    "Bandwidth": "kHz",
    "Less active speaker's share of a dialogue": "",
    "Words or characters per second": "",
    "Recogniser confidence": "",
}


@dataclass(frozen=True)
class BuildRows:
    """The summary and manifests of a finished build."""

    summary: Row
    accepted: list[Row]
    dropped: list[Row]
    quarantined: list[Row]
    sources: list[Row]  # as decoded

    @property
    def turns(self) -> list[Row]:
        return [turn for row in self.accepted for turn in row["turns"]]


def read_build(out: Path) -> BuildRows:
    """Reads a build's manifests. Raises InputError if there is no finished build in `out`."""
    if not (out / "build.json").is_file():
        raise InputError(f"{out} has no finished build (build.json); run launch.py build first")
    return BuildRows(
        json.loads((out / "build.json").read_text(encoding="utf-8")),
        read_rows(out / "dialogues.jsonl"),
        read_rows(out / "dropped.jsonl"),
        read_rows(out / "quarantine.jsonl"),
        read_rows(out / "work" / "decode.jsonl"),
    )


def hours_by_source(build: BuildRows) -> list[tuple[str, float, float, dict[str, float]]]:
    """For each source: its name, hours in, hours kept, and hours rejected by reason. The time
    between scenes counts as "silence"."""
    into = {row["sha256"]: row["duration"] for row in build.sources if "duration" in row}
    kept: dict[str, float] = defaultdict(float)
    out: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in build.accepted:
        kept[row["sha256"]] += row["end"] - row["start"]
    for row in build.dropped:
        seconds = row["end"] - row["start"] if "start" in row else row.get("duration", 0.0)
        out[row["sha256"]][row["dropped"]] += seconds
    found = []
    for sha, source in build.summary["sources"].items():
        total = into.get(sha, 0.0)
        rest = total - kept[sha] - sum(out[sha].values())
        if rest > 1.0:
            out[sha]["silence"] = rest
        reasons = {reason: seconds / 3600 for reason, seconds in out[sha].items()}
        found.append((source["name"], total / 3600, kept[sha] / 3600, reasons))
    return sorted(found, key=lambda one: -one[1])


def speakers(build: BuildRows) -> list[tuple[str, float, int]]:
    """Each speaker's id, hours and number of turns, most active first."""
    seconds: dict[str, float] = defaultdict(float)
    turns: dict[str, int] = defaultdict(int)
    for row in build.accepted:
        for turn in row["turns"]:
            name = row["speaker_ids"][turn["speaker"]]
            seconds[name] += turn["end"] - turn["start"]
            turns[name] += 1
    return sorted(((n, s / 3600, turns[n]) for n, s in seconds.items()), key=lambda one: -one[1])


def balance(row: Row) -> float:
    """The less active speaker's share of a dialogue's speech, 0 to 0.5."""
    seconds = [
        sum(t["end"] - t["start"] for t in row["turns"] if t["speaker"] == speaker)
        for speaker in (0, 1)
    ]
    return min(seconds) / max(sum(seconds), 1e-9)


def expected_word_error(build: BuildRows) -> float | None:
    """The expected word error rate, from the mean confidence of words; None without word
    confidences."""
    sure = [word[3] for turn in build.turns for word in turn.get("words", ())]
    return 1.0 - float(np.mean(sure)) if sure else None


def disagreement(build: BuildRows) -> tuple[float, float] | None:
    """The word error rate between two recognisers, weighted by the length of turns, and the hours
    of turns that have one; None without."""
    known = [turn for turn in build.turns if turn.get("agreement") is not None]
    if not known:
        return None
    seconds = [turn["end"] - turn["start"] for turn in known]
    rate = np.average([1.0 - turn["agreement"] for turn in known], weights=seconds)
    return float(rate), sum(seconds) / 3600


def word_error(build: BuildRows) -> str:
    """The estimated word error rate, and from what it is estimated."""
    between = disagreement(build)
    if between is not None:
        rate, hours = between
        return f"{100 * rate:.1f} %, by how far two recognisers disagree ({hours:.2f} hours)"
    error = expected_word_error(build)
    return "unknown" if error is None else f"{100 * error:.1f} %, by the recogniser's confidence"


def distributions(rows: list[Row]) -> dict[str, list[float]]:
    """The values of each of `DISTRIBUTIONS` in dialogues."""
    turns = [turn for row in rows for turn in row["turns"]]
    values: list[list[Any]] = [
        [t["end"] - t["start"] for t in turns],
        [gap for row in rows for gap in row.get("gaps", ())],
        [pause for t in turns for pause in t.get("pauses", ())],
        [t["overlap"] for t in turns if t.get("overlap", 0.0) > 0],
        [t.get("snr_db") for t in turns],
        [t.get("dnsmos") for t in turns],
        [t["bandwidth_hz"] / 1000 for t in turns if "bandwidth_hz" in t],
        [balance(row) for row in rows],
        [t.get("rate") for t in turns],
        [t.get("confidence") for t in turns],
    ]
    return {
        name: [float(v) for v in found if v is not None]
        for name, found in zip(DISTRIBUTIONS, values, strict=True)
    }


def totals(build: BuildRows) -> dict[str, str]:
    """The summary figures of a build."""
    turns, people = build.turns, speakers(build)
    hours = [one[1] for one in hours_by_source(build)]
    kept = sum(row["end"] - row["start"] for row in build.accepted) / 3600
    shares = [balance(row) for row in build.accepted]
    return {
        "sources": str(len(build.summary["sources"])),
        "hours in": f"{sum(hours):.2f}",
        "hours kept, from first to last word of each dialogue": f"{kept:.2f}",
        "hours of turns": f"{sum(t['end'] - t['start'] for t in turns) / 3600:.2f}",
        "dialogues": str(len(build.accepted)),
        "turns": str(len(turns)),
        "turns that overlap another": str(sum(t["overlap"] > 0 for t in turns)),
        "turns with overlapping speech in their audio": str(
            sum(bool(t.get("mixed")) for t in turns)
        ),
        "turns with overlap separated": str(sum("separated" in t for t in turns)),
        "turns with a faint second voice": str(
            sum("separation_db" in t and not (t.get("mixed") or "separated" in t) for t in turns)
        ),
        "backchannels": str(sum(t["backchannel"] for t in turns)),
        "speakers": str(len(people)),
        "hours of the most active speaker": f"{people[0][1]:.2f}" if people else "0",
        "share of the less active speaker, median": f"{np.median(shares):.2f}"
        if shares
        else "none",
        "turns without text": str(sum(not t.get("text") for t in turns)),
        "estimated word error rate": word_error(build),
        "in quarantine": str(len(build.quarantined)),
    }


def changed_settings(summary: Row) -> list[tuple[str, str]]:
    """Settings that differ from their defaults."""
    default = BuildConfig()
    found = []
    for stage, values in summary["config"].items():
        known = default.settings(stage)
        found += [
            (f"{stage}.{name}", str(value))
            for name, value in values.items()
            if known.get(name) != value
        ]
    return found
