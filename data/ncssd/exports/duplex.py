"""Dialogues as two full-length tracks, one speaker per channel, for full-duplex models."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

from data.audio import SAMPLE_RATE, read_audio
from data.ncssd.exports.utterances import Export, Utterance, utterances_of
from data.ncssd.store import Row

_KEPT = (
    *("overlap", "mixed", "separated", "separation_db", "backchannel"),
    *("confidence", "words", "snr_db", "dnsmos"),
)


def write(export: Export) -> None:
    """Writes `<dialogue>.wav` with two channels, and `<dialogue>.json` with its turns in its own
    time. Includes turns that could not be separated, marked `mixed`.
    """
    for row in export.rows:
        found = utterances_of(row, export.ncssd)
        path = export.root / f"{row['id']}.wav"
        num_samples = write_tracks(path, found, row.get("bits", 16))
        begin = begin_of(found)
        content = {
            "dialogue": row["id"],
            "language": row.get("language"),
            "source": row["source"],
            "license": row.get("license"),
            "duration": num_samples / SAMPLE_RATE,
            "turns": [_turn(utterance, begin) for utterance in found],
        }
        text = json.dumps(content, ensure_ascii=False) + "\n"
        path.with_suffix(".json").write_text(text, encoding="utf-8")


def begin_of(found: Iterable[Utterance]) -> float:
    """The start of a dialogue's tracks, in seconds of its source."""
    return min(utterance.extra["start"] for utterance in found)


def write_tracks(path: Path, found: list[Utterance], bits: int) -> int:
    """Writes a WAV file whose channels are speakers 0 and 1; returns its length in samples.

    Turns keep their position; a channel is silent between its speaker's turns.
    """
    begin = begin_of(found)
    sounds = [
        (utterance.side, round((utterance.extra["start"] - begin) * SAMPLE_RATE), sound)
        for utterance in found
        for sound in (read_audio(utterance.path),)
    ]
    tracks = np.zeros((max(first + len(sound) for _, first, sound in sounds), 2), np.float32)
    for side, first, sound in sounds:
        tracks[first : first + len(sound), side] = sound
    soundfile.write(path, np.clip(tracks, -1.0, 1.0), SAMPLE_RATE, f"PCM_{bits}", format="WAV")
    return tracks.shape[0]


def _turn(utterance: Utterance, begin: float) -> Row:
    extra = utterance.extra
    return {
        "index": utterance.index,
        "channel": utterance.side,
        "speaker": utterance.speaker,
        "start": round(extra["start"] - begin, 3),
        "end": round(extra["end"] - begin, 3),
        "text": utterance.text,
        **{key: extra[key] for key in _KEPT if key in extra},
    }
