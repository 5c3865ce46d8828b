"""The words of a build: cpWER, beside what the recogniser makes of the true segments."""

import re
from dataclasses import dataclass
from typing import Any

from data.audio import read_audio
from data.ncssd import recognise
from data.ncssd.config import RecogniseConfig
from data.ncssd.store import Row
from data.ncssd.truth.score import Recording, speaker_map

_RATE = 16_000
_PAD_S = 0.15


@dataclass
class WordCounts:
    """Errors and words: of found turns with their speakers, and of true turns."""

    found_errors: int = 0
    found_words: int = 0
    true_errors: int = 0
    true_words: int = 0

    def add(self, other: "WordCounts") -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def figures(self) -> dict[str, float]:
        cp = self.found_errors / self.found_words if self.found_words else float("nan")
        wer = self.true_errors / self.true_words if self.true_words else float("nan")
        return {"cpwer": cp, "wer_true_segments": wer, "cpwer_minus_wer": cp - wer}


def score_words(recording: Recording, config: RecogniseConfig) -> WordCounts:
    """cpWER by meeteval of each accepted dialogue, and WER by jiwer of the true turns in it."""
    import jiwer
    from meeteval.wer import cp_word_error_rate

    counts = WordCounts()
    if not recording.dialogues:
        return counts
    samples = read_audio(recording.media, _RATE)
    recogniser = recognise.load(config)
    for dialogue in recording.dialogues:
        voices = set(speaker_map(recording.truth, dialogue).values())
        turns = [
            turn
            for turn in recording.truth["turns"]
            if turn["speaker"] in voices and _inside(turn, dialogue)
        ]
        reference: Any = _by_speaker(turns)
        found: Any = _by_speaker(dialogue["turns"])
        result: Any = cp_word_error_rate(reference, found)
        counts.found_errors += result.errors
        counts.found_words += result.length
        for turn in turns:
            first = max(0, round((turn["start"] - _PAD_S) * _RATE))
            part = samples[first : round((turn["end"] + _PAD_S) * _RATE)]
            heard = recogniser(part, dialogue.get("language", "en")).text
            out = jiwer.process_words(plain(turn["text"]), plain(heard))
            counts.true_errors += out.substitutions + out.deletions + out.insertions
            counts.true_words += out.substitutions + out.deletions + out.hits
    return counts


def plain(text: str) -> str:
    """Lower case, letters and apostrophes only: what scorers compare."""
    return " ".join(re.sub(r"[^a-z0-9' ]+", " ", text.lower().replace("-", " ")).split())


def _by_speaker(turns: list[Row]) -> dict[str, str]:
    texts: dict[str, list[str]] = {}
    for turn in turns:
        texts.setdefault(str(turn["speaker"]), []).append(plain(turn["text"]))
    return {speaker: " ".join(parts) for speaker, parts in texts.items()}


def _inside(turn: Row, dialogue: Row) -> bool:
    middle = (turn["start"] + turn["end"]) / 2
    return dialogue["start"] <= middle <= dialogue["end"]
