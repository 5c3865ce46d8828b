"""Out-of-band answers: they do not enter the history and are not interrupted by speech."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from app.active_reply import ActiveReply, Emit
from app.answering import Answer, SpeakerProtocol, begin_writing
from app.metrics import Metrics
from app.model_selector import ModelSelector
from app.replies import ChatMessage
from app.settings import SessionSettings
from app.speech_worker import SpeechWorker
from data.errors import InputError

_MOST = 4  # at once, of one session


@dataclass(frozen=True)
class _OutOfBandReply:
    active: ActiveReply
    worker: SpeechWorker | None  # its own, independent of the conversation

    def close(self) -> None:
        self.active.answer.cancel()
        if self.worker is not None:
            self.worker.close()


class OutOfBandReplies:
    """Args:
    selector: selects responder, predictor and voice by settings.
    speaker: shared by all sessions.
    main: the conversation's own speech worker.
    emit: sends to the listener.
    clock: monotonic seconds.
    """

    def __init__(
        self,
        selector: ModelSelector,
        speaker: SpeakerProtocol,
        main: SpeechWorker,
        emit: Emit,
        clock: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._selector, self._speaker, self._main = selector, speaker, main
        self._emit, self._clock, self._metrics = emit, clock, metrics
        self._open: dict[int, _OutOfBandReply] = {}

    def begin(
        self, reply: int, number: int, settings: SessionSettings, history: Sequence[ChatMessage]
    ) -> None:
        """Starts an out-of-band answer.

        Args:
            reply: the reply's number.
            number: the number of its entry.
            settings: its settings.
            history: the history to answer.

        Raises:
            InputError: there are too many.
        """
        if len(self._open) >= _MOST:
            raise InputError(f"{_MOST} out-of-band responses are in progress; wait for one of them")
        voice, responder = self._selector.voice(settings), self._selector.responder(settings)
        worker: SpeechWorker | None = None
        if settings.spoken:
            predictor = self._selector.predictor(settings)
            worker = SpeechWorker(self._speaker, self._wake, self._clock, predictor)
            answer = worker.answer(reply, responder, history, voice, settings.speak_options())
        else:
            answer = Answer(reply, self._clock, silent=True)
            begin_writing(answer, responder, history, self._wake)
        active = ActiveReply(answer, number, voice.name, None, self._emit, self._metrics)
        self._open[reply] = _OutOfBandReply(active, worker)

    def _wake(self) -> None:
        self._main.wake()

    def tick(self, now: float, number: Callable[[], int]) -> Iterator[tuple[int, str]]:
        """Sends what is due; yields the number of each that failed, and why.

        Args:
            now: clock reading.
            number: gives numbers to calls of functions.
        """
        for reply, out_of_band in list(self._open.items()):
            active = out_of_band.active
            active.emit_calls(number)
            # complete once sent, since out-of-band answers cannot be interrupted
            if active.tick(now) or active.playback.complete:
                self._close(reply)
                if active.answer.error:
                    yield reply, active.answer.error

    def cancel(self, reply: int) -> bool:
        """Ends one; whether there was one of that number."""
        out_of_band = self._open.get(reply)
        if out_of_band is None:
            return False
        out_of_band.active.cut("asked", self._clock())
        self._emit({"type": "reply.dropped", "reply": reply, "reason": "asked"})
        self._close(reply)
        return True

    def close(self) -> None:
        """Ends all."""
        for reply in list(self._open):
            self._close(reply)

    def _close(self, reply: int) -> None:
        self._open.pop(reply).close()
