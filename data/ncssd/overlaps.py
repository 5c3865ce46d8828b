"""Stage 6: separates overlapping speech, so that each turn has only its own speaker.

Turns in which the other speaker is faint keep the mixture. So do turns that the separation network
is unsure of, and these keep their `mixed` mark too. Recordings with one speaker per channel need no
separation.
"""

from pathlib import Path

import numpy as np
import soundfile

from data.audio import SAMPLE_RATE
from data.files import atomic_path
from data.ncssd.config import OverlapsConfig
from data.ncssd.stage import Context
from data.ncssd.store import Row

VERSION = 2
FILES = (Path(__file__).parent / "weights" / "separator.safetensors",)
_PAD_S = 0.25  # separated audio kept around a turn, for readers that pad turns


def run(row: Row, context: Context, key: str) -> list[Row]:
    """Adds `separation_db`, the predicted SDR within the overlap, to `mixed` turns.

    Where that of the mixture is high enough, `mixed` is removed. Where only that of the separated
    speech is, `mixed` is replaced by `separated`: the audio file in the store, its first sample
    there, and its start and end in seconds of the working copy.
    """
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
    pieces: list[np.ndarray] = []
    taken, turns = 0, []
    for turn in row["turns"]:
        span = turn["start"] - begin, turn["end"] - begin
        sdr_db = separated.sdr_db(turn["speaker"], *span) if turn.get("mixed") else None
        if sdr_db is not None:
            turn, takes_track = _judged(turn, *sdr_db, config)
            if takes_track:
                first, last = (max(0, round(t * SAMPLE_RATE)) for t in _padded(span))
                piece = separated.sound(turn["speaker"])[first:last]
                times = (round(begin + t / SAMPLE_RATE, 6) for t in (first, first + len(piece)))
                turn["separated"] = [context.store.relative(path), taken, *times]
                pieces.append(piece)
                taken += len(piece)
        turns.append(turn)
    if pieces:
        _write(path, np.concatenate(pieces))
    return [{**row, "turns": turns}]


def _judged(
    turn: Row, mixture_db: float, separated_db: float, config: OverlapsConfig
) -> tuple[Row, bool]:
    """The turn with its `separation_db`, `mixed` only if it stays so, and whether it takes the
    separated track."""
    faint = mixture_db >= config.faint_db
    takes_track = not faint and separated_db >= config.min_sdr_db
    turn = {**turn, "separation_db": round(mixture_db if faint else separated_db, 2)}
    if faint or takes_track:
        del turn["mixed"]
    return turn, takes_track


def _padded(span: tuple[float, float]) -> tuple[float, float]:
    return span[0] - _PAD_S, span[1] + _PAD_S


def _write(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as partial:
        soundfile.write(partial, np.clip(samples, -1.0, 1.0), SAMPLE_RATE, "PCM_24", format="WAV")
