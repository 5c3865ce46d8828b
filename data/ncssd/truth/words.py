"""Word error rates of a build: cpWER and, on request, WER of its recogniser on the true turns."""

import re
from dataclasses import dataclass
from typing import Any

from data.audio import read_audio
from data.languages import primary_language
from data.ncssd import recognise
from data.ncssd.config import RecogniseConfig
from data.ncssd.store import Row
from data.ncssd.truth.score import Recording, speaker_map
from data.text import HAN_LETTERS

_RATE = 16_000


@dataclass
class WordCounts:
    """Errors and words: of found turns by speaker, and of true turns."""

    found_errors: int = 0
    found_words: int = 0
    true_errors: int = 0
    true_words: int = 0

    def figures(self, beside: bool) -> dict[str, float]:
        """The error rates, with the recogniser's own if `beside`."""
        cp = self.found_errors / self.found_words if self.found_words else float("nan")
        wer = self.true_errors / self.true_words if self.true_words else float("nan")
        own = {"wer_true_segments": wer, "cpwer_minus_wer": cp - wer}
        return {"cpwer": cp, **(own if beside else {})}


def score_words(recording: Recording, config: RecogniseConfig | None = None) -> WordCounts:
    """Scores accepted dialogues: cpWER (meeteval) and, with the `config` of a recogniser, WER
    (jiwer) of its transcripts of the true turns."""
    from meeteval.wer import cp_word_error_rate

    counts = WordCounts()
    for dialogue in recording.dialogues:
        voices = set(speaker_map(recording.truth, dialogue).values())
        turns = [
            turn
            for turn in recording.truth["turns"]
            if turn["speaker"] in voices and _inside(turn, dialogue)
        ]
        reference: Any = _by_speaker(turns)
        found: Any = _by_speaker(dialogue["turns"])
        unsorted: Any = False  # texts without times
        result: Any = cp_word_error_rate(reference, found, unsorted, unsorted)
        counts.found_errors += result.errors
        counts.found_words += result.length
        if config is not None:
            _recognise(counts, turns, recording, config, dialogue.get("language", "en"))
    return counts


def _recognise(
    counts: WordCounts,
    turns: list[Row],
    recording: Recording,
    config: RecogniseConfig,
    language: str,
) -> None:
    import jiwer

    samples = read_audio(recording.media, _RATE)
    recogniser = recognise.load(config)
    spans = [recognise.padded(turn, turns) for turn in turns]
    parts = [samples[round(start * _RATE) : round(end * _RATE)] for start, end in spans]
    heard = recogniser(parts, primary_language(language))
    for turn, transcript in zip(turns, heard, strict=True):
        out = jiwer.process_words(plain(turn["text"]), plain(transcript.text))
        counts.true_errors += out.substitutions + out.deletions + out.insertions
        counts.true_words += out.substitutions + out.deletions + out.hits


def plain(text: str) -> str:
    """Normalises a text for scoring: words of lower-case letters, digits and apostrophes, and
    Chinese characters as a word each."""
    spaced = re.sub(f"([{HAN_LETTERS}])", r" \1 ", text.lower())
    return " ".join(re.sub(f"[^a-z0-9'{HAN_LETTERS} ]+", " ", spaced).split())


def _by_speaker(turns: list[Row]) -> dict[str, str]:
    texts: dict[str, list[str]] = {}
    for turn in turns:
        texts.setdefault(str(turn["speaker"]), []).append(plain(turn["text"]))
    return {speaker: " ".join(parts) for speaker, parts in texts.items()}


def _inside(turn: Row, dialogue: Row) -> bool:
    middle = (turn["start"] + turn["end"]) / 2
    return dialogue["start"] <= middle <= dialogue["end"]
