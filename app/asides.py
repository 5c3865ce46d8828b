"""Out-of-band answers: they do not enter the history and are not interrupted by speech."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from app.answering import Answer, AnySpeaker, Voicebox, begin_writing
from app.cast import Cast
from app.metrics import Metrics
from app.replies import Said
from app.settings import SessionSettings
from app.speaking import Emit, Speaking
from data.errors import InputError

_MOST = 4  # at once, of one session


@dataclass(frozen=True)
class _Aside:
    speaking: Speaking
    voicebox: Voicebox | None  # its own, independent of the conversation

    def close(self) -> None:
        self.speaking.answer.cancel()
        if self.voicebox is not None:
            self.voicebox.close()


class Asides:
    """Args:
    cast: the session's responder, predictor and voice.
    speaker: shared by all sessions.
    main: the conversation's own voicebox.
    emit: sends to the listener.
    clock: monotonic seconds.
    """

    def __init__(
        self,
        cast: Cast,
        speaker: AnySpeaker,
        main: Voicebox,
        emit: Emit,
        clock: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._cast, self._speaker, self._main = cast, speaker, main
        self._emit, self._clock, self._metrics = emit, clock, metrics
        self._open: dict[int, _Aside] = {}

    def begin(
        self, reply: int, number: int, settings: SessionSettings, history: Sequence[Said]
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
        voice, responder = self._cast.voice(settings), self._cast.responder(settings)
        box: Voicebox | None = None
        if settings.spoken:
            predictor = self._cast.predictor(settings)
            box = Voicebox(self._speaker, self._wake, self._clock, predictor)
            answer = box.answer(reply, responder, history, voice, settings.speak_options())
        else:
            answer = Answer(reply, self._clock, silent=True)
            begin_writing(answer, responder, history, self._wake)
        speaking = Speaking(answer, number, voice.name, None, self._emit, self._metrics)
        self._open[reply] = _Aside(speaking, box)

    def _wake(self) -> None:
        self._main.wake()

    def tick(self, now: float, number: Callable[[], int]) -> Iterator[tuple[int, str]]:
        """Sends what is due; yields the number of each that failed, and why.

        Args:
            now: clock reading.
            number: gives numbers to calls of functions.
        """
        for reply, aside in list(self._open.items()):
            speaking = aside.speaking
            speaking.tell_calls(number)
            # complete once sent, since out-of-band answers cannot be interrupted
            if speaking.tick(now) or speaking.playback.complete:
                self._close(reply)
                if speaking.answer.error:
                    yield reply, speaking.answer.error

    def cancel(self, reply: int) -> bool:
        """Ends one; whether there was one of that number."""
        aside = self._open.get(reply)
        if aside is None:
            return False
        aside.speaking.cut("asked", self._clock())
        self._emit({"type": "reply.dropped", "reply": reply, "reason": "asked"})
        self._close(reply)
        return True

    def close(self) -> None:
        """Ends all."""
        for reply in list(self._open):
            self._close(reply)

    def _close(self, reply: int) -> None:
        self._open.pop(reply).close()
