"""Lhotse manifests: `recordings.jsonl.gz` and `supervisions.jsonl.gz`, written without Lhotse."""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path

from data.audio import SAMPLE_RATE
from data.ncssd.exports.duplex import begin_of, write_tracks
from data.ncssd.exports.utterances import Export, Utterance, utterances_of
from data.ncssd.store import Row


def write(export: Export) -> None:
    """Writes one recording per dialogue, one channel per speaker, one supervision per turn."""
    (export.root / "audio").mkdir()
    recordings, supervisions = [], []
    for row in export.rows:
        found = utterances_of(row, export.ncssd)
        file = f"audio/{row['id']}.wav"
        num_samples = write_tracks(export.root / file, found, row.get("bits", 16))
        path = export.name(export.final / file, absolute=True)
        recordings.append(_recording(row["id"], path, num_samples))
        begin = begin_of(found)
        supervisions += [
            _supervision(utterance, begin, num_samples)
            for utterance in found
            if export.lists(utterance)
        ]
    _write(export.root / "recordings.jsonl.gz", recordings)
    _write(export.root / "supervisions.jsonl.gz", supervisions)


def _recording(name: str, path: str, num_samples: int) -> Row:
    return {
        "id": name,
        "sources": [{"type": "file", "channels": [0, 1], "source": path}],
        "sampling_rate": SAMPLE_RATE,
        "num_samples": num_samples,
        "duration": num_samples / SAMPLE_RATE,
        "channel_ids": [0, 1],
    }


def _supervision(utterance: Utterance, begin: float, num_samples: int) -> Row:
    kept = ("overlap", "mixed", "separated", "backchannel", "confidence", "snr_db", "dnsmos")
    custom = {key: utterance.extra.get(key) for key in kept}
    start = round(utterance.extra["start"] - begin, 3)
    end = min(start + utterance.duration, num_samples / SAMPLE_RATE)
    return {
        "id": utterance.name,
        "recording_id": utterance.dialogue,
        "start": start,
        "duration": round(end - start, 4),
        "channel": utterance.side,
        "text": utterance.text,
        "language": utterance.language,
        "speaker": utterance.speaker,
        "custom": {"turn": utterance.index, **custom},
    }


def _write(path: Path, rows: Iterable[Row]) -> None:
    # mtime 0 makes the bytes reproducible
    with path.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
        for row in rows:
            file.write((json.dumps(row, ensure_ascii=False) + "\n").encode())
