"""Answer generation off the event loop: text from the responder, audio from the speaker.

The session takes audio from an `Answer` as the listener needs it; synthesis (`app.speech_worker`)
pauses when it is too far ahead.
"""

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from app.replies import SPACED, ChatMessage, Responder
from app.tools import ToolCall
from data.audio import SAMPLE_RATE
from data.errors import RepError
from data.limits import MAX_SPOKEN
from data.text import valid_text
from models.delivery.controls import without_controls

logger = logging.getLogger(__name__)

_AHEAD_S = 4.0  # maximum buffered audio


class SpokenReply(Protocol):
    """The result of `Speaker.speak`; see `models.reply.Reply`."""

    @property
    def words(self) -> list[tuple[str, float, float]]: ...
    @property
    def timed_words(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[np.ndarray]: ...
    def cancel(self) -> None: ...
    def commit(self, played_s: float | None = None) -> None: ...


class SpeakerProtocol(Protocol):
    """The part of `models.speaker.Speaker` that the chat uses."""

    sample_rate: int
    predictors: tuple[str, ...]
    voices: dict[str, Any]

    def clone(self, samples: np.ndarray, name: str = "cloned") -> Any: ...
    def open_dialogue(
        self, predictor: str | None = None, abandoned: Callable[[], bool] = ...
    ) -> Any: ...
    def add_turn(self, dialogue: Any, who: int, text: str, samples: np.ndarray | None) -> None: ...
    def take_back_turn(self, dialogue: Any) -> None: ...
    def warm_up(self, predictor: str | None = None) -> None: ...
    def speak(self, dialogue: Any, text: Any, voice: Any, options: Any = None) -> SpokenReply: ...


class Answer:
    """One answer, written by the speech worker's threads and read by the session.

    Attributes:
        number: the reply's number, from 1.
        text: text so far, as displayed.
        error: why it failed, or "".
        done: no more audio will come.
        shortened: its text was cut off at a limit.
        silent: text only, not spoken.
        calls: requested function calls.
        num_samples: samples generated so far.
        asked_at, text_at, sound_at: clock times of request, first text and first audio.
    """

    def __init__(self, number: int, clock: Callable[[], float], silent: bool = False) -> None:
        self.number, self.silent = number, silent
        self.text = ""
        self._written = ""  # including delivery tags
        self.error = ""
        self.done = False
        self.shortened = False
        self.calls: tuple[ToolCall, ...] = ()
        self.num_samples = 0
        self.asked_at = clock()
        self.text_at: float | None = None
        self.sound_at: float | None = None
        self.reply: SpokenReply | None = None
        self.busy_s = 0.0
        self._clock = clock
        self._sound: deque[np.ndarray] = deque()
        self._waiting = 0
        self._all: list[np.ndarray] = []
        self._changed = threading.Condition()
        self._cancelled = threading.Event()
        self._stops: list[Callable[[], None]] = []

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    @property
    def in_the_making(self) -> bool:
        """Whether synthesis is active: not done, and not paused by a full buffer."""
        over = self.done or self.cancelled or self.silent
        return not (over or self._waiting >= _AHEAD_S * SAMPLE_RATE)

    @property
    def words(self) -> list[tuple[str, float, float]]:
        """Timestamps (word, start, end), s, of the words predicted so far."""
        return list(self.reply.words) if self.reply is not None else []

    def cancel(self) -> None:
        """Stops all work on it. Never blocks."""
        self._cancelled.set()
        with self._changed:
            stops, self._stops = self._stops, []
            self._changed.notify_all()
        for stop in stops:
            stop()

    def on_cancel(self, stop: Callable[[], None]) -> None:
        """Registers `stop`, which must not block, to be called on cancellation."""
        with self._changed:
            self._stops.append(stop)
        if self.cancelled:
            self.cancel()

    def take(self) -> np.ndarray | None:
        """The next samples [n], or None if none are ready."""
        with self._changed:
            if not self._sound:
                return None
            samples = self._sound.popleft()
            self._waiting -= len(samples)
            self._changed.notify_all()
            return samples

    @property
    def waiting(self) -> bool:
        """Whether audio is ready."""
        return bool(self._sound)

    def samples(self, count: int | None = None) -> np.ndarray:
        """The audio generated so far [T], up to `count` samples."""
        made = np.concatenate(self._all) if self._all else np.zeros(0, np.float32)
        return made if count is None else made[:count]

    def put(self, samples: np.ndarray, wake: Callable[[], None]) -> bool:
        """Adds audio; blocks while the buffer is full. False if the answer is cancelled."""
        if self.sound_at is None:
            self.sound_at = self._clock()
        with self._changed:
            self._sound.append(samples)
            self._all.append(samples)
            self.num_samples += len(samples)
            self._waiting += len(samples)
        wake()
        with self._changed:
            self._changed.wait_for(lambda: self.cancelled or self._waiting < _AHEAD_S * SAMPLE_RATE)
        return not self.cancelled

    def wrote(self, piece: str, pieces: "queue.SimpleQueue[str | None]") -> bool:
        """Adds words, and passes them on to be spoken; False when there is no room for all."""
        if self.text_at is None:
            self.text_at = self._clock()
        piece = valid_text(piece)
        room = MAX_SPOKEN - len(self._written)
        if len(piece) > room:
            self.shortened = True
            piece = piece[:room]
            piece = piece[: piece.rfind(" ")] if " " in piece else piece
        self._written += piece
        # Control tags are for the speech models and not shown.
        tagged = "[" in self._written or "<" in self._written
        self.text = without_controls(self._written) if tagged else self._written
        pieces.put(piece)
        return not self.shortened


def begin_writing(
    answer: Answer, responder: Responder, history: Sequence[ChatMessage], wake: Callable[[], None]
) -> "queue.SimpleQueue[str | None]":
    """Runs the responder in its own thread; returns the queue of its text, None last.

    Args:
        answer: the answer; if silent it is done when the text is.
        responder: generates the text.
        history: the conversation to answer.
        wake: called when there is more text.
    """
    pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    work = (answer, responder, list(history), pieces, wake)
    threading.Thread(target=_write, args=work, daemon=True, name="writing").start()
    return pieces


def _write(
    answer: Answer,
    responder: Responder,
    history: list[ChatMessage],
    pieces: "queue.SimpleQueue[str | None]",
    wake: Callable[[], None],
) -> None:
    abort = None
    try:
        stream = responder.reply(history)
        abort = getattr(stream, "abort", None)
        if abort is not None:
            answer.on_cancel(abort)
        for piece in stream:
            if answer.cancelled:
                break
            # A script yields sentences; a language model's pieces include their spaces.
            spaced = piece if responder.name in SPACED or not answer.text else " " + piece
            whole = answer.wrote(spaced, pieces)
            wake()
            if not whole:
                logger.warning("an answer was cut off after %d characters", MAX_SPOKEN)
                break
        answer.shortened = answer.shortened or getattr(stream, "shortened", False)
        if not answer.cancelled:
            answer.calls = tuple(getattr(stream, "calls", ()))
    except RepError as error:
        if not answer.cancelled:
            answer.error = str(error)
    except Exception:
        logger.exception("the responder failed")
        answer.error = "the responder failed; the server's log says why"
    finally:
        if abort is not None:
            abort()
        pieces.put(None)
        answer.done = answer.done or answer.silent
        wake()
