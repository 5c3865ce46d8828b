"""The single history of a conversation: its turns as they were played, with their audio.

The page, responders, speech models and downloads all use views of it. Between turns it holds
entries that only a language model reads: system messages, function calls and their outputs. Audio
is kept in one unnamed temporary file, so an hour of speech costs no memory and nothing outlives the
session.
"""

import io
import tempfile
import threading
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from app.manner import Manner
from app.names import names_in
from app.replies import TOOL, ChatMessage
from app.tools import ToolCall
from data.audio import SAMPLE_RATE
from data.audio.pcm import from_bytes, to_bytes
from data.dialogue import Dialogue, Turn, write_ncssd_dialogue
from data.errors import InputError
from models.text.cutting import text_heard_until

USER, AGENT = 0, 1
_SHORTEST_S = 0.1
_HISTORY_TURNS, _DROPPED_AT_ONCE = 200, 100
_TURNS_WITH_NAMES = 6
_MAX_NOTES = 1 << 20  # characters
FIRST = -1
"""The `after` number of the first entry."""


@dataclass
class TurnRecord:
    """One turn.

    Attributes:
        number: counts from 0; unique within a session.
        who: 0 the user, 1 the agent.
        text: transcript; of an interrupted turn, the part that was played.
        seconds: audio duration; 0 for a typed turn.
        typed: whether the user typed it.
        wordless: whether it has audio but no transcript.
        cut: whether it was interrupted; `intended` is then the full text.
        timings: latencies in ms, by name.
        words: timestamps (word, start, end) of a spoken answer, s from its first sample.
    """

    number: int
    who: int
    text: str
    seconds: float = 0.0
    typed: bool = False
    wordless: bool = False
    cut: bool = False
    intended: str = ""
    voice: str = ""
    manner: Manner | None = None
    timings: dict[str, float] = field(default_factory=dict)
    offset: int = 0
    num_samples: int = 0
    words: list[tuple[str, float, float]] = field(default_factory=list)

    def public(self) -> dict[str, Any]:
        """The turn as sent to the page."""
        manner = asdict(self.manner) if self.manner is not None else None
        return {
            "turn": self.number,
            "who": "agent" if self.who else "user",
            "text": self.text,
            "seconds": round(self.seconds, 3),
            "typed": self.typed,
            "wordless": self.wordless,
            "cut": self.cut,
            "intended": self.intended,
            "voice": self.voice,
            "manner": manner,
            "timings": {name: round(value, 1) for name, value in self.timings.items()},
        }


@dataclass(frozen=True)
class Note:
    """An entry for the language model that is not a turn; see `app.replies.ChatMessage`."""

    number: int
    who: int
    text: str = ""
    call: ToolCall | None = None
    answers: str = ""

    @property
    def length(self) -> int:
        """Its length in characters."""
        return len(self.text) + (len(self.call.arguments) if self.call else 0)


@dataclass(frozen=True)
class Place:
    """Placeholder of a turn that is still being spoken or recognised."""

    number: int
    who: int


Entry = TurnRecord | Note | Place


class DialogueHistory:
    """Turns in order. Used from the server's loop and from the session's worker.

    Args:
        max_sound_s: audio budget; later turns are kept without audio.
        max_turns: maximum number of turns; the oldest are dropped first.

    Attributes:
        entries: turns, notes and placeholders, oldest first; only changed through the methods.
    """

    def __init__(self, max_sound_s: float = 3600.0, max_turns: int = 1000) -> None:
        self.entries: list[Entry] = []
        self._next, self._max_turns = 0, max_turns
        self._most = int(max_sound_s * SAMPLE_RATE)
        self._held = 0
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by `close`
        self._lock = threading.Lock()

    def number(self) -> int:
        """Reserves the number of the next turn."""
        self._next += 1
        return self._next - 1

    @property
    def turns(self) -> list[TurnRecord]:
        """The turns, oldest first."""
        return [one for one in self.entries if isinstance(one, TurnRecord)]

    @property
    def waiting(self) -> list[Entry]:
        """Unanswered entries since the agent's last turn: user turns and function outputs."""
        found: list[Entry] = []
        for entry in reversed(self.entries):
            if entry.who == AGENT and not isinstance(entry, Note):
                break
            if entry.who in (USER, TOOL):
                found.insert(0, entry)
        return found

    def place(self, entry: Entry, after: int | None = None) -> None:
        """Inserts an entry after number `after`, by default at the end.

        Raises:
            InputError: there is no such entry, or the limit is reached.
        """
        with self._lock:
            notes = [one.length for one in (*self.entries, entry) if isinstance(one, Note)]
            if sum(notes) > _MAX_NOTES:
                raise InputError(
                    f"items other than turns would have {sum(notes)} characters in total; at most "
                    f"{_MAX_NOTES} are kept: delete some"
                )
            at = len(self.entries) if after is None else self._index(after) + 1
            self.entries.insert(at, entry)
            del self.entries[: -self._max_turns]

    def release(self, number: int) -> None:
        """Removes the placeholder of a turn, if any."""
        with self._lock:
            self.entries = [
                one for one in self.entries if one.number != number or not isinstance(one, Place)
            ]

    def remove(self, number: int) -> Entry:
        """Removes an entry; raises InputError if there is none."""
        with self._lock:
            entry = self.entries.pop(self._index(number))
            if isinstance(entry, TurnRecord) and self._is_last_sound(entry):
                self._held = entry.offset
            return entry

    def _index(self, number: int) -> int:
        if number == FIRST:
            return -1
        for at, entry in enumerate(self.entries):
            if entry.number == number:
                return at
        raise InputError("there is no such item in the conversation, or it was deleted")

    def _is_last_sound(self, record: TurnRecord) -> bool:
        return bool(record.num_samples) and record.offset + record.num_samples == self._held

    def add(self, record: TurnRecord, samples: np.ndarray | None) -> TurnRecord:
        """Adds a turn at its placeholder, or else at the end, with its samples [T] at 24 kHz, or
        None if typed."""
        with self._lock:
            if samples is not None and len(samples):
                record.seconds = len(samples) / SAMPLE_RATE
                if self._held + len(samples) <= self._most:
                    record.offset, record.num_samples = self._held, len(samples)
                    self._file.seek(2 * self._held)
                    self._file.write(to_bytes(samples))
                    self._held += len(samples)
            for at, entry in enumerate(self.entries):
                if entry.number == record.number and isinstance(entry, Place):
                    self.entries[at] = record
                    break
            else:
                self.entries.append(record)
            del self.entries[: -self._max_turns]
        return record

    def heard_until(self, number: int, played_s: float) -> TurnRecord:
        """Truncates the text and audio of an interrupted turn to what was played.

        Args:
            number: the turn's number.
            played_s: playback position, s.
        """
        with self._lock:
            record = next(one for one in self.turns if one.number == number)
            record.intended = record.intended or record.text
            record.text = text_heard_until(record.intended, record.words, played_s)
            record.cut = True
            record.seconds = min(record.seconds, played_s)
            if record.num_samples:
                is_last = self._is_last_sound(record)
                record.num_samples = min(record.num_samples, round(played_s * SAMPLE_RATE))
                if is_last:
                    self._held = record.offset + record.num_samples
        return record

    def take_back(self, number: int) -> TurnRecord | None:
        """Removes the last turn if it has this number, because the user continued it."""
        with self._lock:
            turns = self.turns
            if not turns or turns[-1].number != number:
                return None
            self.entries.remove(turns[-1])
            if self._is_last_sound(turns[-1]):
                self._held = turns[-1].offset
            return turns[-1]

    def find(self, number: int) -> TurnRecord | None:
        """The turn with this number."""
        return next((one for one in self.turns if one.number == number), None)

    def sound(self, record: TurnRecord) -> np.ndarray | None:
        """The turn's samples [T], float32 at 24 kHz; None if it has none."""
        if not record.num_samples:
            return None
        with self._lock:
            self._file.seek(2 * record.offset)
            content = self._file.read(2 * record.num_samples)
        return from_bytes(content)

    def messages(self, notes: bool = False) -> list[ChatMessage]:
        """The last entries for a responder, with `notes` including those that are not turns. The
        first one changes rarely, so that summaries from there on stay valid."""
        entries = [one for one in self.entries if notes or isinstance(one, TurnRecord)]
        found = [self.as_message(one) for one in entries]
        found_messages = [one for one in found if one is not None]
        beyond = max(0, len(found_messages) - _HISTORY_TURNS)
        return found_messages[beyond // _DROPPED_AT_ONCE * _DROPPED_AT_ONCE :]

    def as_message(self, entry: Entry) -> ChatMessage | None:
        """An entry for a responder; None for a placeholder."""
        if isinstance(entry, TurnRecord):
            sound = partial(self.sound, entry)
            return ChatMessage(entry.who, entry.text, entry.manner, sound, seconds=entry.seconds)
        if isinstance(entry, Note):
            return ChatMessage(entry.who, entry.text, call=entry.call, answers=entry.answers)
        return None

    def names(self) -> tuple[str, ...]:
        """Names in the last typed and generated turns; recognised text may be wrong."""
        written = (turn for turn in reversed(self.turns) if turn.who == AGENT or turn.typed)
        return names_in(turn.text for turn in islice(written, _TURNS_WITH_NAMES))

    def manners(self, who: int, voice: str = "") -> Sequence[Manner]:
        """Prosody of one side's turns: of the user, or of the agent in one voice."""
        return [
            one.manner
            for one in self.turns
            if one.who == who and one.voice == voice and one.manner is not None
        ]

    def archive(self) -> bytes:
        """A ZIP of the conversation in NCSSD layout, readable by `data.dialogue`.

        A typed turn has no audio, which the layout requires; it gets a short silence and the key
        `typed`.

        Raises:
            InputError: the conversation is empty.
        """
        turns = [self._turn(record) for record in list(self.turns)]
        if not turns:
            raise InputError("the conversation is empty; say or type something first")
        first = turns[0].speaker
        for turn in turns:
            turn.speaker = int(turn.speaker != first)  # the layout's first speaker is 0
        buffer = io.BytesIO()
        with tempfile.TemporaryDirectory() as root:
            folder = write_ncssd_dialogue(root, Dialogue("1", turns, {"source": "voice chat"}))
            with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
                for path in sorted(folder.iterdir()):
                    archive.write(path, Path(folder.name) / path.name)
        return buffer.getvalue()

    def close(self) -> None:
        """Deletes everything."""
        with self._lock:
            self._file.close()
            self.entries.clear()

    def _turn(self, record: TurnRecord) -> Turn:
        samples = self.sound(record)
        extra: dict[str, Any] = {"role": "agent" if record.who else "user"}
        if record.who:
            extra["synthetic"] = True
        for name in ("typed", "cut", "intended", "voice"):
            if getattr(record, name):
                extra[name] = getattr(record, name)
        if samples is None:
            extra["silent"] = True
            samples = np.zeros(int(_SHORTEST_S * SAMPLE_RATE), np.float32)
        return Turn(record.who, record.text, samples=samples, extra=extra)
