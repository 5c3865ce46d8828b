"""Stage 6: separates overlapping speech, so that each turn has only its own speaker.

Turns that the separation network is unsure of keep the mixture, and their `mixed` mark. Recordings
with one speaker per channel need no separation.
"""

from pathlib import Path

import numpy as np
import soundfile

from data.audio import SAMPLE_RATE
from data.files import atomic_path
from data.ncssd.stage import Context
from data.ncssd.store import Row

VERSION = 1
FILES = (Path(__file__).parent / "weights" / "separator.safetensors",)
_PAD_S = 0.25  # separated audio kept around a turn, for readers that pad turns


def run(row: Row, context: Context, key: str) -> list[Row]:
    """Adds `separation_db`, the network's predicted SDR within the overlap, to `mixed` turns, and
    replaces `mixed` by `separated` where it is high enough: the audio file in the store, its first
    sample there, and its start and end in seconds of the working copy."""
    segments = row.get("segments")
    row = {k: v for k, v in row.items() if k != "segments"}
    config = context.config.overlaps
    if segments is None or not config.separate:
        return [row]
    # imported here since it needs torch, which other stages do not
    from data.ncssd.overlap_separation import SeparatedDialogue

    begin = max(0.0, row["start"] - _PAD_S)
    samples = context.read(row["audio"], begin, row["end"] + _PAD_S)
    moved = [[a - begin, b - begin, who] for a, b, who in segments]
    separated = SeparatedDialogue(samples, moved, context.config.device)
    path = context.store.path("overlaps", key, ".wav")
    pieces, taken, turns = [], 0, []
    for turn in row["turns"]:
        span = turn["start"] - begin, turn["end"] - begin
        sdr_db = separated.sdr_db(turn["speaker"], *span) if turn.get("mixed") else None
        if sdr_db is None:
            turns.append(turn)
            continue
        turn = {**turn, "separation_db": round(sdr_db, 2)}
        if sdr_db >= config.min_sdr_db:
            first, last = (
                max(0, round(t * SAMPLE_RATE)) for t in (span[0] - _PAD_S, span[1] + _PAD_S)
            )
            piece = separated.sound(turn["speaker"])[first:last]
            a = begin + first / SAMPLE_RATE
            del turn["mixed"]
            turn["separated"] = [
                *(context.store.relative(path), taken),
                *(round(a, 6), round(a + piece.shape[0] / SAMPLE_RATE, 6)),
            ]
            pieces.append(piece)
            taken += piece.shape[0]
        turns.append(turn)
    if pieces:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as partial:
            sound = np.clip(np.concatenate(pieces), -1.0, 1.0)
            soundfile.write(partial, sound, SAMPLE_RATE, "PCM_24", format="WAV")
    return [{**row, "turns": turns}]
