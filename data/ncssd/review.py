"""What a person decides about the dialogues of a build: kept in a journal, then exported.

`DIR/review.jsonl` holds one decision a line, the latest of a dialogue counts. A line is added with
one write and synced: whatever happens, no decision that was shown as kept is lost.
"""

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.dialogue import Dialogue, Turn, read_dialogue, write_ncssd_dialogue
from data.errors import InputError
from data.ncssd.store import Row, read_rows

VERDICTS = ("open", "accepted", "rejected")


@dataclass(frozen=True)
class Decision:
    """On one dialogue: the verdict, and texts and speakers by turn where they were mended."""

    dialogue: str
    verdict: str = "open"
    texts: dict[int, str] = field(default_factory=dict)
    speakers: dict[int, int] = field(default_factory=dict)


class Review:
    """The dialogues of a build and what was decided about them.

    Raises:
        InputError: no finished build in the folder.
    """

    def __init__(self, out: Path) -> None:
        self.out = Path(out)
        if not (self.out / "build.json").is_file():
            raise InputError(
                f"{out} holds no finished build (build.json); run launch.py build first"
            )
        self.ids = [row["id"] for row in read_rows(self.out / "dialogues.jsonl")]
        self._journal = self.out / "review.jsonl"
        self._decisions = {d.dialogue: d for d in self._read()}

    def decision(self, dialogue: str) -> Decision:
        """What was decided last, or nothing yet."""
        self._check(dialogue)
        return self._decisions.get(dialogue, Decision(dialogue))

    def dialogue(self, dialogue: str) -> Dialogue:
        """The dialogue as it was built, with what was mended put in."""
        decision = self.decision(dialogue)
        built = read_dialogue(self.out / "ncssd" / dialogue)
        turns = [
            Turn(
                decision.speakers.get(index, turn.speaker),
                decision.texts.get(index, turn.text),
                turn.audio,
                extra={k: v for k, v in turn.extra.items() if k not in ("duration", "sample_rate")},
            )
            for index, turn in enumerate(built.turns)
        ]
        return Dialogue(dialogue, turns, built.extra)

    def decide(self, decision: Decision) -> None:
        """Keeps a decision.

        Raises:
            InputError: an unknown dialogue, verdict, turn or speaker.
        """
        self._check(decision.dialogue)
        if decision.verdict not in VERDICTS:
            raise InputError(f"verdict {decision.verdict!r}; choose one of {', '.join(VERDICTS)}")
        number = len(read_dialogue(self.out / "ncssd" / decision.dialogue).turns)
        beyond = [i for i in (*decision.texts, *decision.speakers) if not 0 <= i < number]
        if beyond:
            raise InputError(
                f"dialogue {decision.dialogue} has {number} turns, none is {beyond[0]}"
            )
        if any(speaker not in (0, 1) for speaker in decision.speakers.values()):
            raise InputError("a speaker is 0 or 1")
        line = json.dumps(vars(decision), ensure_ascii=False) + "\n"
        with self._journal.open("ab") as file:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
        self._decisions[decision.dialogue] = decision

    def counts(self) -> dict[str, int]:
        """How many dialogues have each verdict."""
        verdicts = [self.decision(name).verdict for name in self.ids]
        return {verdict: verdicts.count(verdict) for verdict in VERDICTS}

    def export(self) -> Path:
        """Writes the accepted dialogues, mended, to `DIR/reviewed` in NCSSD layout.

        Where speakers were swapped they are numbered anew: who speaks first is 0.
        """
        final, temporary = self.out / "reviewed", self.out / ".reviewed.partial"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        for name in self.ids:
            if self.decision(name).verdict == "accepted":
                write_ncssd_dialogue(temporary, _renumbered(self.dialogue(name)))
        shutil.rmtree(final, ignore_errors=True)
        temporary.rename(final)
        return final

    def _check(self, dialogue: str) -> None:
        if dialogue not in self.ids:
            raise InputError(f"{self.out} has no dialogue {dialogue!r}")

    def _read(self) -> list[Decision]:
        if not self._journal.is_file():
            return []
        found = []
        for line in self._journal.read_text(encoding="utf-8").splitlines():
            try:
                found.append(_decision(json.loads(line)))
            except (ValueError, KeyError, TypeError):
                continue  # the half line of a write that a crash cut off
        return found


def _decision(row: dict[str, Any]) -> Decision:
    return Decision(
        row["dialogue"],
        row["verdict"],
        {int(k): str(v) for k, v in row["texts"].items()},
        {int(k): int(v) for k, v in row["speakers"].items()},
    )


def _renumbered(dialogue: Dialogue) -> Dialogue:
    order = list(dict.fromkeys(turn.speaker for turn in dialogue.turns))
    for turn in dialogue.turns:
        turn.speaker = order.index(turn.speaker)
    extra: Row = {**dialogue.extra, "reviewed": True}
    return Dialogue(dialogue.id, dialogue.turns, extra)
