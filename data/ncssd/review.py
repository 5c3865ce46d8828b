"""Manual review of a build's dialogues: decisions are stored in a journal, then exported.

`DIR/review.jsonl` has one decision per line; the latest of a dialogue counts. Each line is appended
in one write and synced, so that no confirmed decision is lost. A decision applies to the turns it
was made on: if another build changes a dialogue's times, speakers or texts, it is open again.
"""

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from data.dialogue import Dialogue, Turn, read_dialogue, write_ncssd_dialogue
from data.errors import InputError
from data.files import append_line, atomic_folder
from data.ncssd.store import Row, canonical, read_rows

VERDICTS = ("open", "accepted", "rejected")


@dataclass(frozen=True)
class Decision:
    """A decision on one dialogue: the verdict, and corrected texts and speakers by turn index.

    `turns` is the fingerprint of the reviewed turns, set by `Review.decide`.
    """

    dialogue: str
    verdict: str = "open"
    texts: dict[int, str] = field(default_factory=dict)
    speakers: dict[int, int] = field(default_factory=dict)
    turns: str = ""

    @property
    def says_something(self) -> bool:
        return self.verdict != "open" or bool(self.texts or self.speakers)


class Review:
    """The dialogues of a build and the decisions on them.

    Attributes:
        ids: the dialogues, those most likely to have one speaker first.
        chances: the probability that a dialogue's speakers are two people.

    Raises:
        InputError: no finished build in the folder.
    """

    def __init__(self, out: Path) -> None:
        self.out = Path(out)
        if not (self.out / "build.json").is_file():
            raise InputError(f"{out} has no finished build (build.json); run launch.py build first")
        rows = read_rows(self.out / "dialogues.jsonl")
        self._turns = {row["id"]: _fingerprint(row["turns"]) for row in rows}
        self.chances: dict[str, float] = {row["id"]: row.get("two_people", 1.0) for row in rows}
        self.ids = sorted(self._turns, key=lambda name: self.chances[name])
        self._journal = self.out / "review.jsonl"
        self._decisions: dict[tuple[str, str], Decision] = {}
        for decision in self._read():
            self._keep(decision)

    def decision(self, dialogue: str) -> Decision:
        """The latest decision on the current turns; an empty one if there is none."""
        self._check(dialogue)
        return self._decisions.get((dialogue, self._turns[dialogue]), Decision(dialogue))

    def former(self, dialogue: str) -> Decision | None:
        """The latest decision on former turns, if there is none on the current ones."""
        if dialogue not in self.outdated():
            return None
        mine = [d for d in self._decisions.values() if d.dialogue == dialogue]
        return next(d for d in reversed(mine) if d.says_something)

    def outdated(self) -> list[str]:
        """Dialogues whose only decisions are on former turns, including removed dialogues."""
        now = {name for name, turns in self._decisions if self._turns.get(name) == turns}
        said = dict.fromkeys(d.dialogue for d in self._decisions.values() if d.says_something)
        return [name for name in said if name not in now]

    def dialogue(self, dialogue: str) -> Dialogue:
        """The dialogue with corrections applied."""
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
        """Stores a decision.

        Raises:
            InputError: an unknown dialogue, verdict, turn or speaker.
        """
        self._check(decision.dialogue)
        if decision.verdict not in VERDICTS:
            raise InputError(
                f"unknown verdict {decision.verdict!r}; choose one of {', '.join(VERDICTS)}"
            )
        number = len(read_dialogue(self.out / "ncssd" / decision.dialogue).turns)
        beyond = [i for i in (*decision.texts, *decision.speakers) if not 0 <= i < number]
        if beyond:
            raise InputError(
                f"dialogue {decision.dialogue} has {number} turns; turn {beyond[0]} does not exist"
            )
        if any(speaker not in (0, 1) for speaker in decision.speakers.values()):
            raise InputError("a speaker must be 0 or 1")
        decision = replace(decision, turns=self._turns[decision.dialogue])
        line = json.dumps(vars(decision), ensure_ascii=False) + "\n"
        append_line(self._journal, line.encode(errors="backslashreplace"))
        self._keep(decision)

    def counts(self) -> dict[str, int]:
        """The number of dialogues by verdict."""
        verdicts = [self.decision(name).verdict for name in self.ids]
        return {verdict: verdicts.count(verdict) for verdict in VERDICTS}

    def export(self) -> Path:
        """Writes the accepted dialogues with corrections to `DIR/reviewed` in NCSSD layout.

        Speakers are renumbered after corrections: the first to speak is 0.
        """
        final = self.out / "reviewed"
        with atomic_folder(final, replace=True) as temporary:
            for name in self.ids:
                if self.decision(name).verdict == "accepted":
                    made = _renumbered(self.dialogue(name))
                    write_ncssd_dialogue(temporary, made, made.extra.get("bits", 16))
        return final

    def _keep(self, decision: Decision) -> None:
        key = decision.dialogue, decision.turns
        self._decisions.pop(key, None)  # the latest decision comes last
        self._decisions[key] = decision

    def _check(self, dialogue: str) -> None:
        if dialogue not in self._turns:
            raise InputError(f"{self.out} has no dialogue {dialogue!r}")

    def _read(self) -> list[Decision]:
        if not self._journal.is_file():
            return []
        found = []
        for line in self._journal.read_text(encoding="utf-8").splitlines():
            try:
                found.append(_decision(json.loads(line)))
            except (ValueError, KeyError, TypeError):
                continue  # an incomplete line, written during a crash
        return found


def _decision(row: dict[str, Any]) -> Decision:
    return Decision(
        row["dialogue"],
        row["verdict"],
        {int(k): str(v) for k, v in row["texts"].items()},
        {int(k): int(v) for k, v in row["speakers"].items()},
        row.get("turns", ""),
    )


def _fingerprint(turns: list[Row]) -> str:
    """A hash of the turns' times, speakers and texts, but not of their measurements."""
    said = [[turn[key] for key in ("start", "end", "speaker", "text")] for turn in turns]
    return hashlib.sha256(canonical(said).encode()).hexdigest()[:32]


def _renumbered(dialogue: Dialogue) -> Dialogue:
    order = list(dict.fromkeys(turn.speaker for turn in dialogue.turns))
    for turn in dialogue.turns:
        turn.speaker = order.index(turn.speaker)
    extra: Row = {**dialogue.extra, "reviewed": True}
    return Dialogue(dialogue.id, dialogue.turns, extra)
