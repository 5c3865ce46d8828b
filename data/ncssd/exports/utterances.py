"""The utterances of accepted dialogues, and how a manifest names their files."""

import os
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
    side: int  # 0 or 1 in its dialogue
    text: str
    path: Path
    duration: float
    language: str
    extra: dict[str, Any]


@dataclass(frozen=True)
class Listing:
    """What manifests list, and how.

    Attributes:
        absolute: whether they name files by absolute paths or relative to the manifest; None names
            them as the readers of a format take them from any folder.
        mixed: whether turns are listed whose sound holds another's words too.
    """

    absolute: bool | None = None
    mixed: bool = False


@dataclass(frozen=True)
class Export:
    """What a format is written from, and where.

    Attributes:
        root: the folder to write into, which is renamed to `final` when all is there.
        final: where it will lie.
        ncssd: the exported dialogues.
        rows: of the accepted dialogues.
        listing: what manifests list, and how.
    """

    root: Path
    final: Path
    ncssd: Path
    rows: list[dict[str, Any]]
    listing: Listing = Listing()

    def name(self, path: Path, absolute: bool) -> str:
        """A file of `ncssd` or, once it is there, of `final`, as a manifest in `final` names it.

        Args:
            path: of the file.
            absolute: whether the format's readers look from the working folder.
        """
        if absolute if self.listing.absolute is None else self.listing.absolute:
            return str(path.resolve())
        return Path(os.path.relpath(path, self.final)).as_posix()

    def utterances(self) -> Iterator[Utterance]:
        """Every utterance that is to be listed; its speaker's id is global within its source."""
        for row in self.rows:
            yield from filter(self.lists, utterances_of(row, self.ncssd))

    def lists(self, utterance: Utterance) -> bool:
        """Whether a manifest lists an utterance."""
        return self.listing.mixed or not utterance.extra.get("mixed")


def utterances_of(row: dict[str, Any], ncssd: Path) -> list[Utterance]:
    """All utterances of one dialogue, in order."""
    found = []
    for index, turn in enumerate(read_dialogue(ncssd / row["id"]).turns):
        assert turn.audio is not None
        speaker = str(turn.extra.get("speaker_id", f"{row['id']}-{turn.speaker}"))
        found.append(
            Utterance(
                # Kaldi wants the speaker in front, so that sorting by either gives one order
                name=f"{speaker}-{row['id']}-{index:04d}",
                dialogue=row["id"],
                index=index,
                speaker=speaker,
                side=turn.speaker,
                text=turn.text,
                path=turn.audio,
                duration=float(turn.extra["duration"]),
                language=row.get("language", "en"),
                extra=turn.extra,
            )
        )
    return found
