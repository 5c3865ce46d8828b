"""The utterances of accepted dialogues, as the formats need them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.dialogue import read_dialogue


@dataclass(frozen=True)
class Utterance:
    """One exported turn; times in seconds of its source, `path` of its WAV file."""

    name: str
    dialogue: str
    index: int
    speaker: str
    text: str
    path: Path
    duration: float
    language: str
    extra: dict[str, Any]


def utterances(ncssd: Path, rows: list[dict[str, Any]]) -> Iterator[Utterance]:
    """Every utterance, its speaker's id being global within its source."""
    for row in rows:
        dialogue = read_dialogue(ncssd / row["id"])
        for index, turn in enumerate(dialogue.turns):
            assert turn.audio is not None
            speaker = str(turn.extra.get("speaker_id", f"{row['id']}-{turn.speaker}"))
            yield Utterance(
                # Kaldi wants the speaker in front, so that sorting by either gives one order
                name=f"{speaker}-{row['id']}-{index:04d}",
                dialogue=row["id"],
                index=index,
                speaker=speaker,
                text=turn.text,
                path=turn.audio,
                duration=float(turn.extra["duration"]),
                language=row.get("language", "en"),
                extra=turn.extra,
            )
