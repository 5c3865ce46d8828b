"""The user's side of a conversation: sound becomes turns, texts and turns wait for an answer."""

import numpy as np

from app.echo import EchoCanceller
from app.hearing import MAX_TURN_S, SEMANTIC, Ears, Heard, HearingSettings, Memory
from app.history import USER, DialogueHistory, Place
from app.inbox import Inbox
from app.level import Leveller
from app.listening import Listening
from app.speaking import Emit, Sound
from app.turn_ending import ASKED_MS, LONGEST_S, WORDS_WITHIN_MS, TurnJudge, patience_ms
from data.audio import SAMPLE_RATE
from data.errors import InputError
from data.recognition.recognizer import NoRecognizer, Recognizer

_SHORTEST_TURN_MS = 120  # voiced
_ECHO_FOUND_WITHIN_MS = 600
_MEMORY_S = MAX_TURN_S + 6.0


class UserTurns:
    """See the module. It knows nothing of the agent: the session decides what begins and ends.

    Args:
        hearing: when speech begins and ends.
        recognizer: shared by all sessions.
        history: of the conversation; gives the next turn its number, and names that may be said.
        emit: takes what goes to the listener.
        judge: of the ends of turns; without one no settings may ask for `semantic_vad`.

    Attributes:
        ears: count the listener's samples.
        current: the turn that is being spoken, or has just ended and may go on.
        inbox: what waits for an answer.
    """

    def __init__(
        self,
        hearing: HearingSettings,
        recognizer: Recognizer,
        history: DialogueHistory,
        emit: Emit,
        judge: TurnJudge | None = None,
    ) -> None:
        self.current: Listening | None = None
        self.inbox = Inbox()
        self.history = history
        self._recognizer, self._emit = recognizer, emit
        self._judge = judge
        self._asked_ms: list[int] = []  # silences of this pause at which the judge is still asked
        self.restart(hearing)

    def restart(self, hearing: HearingSettings) -> None:
        """The listener's sound begins anew and is counted from 0."""
        self.ears = Ears(hearing)
        self._echo, self._leveller = EchoCanceller(), Leveller()
        self._memory = Memory(_MEMORY_S)

    def listen(self, samples: np.ndarray) -> list[Heard]:
        """Takes sound [n]; returns what voice activity detection makes of it."""
        samples = self._leveller.push(self._echo.clean(samples))
        self._memory.push(samples)
        if self._echo.found:
            self._forget_echo()
        self._settle_end()
        return self.ears.push(samples)

    def sent(self, sound: Sound) -> None:
        """Takes sound of the agent, which may come back from the loudspeaker."""
        self._echo.sent(sound.samples, anew=sound.start == 0)

    def sound_from(self, start: int) -> np.ndarray:
        """What was heard from that sample on, with a little before it."""
        return self._memory.read(start - self.ears.settings.prefix_ms * SAMPLE_RATE // 2000)

    def _forget_echo(self) -> None:
        """What has just begun was the agent's own voice."""
        turn = self.current
        if turn is None:
            self.ears.forget()
        elif turn.ended_at is None and self.ears.lasted_ms < _ECHO_FOUND_WITHIN_MS:
            self.drop()

    def begin(self, heard: Heard, wordless: bool) -> None:
        """Speech has begun; a turn that had just ended goes on if its text is not there yet."""
        if self.current is not None and self.current.ended_at is not None:
            self.current.reopen()
            self.current.shown = ""
            self.history.release(self.current.number)
            self._emit({"type": "turn.reopened", "turn": self.current.number})
            return
        prefix = self.ears.settings.prefix_ms * SAMPLE_RATE // 1000
        self.current = self._opened(max(0, heard.at - prefix), wordless)
        self.current.voiced(heard.voiced_ms)
        started = {"turn": self.current.number, "at": self.current.start}
        self._emit({"type": "speech.started", **started})

    def feed(self) -> None:
        """Gives the recogniser what was said since."""
        turn = self.current
        if turn is not None and self.ears.in_speech and not self.ears.pausing:
            turn.voiced(self.ears.voiced_ms)
            turn.feed(self.ears.num_samples)

    def pause(self, heard: Heard) -> None:
        """The turn may end here: what was said so far is recognised."""
        turn, now = self.current, self.ears.num_samples
        if turn is None:
            return
        turn.voiced(heard.voiced_ms)
        turn.judgement, turn.judged = None, []
        self._asked_ms = list(ASKED_MS)
        turn.pause(heard.at, now)
        self._ask_judge(turn)

    def _settle_end(self) -> None:
        """Says how much silence ends the turn, by how it sounds with the silence so far and, once
        they are there, by its words. A speaker who holds a word gives himself away late."""
        turn = self.current
        if turn is None or turn.ended_at is not None or not self.ears.pausing:
            return
        self._ask_judge(turn)
        if turn.judgement is not None and turn.judgement.done():
            turn.judged.append(turn.judgement.result())
            turn.judgement = None
        if not turn.judged:
            return
        if turn.words_awaited and self._waited_ms(turn) < WORDS_WITHIN_MS:
            return
        text = "" if turn.words_awaited else turn.partial
        self.ears.end_after(patience_ms(turn.judged, text, self.ears.settings.eagerness))

    def _ask_judge(self, turn: Listening) -> None:
        """Has the sound judged, if it is time to."""
        if self._judge is None or self.ears.settings.detection != SEMANTIC:
            return
        if turn.judgement is None and self._asked_ms and self._waited_ms(turn) >= self._asked_ms[0]:
            self._asked_ms.pop(0)
            now = self.ears.num_samples
            first = max(turn.start, now - LONGEST_S * SAMPLE_RATE)
            turn.judgement = self._judge.judge(self._memory.read(first, now))

    def _waited_ms(self, turn: Listening) -> float:
        return (self.ears.num_samples - turn.end) * 1000 / SAMPLE_RATE

    def end(self, heard: Heard, now: float) -> bool:
        """The turn ends; False when it was too short to be one, and is dropped."""
        turn = self.current
        if turn is None:
            return False
        turn.voiced(heard.voiced_ms)
        turn.judgement = None
        turn.pause(heard.at, self.ears.num_samples)
        if turn.voiced_ms < _SHORTEST_TURN_MS:
            self.drop()
            return False
        turn.ended_at = now
        self._told_end(turn)
        turn.timings["silence_ms"] = (self.ears.num_samples - heard.at) * 1000 / SAMPLE_RATE
        return True

    def drop(self) -> bool:
        """The current turn shall be none; whether there was one."""
        turn, self.current = self.current, None
        self.ears.forget()
        if turn is None:
            return False
        turn.abort()
        self.history.release(turn.number)
        self._emit({"type": "turn.dropped", "turn": turn.number})
        return True

    def _told_end(self, turn: Listening) -> None:
        """The turn has its place in the conversation before its words are known."""
        self.history.place(Place(turn.number, USER))
        self._emit({"type": "speech.ended", "turn": turn.number, "at": turn.end})

    def clear(self) -> None:
        """Nothing waits for an answer any more."""
        for number in self.inbox.clear():
            self.history.release(number)

    def collect(self, samples: np.ndarray, wordless: bool) -> None:
        """Takes sound [n] of a turn that `commit` will end.

        Raises:
            InputError: the turn has become too long; said once a turn.
        """
        if self.current is None:
            self.current = self._opened(self.ears.num_samples, wordless)
        turn = self.current
        if self.ears.num_samples + len(samples) - turn.start > MAX_TURN_S * SAMPLE_RATE:
            if turn.full:
                return
            turn.full = True
            raise InputError(
                f"a turn has at most {MAX_TURN_S} s; what follows is left out: commit or clear it"
            )
        self.listen(samples)
        turn.feed(self.ears.num_samples)

    def commit(self, now: float) -> None:
        """The current turn ends here, whatever voice activity detection thinks of it.

        Raises:
            InputError: there is none, or too many wait to be recognised.
        """
        turn = self.current
        if turn is None or turn.ended_at is not None:
            raise InputError("no speech has been heard; append some sound first")
        self.inbox.commit(turn)
        turn.commit(self.ears.num_samples, now)
        self._told_end(turn)
        self.current = None
        self.ears.forget()

    def take_sound(self, samples: np.ndarray, number: int, now: float) -> None:
        """A turn whose sound [n] came as a whole, and has its place in the conversation.

        Raises:
            InputError: it is too long, or too many wait to be recognised.
        """
        seconds = len(samples) / SAMPLE_RATE
        if not 0 < seconds <= MAX_TURN_S:
            raise InputError(f"the sound lasts {seconds:.1f} s; up to {MAX_TURN_S} s are accepted")
        memory = Memory(seconds + 1)
        memory.push(samples)
        language, names = self.ears.settings.language, self.history.names()
        turn = Listening(number, 0, self._recognizer, memory, names, language)
        turn.asks = False
        self.inbox.commit(turn)
        turn.feed(len(samples))
        turn.commit(len(samples), now)

    def tell_partial(self) -> None:
        """Tells the words so far, where there are new ones."""
        turn = self.current
        if turn is not None and turn.partial != turn.shown:
            turn.shown = turn.partial
            self._emit({"type": "partial", "turn": turn.number, "text": turn.shown})

    @property
    def recognising(self) -> bool:
        """Whether the text of a turn that has ended is awaited."""
        ended = self.current is not None and self.current.ended_at is not None
        return ended or self.inbox.recognising

    def take_recognised(self) -> Listening | None:
        """The oldest turn that has ended and whose text is there."""
        turn = self.inbox.take_recognised()
        if turn is None and not self.inbox.recognising and self.current is not None:
            if not self.current.recognised:
                return None
            turn, self.current = self.current, None
        return turn

    def _opened(self, start: int, wordless: bool) -> Listening:
        recognizer = NoRecognizer() if wordless else self._recognizer
        names, number = self.history.names(), self.history.number()
        language = "" if wordless else self.ears.settings.language
        turn = Listening(number, start, recognizer, self._memory, names, language)
        turn.wordless = wordless
        return turn
