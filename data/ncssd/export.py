"""The last stage: writes accepted dialogues in NCSSD layout at 24 kHz, with their provenance."""

import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np

from data.audio import SAMPLE_RATE
from data.audio.snr import frame_power
from data.dialogue import Dialogue, Turn, write_ncssd_dialogue
from data.files import clean_leftovers
from data.ncssd.config import ExportConfig
from data.ncssd.stage import Context
from data.ncssd.store import Row, canonical

VERSION = 3
_ACTIVE_DB = 30.0  # frames further below the loudest are not counted as speech
_SILENT = 1e-5
_PEAK = 0.95
_TURN_KEYS = (
    "overlap",
    "mixed",
    "separation_db",
    "backchannel",
    "pauses",
    "confidence",
    "agreement",
    "snr_db",
    "dnsmos",
    "clipped",
    "bandwidth_hz",
    "rate",
)
_DIALOGUE_KEYS = (
    "language",
    "license",
    "consent",
    "tools",
    "speaker_ids",
    "speaker_scores",
    "two_people",
    "speaker_channels",
    "cross_talk_db",
)


def dialogue_id(row: Row) -> str:
    """A reproducible nine-digit id, from the source's content and the dialogue's start time."""
    text = f"{row['sha256']} {row['start'] + row.get('offset', 0.0):.3f}"
    return str(10**8 + int(hashlib.sha256(text.encode()).hexdigest()[:12], 16) % (9 * 10**8))


def name_dialogues(rows: list[Row]) -> list[Row]:
    """Adds an `id` to each row; colliding ids are incremented."""
    taken: set[str] = set()
    out = []
    for row in rows:
        name = dialogue_id(row)
        while name in taken:
            name = str(int(name) + 1)
        taken.add(name)
        out.append({**row, "id": name})
    return out


def export_ncssd(rows: list[Row], context: Context, root: Path) -> tuple[int, int]:
    """Writes missing and changed dialogues, and removes obsolete ones.

    Returns:
        The number written, and the number removed without replacement.
    """
    root.mkdir(parents=True, exist_ok=True)
    clean_leftovers(root)
    config = context.config.export
    wanted = {row["id"]: export_key(row, config) for row in rows}
    written, removed = 0, 0
    for folder in list(root.iterdir()):
        key = _key_of(folder)
        if key is not None and wanted.get(folder.name) != key:
            shutil.rmtree(folder)
            removed += folder.name not in wanted
    for row in rows:
        if not (root / row["id"]).exists():
            write_ncssd_dialogue(root, _dialogue(row, context), row.get("bits", 16))
            written += 1
    return written, removed


def export_key(row: Row, config: ExportConfig) -> str:
    """A hash of everything that a dialogue's folder is made from."""
    return hashlib.sha256(canonical([VERSION, asdict(config), row]).encode()).hexdigest()[:32]


def _key_of(folder: Path) -> str | None:
    """The key of a folder written by this builder; None for any other folder."""
    try:
        return json.loads((folder / "metadata.json").read_text(encoding="utf-8")).get("build_key")
    except (OSError, ValueError, AttributeError):
        return None


def _dialogue(row: Row, context: Context) -> Dialogue:
    offset, pad_s = row.get("offset", 0.0), context.config.export.pad_s
    gains = level_gains(row, context)
    turns = []
    for index, turn in enumerate(row["turns"]):
        start, end = padded(row["turns"], index, pad_s)
        extra = {key: turn[key] for key in _TURN_KEYS if key in turn}
        extra |= {"start": round(start + offset, 3), "end": round(end + offset, 3)}
        if "separated" in turn:
            extra["separated"] = True
        if "words" in turn:
            extra["words"] = [
                [w, round(a + offset, 3), round(b + offset, 3), c] for w, a, b, c in turn["words"]
            ]
        if "speaker_ids" in row:
            extra["speaker_id"] = row["speaker_ids"][turn["speaker"]]
        samples = context.read_turn(row, turn, start, end) * gains[turn.get("channel")]
        turns.append(Turn(turn["speaker"], turn.get("text", ""), samples=samples, extra=extra))
    extra = {
        "source": row["source"],
        "source_sha256": row["sha256"],
        "start": round(row["start"] + offset, 3),
        "end": round(row["end"] + offset, 3),
        **{key: row[key] for key in _DIALOGUE_KEYS if key in row},
        "snr_db": row.get("snr_db"),
        "dnsmos": row.get("dnsmos"),
        "bits": row.get("bits", 16),
        "level_gain_db": [
            round(20 * float(np.log10(g)), 2) for _, g in sorted(gains.items(), key=str)
        ],
        "build_key": export_key(row, context.config.export),
    }
    return Dialogue(row["id"], turns, extra)


def level_gains(row: Row, context: Context) -> dict[int | None, np.float32]:
    """The gain, per channel or None for a mono dialogue, that brings its speech to
    `export.level_dbfs` as far as the peaks allow."""
    level = context.config.export.level_dbfs
    gains: dict[int | None, np.float32] = {}
    for channel in sorted({turn.get("channel") for turn in row["turns"]}, key=str):
        own = [turn for turn in row["turns"] if turn.get("channel") == channel]
        sound = [context.read_turn(row, turn, turn["start"], turn["end"]) for turn in own]
        samples = np.concatenate(sound)
        power = frame_power(samples, SAMPLE_RATE)
        loud = power[power > power.max(initial=0.0) * 10 ** (-_ACTIVE_DB / 10)]
        if level == 0.0 or loud.shape[0] == 0 or loud.mean() < _SILENT**2:
            gains[channel] = np.float32(1.0)
            continue
        gain = 10 ** (level / 20) / np.sqrt(float(loud.mean()))
        gains[channel] = np.float32(min(gain, _PEAK / max(float(np.abs(samples).max()), 1e-6)))
    return gains


def padded(turns: list[Row], index: int, pad_s: float) -> tuple[float, float]:
    """A turn's start and end, extended by up to `pad_s` without reaching into other turns."""
    turn = turns[index]
    others = [t for i, t in enumerate(turns) if i != index]
    start = max(
        [0.0, turn["start"] - pad_s, *(t["end"] for t in others if t["end"] <= turn["start"])]
    )
    end = min([turn["end"] + pad_s, *(t["start"] for t in others if t["start"] >= turn["end"])])
    return start, end
