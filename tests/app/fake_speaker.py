"""A speaker with the face of `models.speaker.Speaker`: a tone for a voice, 200 ms for a word.

What it says can be verified by sample: the tone tells the voice, the length the number of words.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from data.errors import InputError
from models.reply_times import TimedWord

RATE = 24_000
WORD_SAMPLES = 4800  # 200 ms, five frames


@dataclass(frozen=True)
class FakeVoice:
    name: str
    description: str
    hz: float
    prompt: Any = None  # of a cloned one, what it has said
    consent: str = ""

    @property
    def style(self) -> Any:
        import torch  # only a library of voices wants it

        return torch.full((4,), self.hz)


@dataclass
class FakeDialogue:
    predictor: str = "gpt-talker"
    turns: list[tuple[int, str, np.ndarray | None]] = field(default_factory=list)
    reply: "FakeReply | None" = None


class FakeReply:
    def __init__(
        self, speaker: "FakeSpeaker", dialogue: FakeDialogue, text: str | Iterable[str], hz: float
    ) -> None:
        self.text = ""
        self.words: list[tuple[str, float, float]] = []
        self.retries, self.rtf, self.seed = 0, None, 0
        self.num_units = 0
        self.first_audio_ms: float | None = None
        self._speaker, self._dialogue, self._source, self._hz = speaker, dialogue, text, hz
        self._given: list[np.ndarray] = []
        self._cancelled = False
        self._complete = False

    def __iter__(self) -> Iterator[np.ndarray]:
        pieces = [self._source] if isinstance(self._source, str) else self._source
        for piece in pieces:
            self.text += piece
            for word in piece.split():
                yield from self._say(word)
        if not self._given and not self._cancelled:
            raise InputError("there is nothing to speak in the text: give words")
        self._complete = not self._cancelled

    def _say(self, word: str) -> Iterator[np.ndarray]:
        if word == self._speaker.poison:
            raise RuntimeError("the fake speaker was told to break")
        self.num_units += len(word)
        start = sum(map(len, self._given)) / RATE
        self.words.append((word.strip(".,?!"), start, start + WORD_SAMPLES / RATE))
        for _ in range(WORD_SAMPLES // 960):
            if self._cancelled:
                return
            self._speaker.gate.wait()
            if self._speaker.rtf:
                time.sleep(960 / RATE * self._speaker.rtf)
            at = (np.arange(960) + sum(map(len, self._given))) / RATE
            chunk = (0.3 * np.sin(2 * np.pi * self._hz * at)).astype(np.float32)
            self._given.append(chunk)
            yield chunk

    @property
    def timed_words(self) -> list[TimedWord]:
        return [TimedWord(word, *times, (("x", *times),)) for word, *times in self.words]

    @property
    def complete(self) -> bool:
        return self._complete

    @property
    def duration_s(self) -> float:
        return sum(map(len, self._given)) / RATE

    def samples(self) -> np.ndarray:
        return np.concatenate(self._given) if self._given else np.zeros(0, np.float32)

    def cancel(self) -> None:
        self._cancelled = True

    def commit(self, played_s: float | None = None) -> None:
        if self._dialogue.reply is not self:
            return
        self._dialogue.reply = None
        end = self.duration_s if played_s is None else played_s
        text = " ".join(word for word, start, _ in self.words if start < end)
        if text and end > 0:
            self._dialogue.turns.append((1, text, self.samples()[: round(end * RATE)]))


class FakeSpeaker:
    """Args: rtf: real seconds of waiting for a second of sound."""

    sample_rate = RATE
    predictors = ("gpt-talker", "flow-omni")

    def __init__(self, rtf: float = 0.0) -> None:
        self.rtf = rtf
        self.poison = ""
        self.warmed = 0
        self.gate = threading.Event()
        self.gate.set()
        self.dialogues: list[FakeDialogue] = []
        self.voices = {
            name: FakeVoice(name, f"a tone of {hz} Hz", hz)
            for name, hz in (("slt", 440.0), ("kal", 220.0), ("rms", 330.0), ("awb", 550.0))
        }

    def clone(self, samples: np.ndarray, name: str = "cloned") -> FakeVoice:
        if len(samples) < RATE:
            raise InputError("the voice sample is shorter than 1 s")
        if np.sqrt(np.mean(np.square(samples))) < 1e-3:
            raise InputError("the voice sample is silent")
        return FakeVoice(name, "cloned", 660.0, samples)

    def open_dialogue(
        self, predictor: str | None = None, abandoned: Callable[[], bool] = lambda: False
    ) -> FakeDialogue:
        self.dialogues.append(FakeDialogue(predictor or self.predictors[0]))
        return self.dialogues[-1]

    def add_turn(
        self, dialogue: FakeDialogue, who: int, text: str, samples: np.ndarray | None
    ) -> None:
        dialogue.reply = None
        dialogue.turns.append((who, text, samples))

    def take_back_turn(self, dialogue: FakeDialogue) -> None:
        dialogue.reply = None
        dialogue.turns.pop()

    def warm_up(self, predictor: str | None = None) -> None:
        self.warmed += 1

    def speak(
        self,
        dialogue: FakeDialogue,
        text: str | Iterable[str],
        voice: FakeVoice,
        options: object = None,
    ) -> FakeReply:
        dialogue.reply = FakeReply(self, dialogue, text, voice.hz)
        return dialogue.reply
