"""Several voices in one dialogue, each with the others' lines as context."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from app.answering import SpeakerProtocol
from data.audio import SAMPLE_RATE
from data.errors import InputError
from models.delivery.controls import check_controls, lines_of
from models.reply_times import TimedWord, Word, shifted
from models.speak_options import SpeakOptions

USER, AGENT = 0, 1
MAX_VOICES = 8


@dataclass(frozen=True)
class Line:
    """A text in a single voice."""

    voice: Any
    text: str


def lines_in(text: str, voice: Any, find: Callable[[str], Any]) -> list[Line]:
    """Splits a text at voice tags, which `find` resolves; `voice` is the default.

    Raises:
        InputError: an invalid tag or unknown voice.
    """
    return [Line(find(name) if name else voice, line) for name, line in lines_of(text)]


@dataclass
class _VoiceDialogue:
    """A voice's own view of the dialogue: the other voices' lines count as the user's."""

    dialogue: Any
    num_added: int = 0  # of the lines


@dataclass
class _SpokenLine:
    voice: str
    text: str
    samples: np.ndarray


@dataclass
class _Totals:
    """Totals of the replies so far."""

    words: list[TimedWord] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    num_units: int = 0
    retries: int = 0
    busy_s: float = 0.0


class MultiVoiceReply:
    """Lines spoken one after another, with the interface of `models.reply.Reply`.

    Args:
        speaker: shared by all lines.
        open_dialogue: opens a dialogue that has the preceding turns as its history.
        lines: at least one, in order.
        options: shared by all lines; the seed increases by one per line.
    """

    def __init__(
        self,
        speaker: SpeakerProtocol,
        open_dialogue: Callable[[], Any],
        lines: Sequence[Line],
        options: SpeakOptions,
    ) -> None:
        self._speaker, self._open, self._lines = speaker, open_dialogue, list(lines)
        self._options = options
        self._dialogues: dict[str, _VoiceDialogue] = {}
        self._spoken: list[_SpokenLine] = []
        self._chunks: list[np.ndarray] = []
        self._cancelled = False
        self._totals = _Totals()
        self.complete = False
        self.first_audio_ms: float | None = None
        self._reply: Any = self._speak(0)  # reports errors of the first line at once
        self.seed = int(self._reply.seed)

    def __iter__(self) -> Iterator[np.ndarray]:
        for number, line in enumerate(self._lines):
            if self._cancelled:
                return
            if number:
                self._reply = self._speak(number)
            begun = len(self._chunks)
            for chunk in self._reply:
                self._chunks.append(chunk)
                if self.first_audio_ms is None:
                    self.first_audio_ms = self._reply.first_audio_ms
                yield chunk
            if self._cancelled:
                return
            self._finish(line, np.concatenate([np.zeros(0, np.float32), *self._chunks[begun:]]))
        self.complete = True

    def _speak(self, number: int) -> Any:
        line, options = self._lines[number], self._options
        view = self._dialogues.get(line.voice.name)
        if view is None:
            view = self._dialogues[line.voice.name] = _VoiceDialogue(self._open())
        for spoken in self._spoken[view.num_added :]:
            if spoken.voice != line.voice.name:
                self._speaker.add_turn(view.dialogue, USER, spoken.text, spoken.samples)
        view.num_added = number + 1  # its own line enters when it is committed
        if options.seed is not None:
            options = replace(options, seed=options.seed + number)
        return self._speaker.speak(view.dialogue, line.text, line.voice, options)

    def _finish(self, line: Line, samples: np.ndarray) -> None:
        reply, done = self._reply, self._totals
        start_s = self.duration_s - len(samples) / SAMPLE_RATE
        done.words += [shifted(word, start_s) for word in reply.timed_words]
        done.texts.append(reply.text)
        done.num_units += reply.num_units
        done.retries += reply.retries
        done.busy_s += (reply.rtf or 0.0) * len(samples) / SAMPLE_RATE
        self._spoken.append(_SpokenLine(line.voice.name, reply.text, samples))
        reply.commit()
        self._reply = None

    @property
    def timed_words(self) -> list[TimedWord]:
        if self._reply is None:
            return list(self._totals.words)
        start_s = sum(len(spoken.samples) for spoken in self._spoken) / SAMPLE_RATE
        return self._totals.words + [shifted(word, start_s) for word in self._reply.timed_words]

    @property
    def words(self) -> list[Word]:
        return [(timed.word, timed.start, timed.end) for timed in self.timed_words]

    @property
    def text(self) -> str:
        return "\n".join(self._totals.texts)

    @property
    def num_units(self) -> int:
        return self._totals.num_units + (self._reply.num_units if self._reply else 0)

    @property
    def retries(self) -> int:
        return self._totals.retries

    @property
    def duration_s(self) -> float:
        return sum(map(len, self._chunks)) / SAMPLE_RATE

    @property
    def rtf(self) -> float | None:
        return self._totals.busy_s / self.duration_s if self.complete and self._chunks else None

    def samples(self) -> np.ndarray:
        return np.concatenate([np.zeros(0, np.float32), *self._chunks])

    def cancel(self) -> None:
        """Cancels. Never blocks."""
        self._cancelled = True
        reply = self._reply
        if reply is not None:
            reply.cancel()


def speak_lines(
    speaker: SpeakerProtocol,
    open_dialogue: Callable[[], Any],
    lines: Sequence[Line],
    options: SpeakOptions,
) -> Any:
    """Starts speaking lines: a reply of `speaker` for one, a `MultiVoiceReply` for several.

    Raises:
        InputError: a line cannot be spoken (the first at once), or there are too many voices.
    """
    if len(lines) == 1:
        return speaker.speak(open_dialogue(), lines[0].text, lines[0].voice, options)
    for line in lines:
        check_controls(line.text, options.delivery)
    voices = {line.voice.name for line in lines}
    if len(voices) > MAX_VOICES:
        raise InputError(f"the dialogue has {len(voices)} voices; at most {MAX_VOICES} are allowed")
    return MultiVoiceReply(speaker, open_dialogue, lines, options)
