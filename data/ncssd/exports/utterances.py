"""The utterances of accepted dialogues, and their file names in manifests."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.dialogue import read_dialogue


@dataclass(frozen=True)
class Utterance:
    """One exported turn; times are in seconds of its source, `path` is its WAV file."""

    name: str
    dialogue: str
    index: int
    speaker: str
    side: int  # speaker 0 or 1 in its dialogue
    text: str
    path: Path
    duration: float
    language: str
    extra: dict[str, Any]


@dataclass(frozen=True)
class Listing:
    """Options of the manifests.

    Attributes:
        absolute: whether paths are absolute or relative to the manifest; None chooses what a
            format's readers can resolve from any folder.
        mixed: whether to list turns with overlapping speech in their audio.
    """

    absolute: bool | None = None
    mixed: bool = False


@dataclass(frozen=True)
class Export:
    """Input and output of a format's writer.

    Attributes:
        root: the folder to write to, renamed to `final` on completion.
        final: the folder's final path.
        ncssd: the exported dialogues.
        rows: the accepted dialogues.
        listing: options of the manifests.
    """

    root: Path
    final: Path
    ncssd: Path
    rows: list[dict[str, Any]]
    listing: Listing = Listing()

    def name(self, path: Path, absolute: bool) -> str:
        """The name of a file in `ncssd` or `root`, in a manifest in `final`.

        Args:
            path: the file.
            absolute: whether the format's readers resolve paths from the working folder.
        """
        if absolute if self.listing.absolute is None else self.listing.absolute:
            return str(path.resolve())
        return Path(os.path.relpath(path, self.final)).as_posix()

    def utterances(self) -> Iterator[Utterance]:
        """The utterances to list; speaker ids are global within a source."""
        for row in self.rows:
            yield from filter(self.lists, utterances_of(row, self.ncssd))

    def lists(self, utterance: Utterance) -> bool:
        """Whether manifests list an utterance."""
        return self.listing.mixed or not utterance.extra.get("mixed")


def utterances_of(row: dict[str, Any], ncssd: Path) -> list[Utterance]:
    """All utterances of one dialogue, in order."""
    found = []
    for index, turn in enumerate(read_dialogue(ncssd / row["id"]).turns):
        assert turn.audio is not None
        speaker = str(turn.extra.get("speaker_id", f"{row['id']}-{turn.speaker}"))
        found.append(
            Utterance(
                # Kaldi needs the speaker first, so that utterances and speakers sort consistently
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
