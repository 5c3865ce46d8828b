"""An answer in the making: words from the responder, sound from the speaker, away from the loop.

`Voicebox` belongs to one session and does its jobs one after the other in one thread, because a
dialogue's state serves one caller at a time. The session takes sound out of an `Answer` as the
listener needs it; the synthesis waits when it is too far ahead.
"""

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from app.history import TurnRecord
from app.replies import SPACED, Responder, Said
from app.tools import ToolCall
from data.audio import SAMPLE_RATE
from data.errors import RepError
from data.limits import MAX_SPOKEN
from data.text import valid_text
from models.delivery.controls import without_controls
from models.pipe import UnwantedError
from models.text import normalise

logger = logging.getLogger(__name__)

_AHEAD_S = 4.0  # sound that may wait to be taken


class SpokenReply(Protocol):
    """What `Speaker.speak` gives; see `models.reply.Reply`."""

    @property
    def words(self) -> list[tuple[str, float, float]]: ...
    @property
    def timed_words(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[np.ndarray]: ...
    def cancel(self) -> None: ...
    def commit(self, played_s: float | None = None) -> None: ...


class AnySpeaker(Protocol):
    """The face of `models.speaker.Speaker` that the chat uses."""

    sample_rate: int
    predictors: tuple[str, ...]
    voices: dict[str, Any]

    def clone(self, samples: np.ndarray, name: str = "cloned") -> Any: ...
    def open_dialogue(
        self, predictor: str | None = None, unwanted: Callable[[], bool] = ...
    ) -> Any: ...
    def hear(self, dialogue: Any, who: int, text: str, samples: np.ndarray | None) -> None: ...
    def speak(self, dialogue: Any, text: Any, voice: Any, options: Any = None) -> SpokenReply: ...


class Answer:
    """One answer. Written by the voicebox's threads, read by the session.

    Attributes:
        number: of the reply, from 1.
        text: written so far, as it will be shown.
        error: why it failed, or empty.
        done: no more sound will come.
        shortened: its text was cut off at a limit.
        silent: it is to be read, and not spoken.
        calls: of functions that it asks for.
        num_samples: made so far.
        asked_at, text_at, sound_at: clock readings of the request, first words and first sound.
    """

    def __init__(self, number: int, clock: Callable[[], float], silent: bool = False) -> None:
        self.number, self.silent = number, silent
        self.text = ""
        self._written = ""  # with controls
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
        """Whether sound is being made for it: not over, and not far enough ahead to wait."""
        over = self.done or self.cancelled or self.silent
        return not (over or self._waiting >= _AHEAD_S * SAMPLE_RATE)

    @property
    def words(self) -> list[tuple[str, float, float]]:
        """(word, start, end) in seconds, of what has been predicted."""
        return list(self.reply.words) if self.reply is not None else []

    def cancel(self) -> None:
        """No more is wanted: whatever works on it stops. Never waits."""
        self._cancelled.set()
        with self._changed:
            stops, self._stops = self._stops, []
            self._changed.notify_all()
        for stop in stops:
            stop()

    def on_cancel(self, stop: Callable[[], None]) -> None:
        """Calls `stop`, which must not wait, when the answer is cancelled."""
        with self._changed:
            self._stops.append(stop)
        if self.cancelled:
            self.cancel()

    def take(self) -> np.ndarray | None:
        """The next samples [n], or None if there are none yet."""
        with self._changed:
            if not self._sound:
                return None
            samples = self._sound.popleft()
            self._waiting -= len(samples)
            self._changed.notify_all()
            return samples

    @property
    def waiting(self) -> bool:
        """Whether there is sound to take."""
        return bool(self._sound)

    def samples(self, count: int | None = None) -> np.ndarray:
        """What was made [T], up to `count` samples."""
        made = np.concatenate(self._all) if self._all else np.zeros(0, np.float32)
        return made if count is None else made[:count]

    def put(self, samples: np.ndarray, wake: Callable[[], None]) -> bool:
        """Adds sound; waits while too much is waiting. False when the answer is cancelled."""
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
        # Controls are followed by the speech models; nobody is to read them.
        tagged = "[" in self._written or "<" in self._written
        self.text = without_controls(self._written) if tagged else self._written
        pieces.put(piece)
        return not self.shortened


class Voicebox:
    """Speaks one session's answers.

    Args:
        speaker: shared by all sessions.
        wake: called from other threads when an answer has changed.
        predictor: the name of the speech model; `rebuild` may change it.
    """

    def __init__(
        self,
        speaker: AnySpeaker,
        wake: Callable[[], None],
        clock: Callable[[], float],
        predictor: str,
    ) -> None:
        self._speaker, self.wake, self._clock = speaker, wake, clock
        self.predictor = predictor
        self._closed = threading.Event()
        self._dialogue: Any = speaker.open_dialogue(predictor, self._closed.is_set)
        # a daemon of our own: an executor's thread would hold up the end of the program
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, daemon=True, name="voicebox").start()

    def hear(self, who: int, text: str, samples: np.ndarray | None) -> None:
        """A turn enters the history of the speech models."""
        self._submit(self._hear, who, text, samples)

    def rebuild(self, turns: Sequence[tuple[int, str, np.ndarray | None]], predictor: str) -> None:
        """The speech models' memory becomes these turns, in the named predictor."""
        self.predictor = predictor
        self._submit(self._rebuild, list(turns), predictor)

    def answer(
        self, number: int, responder: Responder, history: Sequence[Said], voice: Any, options: Any
    ) -> Answer:
        """Begins an answer to a history whose last turn has been heard; returns at once."""
        answer = Answer(number, self._clock)
        pieces = begin_writing(answer, responder, history, lambda: self.wake())
        self._submit(self._speak, answer, pieces, voice, options)
        return answer

    def settle(
        self, answer: Answer, turn: TurnRecord | None, samples: np.ndarray | None = None
    ) -> None:
        """The speech models remember an answer as it entered the history.

        Args:
            answer: that is over.
            turn: which it became; None if nothing of it was heard.
            samples: of `turn`.
        """
        self._submit(self._settle, answer, turn, samples)

    def close(self) -> None:
        """Waits for nothing; the thread ends, and so does the job that it is doing."""
        self._closed.set()
        self._jobs.put(None)

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None or self._closed.is_set():
                self._dialogue = None  # its cache must not wait for the collector of cycles
                return
            job()

    def _submit(self, job: Callable[..., None], *args: Any) -> None:
        def guarded() -> None:
            try:
                job(*args)
            except UnwantedError:
                pass
            except RepError as error:
                logger.warning("%s: %s", job.__name__.strip("_"), error)
            except Exception:
                logger.exception("a job of the voicebox failed")

        self._jobs.put(guarded)

    def _hear(self, who: int, text: str, samples: np.ndarray | None) -> None:
        if normalise(text, None) or samples is not None:
            self._speaker.hear(self._dialogue, who, text, samples)

    def _rebuild(self, turns: list[tuple[int, str, np.ndarray | None]], predictor: str) -> None:
        self._dialogue = self._speaker.open_dialogue(predictor, self._closed.is_set)
        for who, text, samples in turns:
            self._hear(who, text, samples)

    def _speak(
        self, answer: Answer, pieces: "queue.SimpleQueue[str | None]", voice: Any, options: Any
    ) -> None:
        begun = time.perf_counter()
        try:
            first = next(_pieces(pieces, answer), None)
            if first is None or answer.cancelled:
                return
            words = _chained(first, _pieces(pieces, answer))
            answer.reply = self._speaker.speak(self._dialogue, words, voice, options)
            answer.on_cancel(answer.reply.cancel)
            for samples in answer.reply:
                answer.busy_s += time.perf_counter() - begun
                going_on = answer.put(np.asarray(samples, np.float32), self.wake)
                begun = time.perf_counter()  # the wait inside `put` is not work
                if not going_on:
                    break
        except UnwantedError:
            pass
        except RepError as error:
            answer.error = answer.error or str(error)
        except Exception:
            logger.exception("the speaker failed")
            answer.error = answer.error or "speaking failed; the server's log says why"
        finally:
            answer.done = True
            self.wake()

    def _settle(self, answer: Answer, turn: TurnRecord | None, samples: np.ndarray | None) -> None:
        if answer.reply is None:
            if turn is not None:  # it was written only
                self._hear(turn.who, turn.text, None)
            return
        if turn is None or not turn.text:
            answer.reply.commit(0.0)
        elif turn.cut:  # what was predicted beyond the cut leaves the cache
            self._hear(turn.who, turn.text, samples)
        else:
            answer.reply.commit()


def begin_writing(
    answer: Answer, responder: Responder, history: Sequence[Said], wake: Callable[[], None]
) -> "queue.SimpleQueue[str | None]":
    """Has an answer written in a thread of its own; returns where its words come, None last.

    Args:
        answer: that is over when it is written, if it is silent.
        responder: who writes it.
        history: what it answers.
        wake: called when there is more of it.
    """
    pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    work = (answer, responder, list(history), pieces, wake)
    threading.Thread(target=_write, args=work, daemon=True, name="writing").start()
    return pieces


def _write(
    answer: Answer,
    responder: Responder,
    history: list[Said],
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
            # pieces of a script are sentences; those of a language model bring their spaces
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


def _pieces(pieces: "queue.SimpleQueue[str | None]", answer: Answer) -> Iterator[str]:
    """Pieces as they come; ends at once when the answer is cancelled."""
    while not answer.cancelled:
        try:
            piece = pieces.get(timeout=0.05)
        except queue.Empty:
            continue
        if piece is None:
            pieces.put(None)
            return
        yield piece


def _chained(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest
