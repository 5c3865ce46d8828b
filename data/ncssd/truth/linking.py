"""Scores of speaker ids across the recordings of a show, for builds that link them.

B-cubed precision and recall (Bagga and Baldwin 1998, "Algorithms for scoring coreference chains"):
for each voice of a dialogue, the share of the voices with its id that are the same person, and the
share of this person's voices in the show that have its id.
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from data.ncssd.truth.score import Recording, share, speaker_map


@dataclass
class LinkingCounts:
    """Voices of dialogues, and sums of their precision and recall."""

    voices: int = 0
    precision: float = 0.0
    recall: float = 0.0

    def figures(self) -> dict[str, float]:
        """Fractions from 0 to 1; NaN without voices."""
        precision, recall = share(self.precision, self.voices), share(self.recall, self.voices)
        return {
            "linked_voices": self.voices,
            "linking_precision": precision,
            "linking_recall": recall,
            "linking_f1": share(2 * precision * recall, precision + recall),
        }


def read_shows(out: Path) -> dict[str, str]:
    """The show of each source of a build by its SHA-256; empty if speakers are not linked."""
    sources = json.loads((out / "build.json").read_text(encoding="utf-8")).get("sources", {})
    return {sha: source["show"] for sha, source in sources.items() if "show" in source}


def score_linking(recordings: list[Recording], shows: dict[str, str]) -> list[LinkingCounts]:
    """Scores the dialogues of each recording. A speaker who is no true voice is left out."""
    voices = [_voices(recording, shows) for recording in recordings]
    pairs = Counter(pair for own in voices for pair in own)
    ids = Counter(speaker_id for own in voices for speaker_id, _ in own)
    people = Counter(person for own in voices for _, person in own)
    return [
        LinkingCounts(
            len(own),
            sum(pairs[pair] / ids[pair[0]] for pair in own),
            sum(pairs[pair] / people[pair[1]] for pair in own),
        )
        for own in voices
    ]


def _voices(recording: Recording, shows: dict[str, str]) -> list[tuple[str, tuple[str, str]]]:
    """(id, (show, true voice)) of each speaker of each dialogue."""
    return [
        (dialogue["speaker_ids"][speaker], (shows[dialogue["sha256"]], voice))
        for dialogue in recording.dialogues
        for speaker, voice in speaker_map(recording.truth, dialogue).items()
        if voice
    ]
