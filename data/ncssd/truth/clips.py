"""The utterances of a corpus in NCSSD layout, grouped by voice, with their spans of speech."""

import fnmatch
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.audio import SAMPLE_RATE, read_audio
from data.dialogue import Turn, read_ncssd
from data.errors import InputError

PAUSE_S = 0.3  # longer silences split spans of speech
_FINE_S = 0.1  # longer than the closures of plosives
_SILENT = {"pau", "sil", "SIL", "#", "_", "", "h#"}
_FLOOR_DB = -40.0  # frames further below the loudest are silence, if there are no phones


@dataclass(frozen=True)
class Clip:
    """One utterance; spans are in seconds from the start of its file."""

    voice: str
    text: str
    path: Path
    spans: tuple[tuple[float, float], ...]
    fine: tuple[tuple[float, float], ...]  # `spans` split at every silence over 0.1 s
    f0_hz: float = 0.0  # mean F0 from the corpus; 0 if unknown

    @property
    def speech_s(self) -> float:
        return self.spans[-1][1] - self.spans[0][0]

    def load(self) -> np.ndarray:
        """Samples `[T]` at 24 kHz, from the start to the end of speech."""
        samples = read_audio(self.path)
        first, last = self.spans[0][0], self.spans[-1][1]
        return samples[round(first * SAMPLE_RATE) : round(last * SAMPLE_RATE)]

    def relative(self, fine: bool = False) -> list[tuple[float, float]]:
        """The spans relative to the start of speech."""
        zero = self.spans[0][0]
        return [(a - zero, b - zero) for a, b in (self.fine if fine else self.spans)]


def read_corpora(
    roots: list[Path], limit: int = 0, voices: tuple[str, ...] = ("*",), least: int = 1
) -> dict[str, list[Clip]]:
    """All utterances with audio, by voice, in the order of the corpora; voices with equal names are
    merged.

    Args:
        roots: corpora in NCSSD layout. Speech is the audible part of the audio, limited to
            "phones" if there are any (a synthesizer's phones extend into the following silence).
            Without "voice", each speaker of a dialogue counts as a voice.
        limit: most dialogues to read of each corpus; 0 for all.
        voices: glob patterns of voice names.
        least: least number of utterances of a voice.

    Raises:
        InputError: no dialogues, or fewer than three voices.
    """
    clips: dict[str, list[Clip]] = defaultdict(list)
    for root in roots:
        _read_clips(root, limit, voices, clips)
    found = {voice: own for voice, own in sorted(clips.items()) if len(own) >= least}
    if len(found) < 3:
        which = (
            ""
            if voices == ("*",) and least == 1
            else (f" matching {', '.join(voices)} with at least {least} utterances")
        )
        names = " and ".join(str(root) for root in roots)
        raise InputError(f"{names}: {len(found)} voices{which}; at least 3 are needed")
    return found


def _read_clips(
    root: Path, limit: int, voices: tuple[str, ...], clips: dict[str, list[Clip]]
) -> None:
    """Adds the utterances of one corpus to `clips`."""
    for index, dialogue in enumerate(read_ncssd(root)):
        if limit and index >= limit:
            break
        for turn in dialogue.turns:
            if turn.audio is None or not turn.text.strip():
                continue
            voice = str(turn.extra.get("voice", f"{dialogue.id}-{turn.speaker}"))
            wanted = any(fnmatch.fnmatchcase(voice, pattern) for pattern in voices)
            spans = _spans(turn) if wanted else []
            if spans:
                wide = tuple(join(spans, PAUSE_S))
                f0_hz = float(turn.extra.get("f0_hz") or 0.0)
                clips[voice].append(Clip(voice, turn.text, turn.audio, wide, tuple(spans), f0_hz))


def _spans(turn: Turn) -> list[tuple[float, float]]:
    sounding = _loud(read_audio(turn.audio)) if turn.audio else []
    phones: Any = turn.extra.get("phones")
    if phones:
        spoken = [(float(a), float(b)) for name, a, b in phones if name not in _SILENT]
        sounding = _common(sounding, join(spoken, _FINE_S))
    return join(sounding, _FINE_S)


def _common(
    some: list[tuple[float, float]], others: list[tuple[float, float]]
) -> list[tuple[float, float]]:
    """The intersection of two lists of spans, in order."""
    pairs = [(max(a, c), min(b, d)) for a, b in some for c, d in others]
    return [(a, b) for a, b in pairs if b > a]


def join(spans: list[tuple[float, float]], pause_s: float) -> list[tuple[float, float]]:
    """Merges spans with pauses shorter than `pause_s`, in order."""
    out: list[tuple[float, float]] = []
    for start, end in spans:
        if out and start - out[-1][1] < pause_s:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return out


def _loud(samples: np.ndarray) -> list[tuple[float, float]]:
    size = SAMPLE_RATE // 50
    frames = samples[: samples.shape[0] // size * size].reshape(-1, size)
    level = 10.0 * np.log10((frames**2).mean(axis=1) + 1e-12)
    loud = np.flatnonzero(level > level.max(initial=-120.0) + _FLOOR_DB)
    return join([(i / 50, (i + 1) / 50) for i in loud.tolist()], 1e-6)
