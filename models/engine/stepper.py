"""Steps of all running replies together: those that ask while others step go next, as one batch.

Whoever asks first when nobody steps leads: it makes the step of all who wait, and hands the lead on
to the one that is due the soonest. A reply that is alone steps at once, in its own thread.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from models.predictors.dialogue_model import DialogueModel
from models.predictors.steps import FrameDrawn, FrameStep
from models.schedule import Schedule, UnwantedError

MAX_SLOTS = 16  # of a batch: more make each step longer than a listener gains by them
_LOOK_S = 0.05  # how often one that waits asks whether its step is still wanted


@dataclass(eq=False)
class _Asked:
    """A step that is waited for; `turn` is released when it is made, has failed, or leads."""

    model: DialogueModel
    step: FrameStep
    due: float
    turn: threading.Lock = field(default_factory=threading.Lock)
    drawn: FrameDrawn | None = None
    error: BaseException | None = None


class Stepper:
    """Makes the steps of a device's replies, up to `MAX_SLOTS` of one predictor at once.

    A step takes a place of `schedule`, so that decoding and stepping share the processor.
    """

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._lock = threading.Lock()
        self._waiting: list[_Asked] = []
        self._stepping = False

    def step(
        self,
        model: DialogueModel,
        step: FrameStep,
        due: float,
        unwanted: Callable[[], bool] = lambda: False,
    ) -> FrameDrawn:
        """The next frame of a sentence, when it is its turn.

        Args:
            model: the predictor that speaks.
            step: what it is asked; its dialogue has no other step under way.
            due: `time.perf_counter` at which a listener needs the frame.
            unwanted: whether nobody waits for the frame any more.

        Raises:
            UnwantedError: `unwanted` became true before the step was begun; its dialogue is as it
                was.
        """
        mine = _Asked(model, step, due)
        mine.turn.acquire()
        with self._lock:
            self._waiting.append(mine)
            if not self._stepping:
                self._stepping = True
                mine.turn.release()
        while not mine.turn.acquire(timeout=_LOOK_S):
            if unwanted() and self._withdraw(mine):
                raise UnwantedError
        if mine.drawn is None and mine.error is None:
            self._lead(mine, unwanted)
        if mine.error is not None:
            raise mine.error
        assert mine.drawn is not None
        return mine.drawn

    def _withdraw(self, mine: _Asked) -> bool:
        """Takes a step back that nobody has begun and that does not lead."""
        with self._lock:
            if mine not in self._waiting or not mine.turn.locked():
                return False
            self._waiting.remove(mine)
            return True

    def _lead(self, mine: _Asked, unwanted: Callable[[], bool]) -> None:
        batch: list[_Asked] = []
        try:
            with self._schedule.work(mine.due, unwanted):
                batch = self._take(mine)
                try:
                    drawn = mine.model.step([asked.step for asked in batch])
                except BaseException as error:
                    for asked in batch:
                        asked.error = error
                else:
                    for asked, made in zip(batch, drawn, strict=True):
                        asked.drawn = made
        finally:
            self._hand_on(mine)
            for asked in batch:
                if asked is not mine:
                    asked.turn.release()

    def _take(self, mine: _Asked) -> list[_Asked]:
        """The leader's step and those that can be made with it, the soonest due first."""
        with self._lock:
            others = [
                asked
                for asked in sorted(self._waiting, key=lambda asked: asked.due)
                if asked is not mine and asked.model is mine.model
            ]
            batch = [mine, *others[: MAX_SLOTS - 1]]
            self._waiting = [asked for asked in self._waiting if asked not in batch]
        return batch

    def _hand_on(self, mine: _Asked) -> None:
        with self._lock:
            if mine in self._waiting:  # it was called off before it had a place
                self._waiting.remove(mine)
            if self._waiting:
                min(self._waiting, key=lambda asked: asked.due).turn.release()
            else:
                self._stepping = False
