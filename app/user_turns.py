"""The user's side of a conversation: audio becomes turns, and turns and texts await an answer."""

import math

import numpy as np

from app.active_reply import AudioChunk, Emit
from app.echo import EchoCanceller
from app.endpointing import (
    MAX_TURN_S,
    SEMANTIC,
    AudioInputSettings,
    Endpointer,
    RingBuffer,
    SpeechEvent,
    SpeechEventKind,
)
from app.history import USER, DialogueHistory, Place
from app.inbox import Inbox
from app.level import Leveller
from app.metrics import Metrics
from app.turn_ending import ASKED_MS, LONGEST_S, WORDS_WITHIN_MS, TurnJudge, patience_ms
from app.turn_recognition import TAIL_MS, TurnRecognition
from data.audio import SAMPLE_RATE
from data.errors import InputError
from data.recognition.recognizer import NoRecognizer, Recognizer

_SHORTEST_TURN_MS = 120  # voiced
_ECHO_FOUND_WITHIN_MS = 600
_SOON_MS = 1000
_WARM_EVERY_S = 0.7
_ONSET_STEP = SAMPLE_RATE // 100
_ONSET_WITHIN, _QUIET_WITHIN = SAMPLE_RATE // 4, SAMPLE_RATE // 4
_ONSET_ABOVE = 5.0  # times the level before it
_SILENT = 10 ** (-65 / 20)
_MEMORY_S = MAX_TURN_S + 6.0


class UserTurns:
    """See the module. It does not know the agent: the session decides when turns begin and end.

    Args:
        hearing: voice activity settings.
        recognizer: shared by all sessions.
        history: the conversation's; provides turn numbers and names for recognition.
        emit: sends to the listener.
        metrics: of the server.
        judge: end-of-turn model; required by `semantic_vad`.

    Attributes:
        endpointer: voice activity events of the listener's stream.
        current: the turn being spoken, or just ended and still reopenable.
        inbox: turns and texts awaiting an answer.
    """

    def __init__(
        self,
        audio_input: AudioInputSettings,
        recognizer: Recognizer,
        history: DialogueHistory,
        emit: Emit,
        metrics: Metrics,
        judge: TurnJudge | None = None,
    ) -> None:
        self.current: TurnRecognition | None = None
        self.inbox = Inbox()
        self.history = history
        self._recognizer, self._emit, self._metrics = recognizer, emit, metrics
        self._judge = judge
        self._warmed_at = -math.inf
        self._asked_ms: list[int] = []  # silences of this pause at which to query the judge
        self.restart(audio_input)

    def restart(self, audio_input: AudioInputSettings) -> None:
        """Restarts the listener's stream; samples are counted from 0."""
        self.endpointer = Endpointer(audio_input)
        self._echo, self._leveller = EchoCanceller(), Leveller()
        self._memory = RingBuffer(_MEMORY_S)

    def listen(self, samples: np.ndarray) -> list[SpeechEvent]:
        """Takes samples [n]; returns the voice activity events."""
        samples = self._leveller.push(self._echo.clean(samples))
        self._memory.push(samples)
        if self._echo.found:
            self._forget_echo()
        self._settle_end()
        return self.endpointer.push(samples)

    def sent(self, sound: AudioChunk) -> None:
        """Takes the agent's audio, which may return as echo from the loudspeaker."""
        self._echo.sent(sound.samples, anew=sound.start == 0)

    def played(self) -> None:
        """The listener has played all of the agent's audio, or has stopped."""
        self._echo.played()

    def ducked(self, gain: float) -> None:
        """The listener has been asked to play the agent at `gain`."""
        self._echo.duck(gain)

    def sound_from(self, start: int) -> np.ndarray:
        """The audio from that sample on, with a little before it."""
        return self._memory.read(start - self.endpointer.settings.prefix_ms * SAMPLE_RATE // 1000)

    def onset(self, start: int) -> int:
        """Where the sound began that is speech from that sample on: the soft beginning of "please"
        or "stop" is not detected as speech."""
        size = _ONSET_STEP
        before = self._memory.read(start - _ONSET_WITHIN - _QUIET_WITHIN, start)
        frames = before[len(before) % size :].reshape(-1, size)
        if not len(frames):
            return start
        levels = np.sqrt(np.mean(np.square(frames), axis=1))
        loud = levels > _ONSET_ABOVE * max(float(levels.min()), _SILENT)
        within = loud[-(_ONSET_WITHIN // size) :][::-1]
        return start - size * int(np.argmin(within) if not within.all() else len(within))

    def _forget_echo(self) -> None:
        """Discards speech that turned out to be the agent's echo."""
        turn = self.current
        if turn is None:
            self.endpointer.forget()
        elif turn.ended_at is None and self.endpointer.lasted_ms < _ECHO_FOUND_WITHIN_MS:
            self.drop()

    def begin(self, event: SpeechEvent, wordless: bool) -> None:
        """Speech has started; continues a turn that has just ended if its text is not there yet."""
        if self.current is not None and self.current.ended_at is not None:
            self.current.reopen()
            self.current.shown = ""
            self.history.release(self.current.number)
            self._emit({"type": "turn.reopened", "turn": self.current.number})
            return
        prefix = self.endpointer.settings.prefix_ms * SAMPLE_RATE // 1000
        self.current = self._opened(max(0, event.at - prefix), wordless)
        self.current.voiced(event.voiced_ms)
        started = {"turn": self.current.number, "at": self.current.start}
        self._emit({"type": "speech.started", **started})

    def feed(self) -> None:
        """Passes new audio to the recogniser."""
        turn = self.current
        if turn is not None and self.endpointer.in_speech and not self.endpointer.pausing:
            turn.voiced(self.endpointer.voiced_ms)
            turn.feed(self.endpointer.num_samples)

    def pause(self, event: SpeechEvent) -> None:
        """The turn may end here: starts speculative recognition."""
        turn, now = self.current, self.endpointer.num_samples
        if turn is None:
            return
        turn.voiced(event.voiced_ms)
        turn.judgement, turn.judged, turn.expected = None, [], False
        self._asked_ms = list(ASKED_MS)
        turn.pause(event.at, now)
        self._ask_judge(turn)

    def _settle_end(self) -> None:
        """Sets how much silence ends the turn, from its audio including the silence so far and,
        once available, its text. A drawn-out last word shows only late."""
        turn = self.current
        if turn is None or turn.ended_at is not None or not self.endpointer.pausing:
            return
        self._ask_judge(turn)
        if turn.judgement is not None and turn.judgement.done():
            turn.judged.append(turn.judgement.result())
            turn.judgement = None
        if not turn.judged:
            return
        text = turn.draft
        if not text and turn.words_awaited and self._waited_ms(turn) < WORDS_WITHIN_MS:
            return
        self.endpointer.end_after(
            patience_ms(turn.judged, text, self.endpointer.settings.eagerness)
        )

    def take_expected(self) -> TurnRecognition | None:
        """The current turn, once in each pause that will soon end it and when its text is known."""
        turn = self.current
        if turn is None or turn.ended_at is not None or turn.expected or turn.wordless:
            return None
        ends_soon = self.endpointer.pausing and self.endpointer.ending_ms <= _SOON_MS
        if not ends_soon or turn.words_awaited or self._waited_ms(turn) < TAIL_MS:
            return None
        turn.expected = bool(turn.partial)
        return turn if turn.expected else None

    def warm_up(self, now: float) -> bool:
        """Makes the judge ready while the user speaks; returns whether it is time to do so with
        other models. In the pause they would compete with recognition."""
        speaks = self.endpointer.in_speech and not self.endpointer.pausing
        if self.current is None or not speaks or now - self._warmed_at < _WARM_EVERY_S:
            return False
        self._warmed_at = now
        if self._judge is not None and self.endpointer.settings.detection == SEMANTIC:
            self._judge.warm_up()
        return True

    def _ask_judge(self, turn: TurnRecognition) -> None:
        """Queries the judge, if it is time to."""
        if self._judge is None or self.endpointer.settings.detection != SEMANTIC:
            return
        if turn.judgement is None and self._asked_ms and self._waited_ms(turn) >= self._asked_ms[0]:
            self._asked_ms.pop(0)
            now = self.endpointer.num_samples
            first = max(turn.start, now - LONGEST_S * SAMPLE_RATE)
            turn.judgement = self._judge.judge(self._memory.read(first, now))

    def _waited_ms(self, turn: TurnRecognition) -> float:
        return (self.endpointer.num_samples - turn.end) * 1000 / SAMPLE_RATE

    def catch_up(self, event: SpeechEvent, now: float) -> None:
        """The turn that has just begun late has already paused or ended."""
        if self.current is None:
            return
        self.current.feed(self.endpointer.num_samples)
        if event.kind is SpeechEventKind.ENDED:
            self.end(event, now)
        else:
            self.pause(event)

    def end(self, event: SpeechEvent, now: float) -> None:
        """Ends the turn; drops it if it is too short."""
        turn = self.current
        if turn is None:
            return
        turn.voiced(event.voiced_ms)
        turn.judgement = None
        turn.pause(event.at, self.endpointer.num_samples)
        if turn.voiced_ms < _SHORTEST_TURN_MS:
            self.drop()
            return
        turn.ended_at = now
        self._emit_end(turn)
        turn.timings["silence_ms"] = (self.endpointer.num_samples - event.at) * 1000 / SAMPLE_RATE
        self._metrics.end_of_turn.observe(turn.timings["silence_ms"] / 1000)

    def drop(self) -> bool:
        """Discards the current turn; returns whether there was one."""
        turn, self.current = self.current, None
        self.endpointer.forget()
        if turn is None:
            return False
        turn.abort()
        self.history.release(turn.number)
        self._emit({"type": "turn.dropped", "turn": turn.number})
        return True

    def _emit_end(self, turn: TurnRecognition) -> None:
        """Reserves the turn's place in the conversation before its text is known."""
        self.history.place(Place(turn.number, USER))
        self._emit({"type": "speech.ended", "turn": turn.number, "at": turn.end})

    def clear(self) -> None:
        """Clears everything that awaits an answer."""
        for number in self.inbox.clear():
            self.history.release(number)

    def collect(self, samples: np.ndarray, wordless: bool) -> None:
        """Takes samples [n] of a turn that `commit` will end.

        Raises:
            InputError: the turn is too long; raised once per turn.
        """
        if self.current is None:
            self.current = self._opened(self.endpointer.num_samples, wordless)
        turn = self.current
        if self.endpointer.num_samples + len(samples) - turn.start > MAX_TURN_S * SAMPLE_RATE:
            if turn.full:
                return
            turn.full = True
            raise InputError(
                f"a turn has at most {MAX_TURN_S} s; further audio is dropped: commit or clear it"
            )
        self.listen(samples)
        turn.feed(self.endpointer.num_samples)

    def commit(self, now: float) -> None:
        """Ends the current turn regardless of voice activity.

        Raises:
            InputError: there is none, or too many are queued for recognition.
        """
        turn = self.current
        if turn is None or turn.ended_at is not None:
            raise InputError("the audio buffer is empty; append audio first")
        self.inbox.commit(turn)
        turn.commit(self.endpointer.num_samples, now)
        self._emit_end(turn)
        self.current = None
        self.endpointer.forget()

    def take_sound(self, samples: np.ndarray, number: int, now: float) -> None:
        """Adds a turn whose samples [n] arrived in one piece and whose place is reserved.

        Raises:
            InputError: it is too long, or too many are queued for recognition.
        """
        seconds = len(samples) / SAMPLE_RATE
        if not 0 < seconds <= MAX_TURN_S:
            raise InputError(
                f"the audio lasts {seconds:.1f} s; at most {MAX_TURN_S} s are accepted"
            )
        memory = RingBuffer(seconds + 1)
        memory.push(samples)
        language = self.endpointer.settings.language
        turn = TurnRecognition(number, 0, self._recognizer, memory, self._names(), language)
        turn.asks = False
        self.inbox.commit(turn)
        turn.feed(len(samples))
        turn.commit(len(samples), now)

    def emit_partial(self) -> None:
        """Sends the interim transcript if it has changed."""
        turn = self.current
        if turn is not None and turn.partial != turn.shown:
            turn.shown = turn.partial
            self._emit({"type": "partial", "turn": turn.number, "text": turn.shown})

    @property
    def recognising(self) -> bool:
        """Whether an ended turn still awaits its text."""
        ended = self.current is not None and self.current.ended_at is not None
        return ended or self.inbox.recognising

    def take_recognised(self) -> TurnRecognition | None:
        """The oldest ended turn whose text is available."""
        turn = self.inbox.take_recognised()
        if turn is None and not self.inbox.recognising and self.current is not None:
            if not self.current.recognised:
                return None
            turn, self.current = self.current, None
        return turn

    def _names(self) -> tuple[str, ...]:
        """What biases recognition."""
        prompt = self.endpointer.settings.prompt
        return (*([prompt] if prompt else []), *self.history.names())

    def _opened(self, start: int, wordless: bool) -> TurnRecognition:
        recognizer = NoRecognizer() if wordless else self._recognizer
        names, number = self._names(), self.history.number()
        language = "" if wordless else self.endpointer.settings.language
        turn = TurnRecognition(number, start, recognizer, self._memory, names, language)
        turn.wordless = wordless
        return turn
