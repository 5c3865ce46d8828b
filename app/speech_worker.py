"""Speaks a session's answers.

A `SpeechWorker` runs its jobs sequentially in one thread, because a dialogue's state serves one
caller at a time.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from app.answering import Answer, SpeakerProtocol, begin_writing
from app.history import TurnRecord
from app.replies import ChatMessage, Responder
from data.errors import RepError
from models.pipe import AbandonedError
from models.text import normalise

logger = logging.getLogger(__name__)


class SpeechWorker:
    """Speaks one session's answers.

    Args:
        speaker: shared by all sessions.
        wake: called from other threads when an answer changes.
        predictor: name of the speech model; `rebuild` may change it.
    """

    def __init__(
        self,
        speaker: SpeakerProtocol,
        wake: Callable[[], None],
        clock: Callable[[], float],
        predictor: str,
    ) -> None:
        self._speaker, self.wake, self._clock = speaker, wake, clock
        self.predictor = predictor
        self._closed = threading.Event()
        self._dialogue: Any = speaker.open_dialogue(predictor, self._closed.is_set)
        self._expected: tuple[int, str, np.ndarray] | None = None
        # A daemon thread, because an executor's thread would delay the program's exit.
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, daemon=True, name="speech-worker").start()

    def add_turn(self, who: int, text: str, samples: np.ndarray | None) -> None:
        """Adds a turn to the speech models' history."""
        self._submit(self._hear, who, text, samples)

    def expect_turn(self, who: int, text: str, samples: np.ndarray) -> None:
        """Adds a turn that may not have ended yet, so that its answer need not wait for this. It is
        replaced unless the next turn is the same."""
        self._submit(self._expect, who, text, samples)

    def warm_up(self) -> None:
        """Makes the speech models ready for a turn that may end soon."""
        self._submit(self._speaker.warm_up, self.predictor)

    def rebuild(self, turns: Sequence[tuple[int, str, np.ndarray | None]], predictor: str) -> None:
        """Rebuilds the speech models' history from these turns, in the named predictor."""
        self.predictor = predictor
        self._submit(self._rebuild, list(turns), predictor)

    def answer(
        self,
        number: int,
        responder: Responder,
        history: Sequence[ChatMessage],
        voice: Any,
        options: Any,
    ) -> Answer:
        """Starts an answer to a history whose last turn has been added; returns at once."""
        answer = Answer(number, self._clock)
        pieces = begin_writing(answer, responder, history, lambda: self.wake())
        self._submit(self._speak, answer, pieces, voice, options)
        return answer

    def settle(
        self, answer: Answer, turn: TurnRecord | None, samples: np.ndarray | None = None
    ) -> None:
        """Updates the speech models' history with an answer as it was played.

        Args:
            answer: a finished answer.
            turn: its turn; None if nothing of it was played.
            samples: the samples of `turn`.
        """
        self._submit(self._settle, answer, turn, samples)

    def close(self) -> None:
        """Stops the thread and its current job. Never blocks."""
        self._closed.set()
        self._jobs.put(None)

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None or self._closed.is_set():
                self._dialogue = None  # free its cache without waiting for cyclic GC
                return
            job()

    def _submit(self, job: Callable[..., None], *args: Any) -> None:
        def guarded() -> None:
            try:
                job(*args)
            except AbandonedError:
                pass
            except RepError as error:
                logger.warning("%s: %s", job.__name__.strip("_"), error)
            except Exception:
                logger.exception("a speech job failed")

        self._jobs.put(guarded)

    def _expect(self, who: int, text: str, samples: np.ndarray) -> None:
        self._hear(who, text, samples)
        self._expected = who, text, samples

    def _drop_expected(self) -> None:
        """Removes a turn that was expected and did not come."""
        if self._expected is not None:
            self._expected = None
            self._speaker.take_back_turn(self._dialogue)

    def _hear(self, who: int, text: str, samples: np.ndarray | None) -> None:
        if self._expected is not None and samples is not None:
            *words, sound = self._expected
            if [who, text] == words and np.array_equal(sound, samples):
                self._expected = None
                return
        self._drop_expected()
        if normalise(text, None) or samples is not None:
            self._speaker.add_turn(self._dialogue, who, text, samples)

    def _rebuild(self, turns: list[tuple[int, str, np.ndarray | None]], predictor: str) -> None:
        self._expected = None
        self._dialogue = self._speaker.open_dialogue(predictor, self._closed.is_set)
        for who, text, samples in turns:
            self._hear(who, text, samples)

    def _speak(
        self, answer: Answer, pieces: "queue.SimpleQueue[str | None]", voice: Any, options: Any
    ) -> None:
        begun = time.perf_counter()
        try:
            self._drop_expected()
            first = next(_pieces(pieces, answer), None)
            if first is None or answer.cancelled:
                return
            words = _chained(first, _pieces(pieces, answer))
            answer.reply = self._speaker.speak(self._dialogue, words, voice, options)
            answer.on_cancel(answer.reply.cancel)
            for samples in answer.reply:
                answer.busy_s += time.perf_counter() - begun
                going_on = answer.put(np.asarray(samples, np.float32), self.wake)
                begun = time.perf_counter()  # waiting inside `put` is not work
                if not going_on:
                    break
        except AbandonedError:
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
        elif turn.cut:  # remove what was predicted beyond the cut from the cache
            self._hear(turn.who, turn.text, samples)
        else:
            answer.reply.commit()


def _pieces(pieces: "queue.SimpleQueue[str | None]", answer: Answer) -> Iterator[str]:
    """Yields pieces as they arrive; ends at once if the answer is cancelled."""
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
