"""Lhotse manifests: `recordings.jsonl.gz` and `supervisions.jsonl.gz`, written without Lhotse."""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path

from data.ncssd.exports.utterances import Utterance, utterances
from data.ncssd.store import Row

_RATE = 24_000


def write(root: Path, ncssd: Path, rows: list[Row]) -> None:
    """One recording and one supervision a turn; paths are relative to the build's folder."""
    found = list(utterances(ncssd, rows))
    _write(root / "recordings.jsonl.gz", (_recording(u, ncssd) for u in found))
    _write(root / "supervisions.jsonl.gz", (_supervision(u) for u in found))


def _recording(utterance: Utterance, ncssd: Path) -> Row:
    num_samples = round(utterance.duration * _RATE)
    path = utterance.path.relative_to(ncssd.parent).as_posix()
    return {
        "id": utterance.name,
        "sources": [{"type": "file", "channels": [0], "source": path}],
        "sampling_rate": _RATE,
        "num_samples": num_samples,
        "duration": num_samples / _RATE,
        "channel_ids": [0],
    }


def _supervision(utterance: Utterance) -> Row:
    kept = ("start", "end", "overlap", "confidence", "snr_db", "dnsmos")
    custom = {key: utterance.extra.get(key) for key in kept}
    return {
        "id": utterance.name,
        "recording_id": utterance.name,
        "start": 0.0,
        "duration": round(utterance.duration * _RATE) / _RATE,
        "channel": 0,
        "text": utterance.text,
        "language": utterance.language,
        "speaker": utterance.speaker,
        "custom": {"dialogue": utterance.dialogue, "turn": utterance.index, **custom},
    }


def _write(path: Path, rows: Iterable[Row]) -> None:
    # mtime 0: the same build gives the same bytes
    with path.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
        for row in rows:
            file.write((json.dumps(row, ensure_ascii=False) + "\n").encode())
