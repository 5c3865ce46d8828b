"""Assent, coughs and the agent's own echo do not stop the agent; words do."""

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

from app.barge_in import BargeInClassifier
from app.echo import EchoCanceller
from app.endpointing import AudioInputSettings, Endpointer, SpeechEvent, SpeechEventKind
from app.settings import SessionSettings
from data.audio import SAMPLE_RATE
from data.recognition.recognizer import Hypothesis
from data.synthetic import espeak
from tests.app.fake_speaker import FakeReply, FakeSpeaker
from tests.app.stage import STEP_S, FakeRecognizer, Stage
from tests.app.test_session import Says
from tests.app.user_sound import silence, speechlike

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"


class QuickFakeRecognizer(FakeRecognizer):
    """Returns one given hypothesis after the other, words or words with their confidence;
    the last one lasts."""

    def __init__(self, *hypotheses: str | tuple[str, float]) -> None:
        super().__init__("what was said")
        self.hypotheses = list(hypotheses)
        self.language = ""

    def recognise_quickly(
        self, samples: np.ndarray, language: str, whole: bool
    ) -> "Future[Hypothesis]":
        self.language = language
        future: Future[Hypothesis] = Future()
        seen = self.hypotheses.pop(0) if len(self.hypotheses) > 1 else self.hypotheses[0]
        future.set_result(Hypothesis(seen, 0.9) if isinstance(seen, str) else Hypothesis(*seen))
        return future


def interrupted(said: np.ndarray, *hypotheses: str | tuple[str, float]) -> Stage:
    recognizer = QuickFakeRecognizer(*hypotheses)
    stage = Stage(responder=Says(LONG, "Fine."), recognizer=recognizer)
    stage.session.write("go on")
    stage.wait(0.5)
    stage.begun = stage.now
    stage.say(np.concatenate([said, silence(0.8)]))
    return stage


def silent_after_s(stage: Stage) -> float:
    """From the start of speech until the agent paused or stopped."""
    silent = [event for event in stage.of("duck") if event["gain"] == 0] or stage.of("stop")
    return silent[0]["at"] - stage.begun


@pytest.mark.parametrize("text", ["Wait", "No", "What is", "Stop stop", "等"])
@pytest.mark.parametrize("said_s", [0.4, 1.2])
def test_an_interruption_silences_the_agent_within_400_ms_and_stops_it(
    text: str, said_s: float
) -> None:
    stage = interrupted(speechlike(said_s), text)
    assert stage.one("stop")["reason"] == "interrupted"
    assert silent_after_s(stage) < 0.29  # the first sound of a word may not be detected
    stage.say(silence(2.0))
    assert "what was said" in [turn["text"] for turn in stage.of("turn") if turn["who"] == "user"]


@pytest.mark.parametrize("text", ["Yeah", "Mm-hm", "Uh", "", "Okay"])
def test_assent_ducks_the_agent_and_lets_it_go_on(text: str) -> None:
    stage = interrupted(speechlike(0.5), text)
    assert not stage.of("stop")
    assert stage.of("duck")
    assert stage.of("restore")
    stage.wait(4.0)
    assert stage.one("reply.sent")


@pytest.mark.parametrize("first", ["Ex", "Sound"])
def test_assent_that_is_not_clear_at_first_pauses_the_agent(first: str) -> None:
    """Nothing of the answer is lost by that: it goes on where it paused."""
    stage = interrupted(speechlike(0.6), first, "Exactly.")
    assert [duck["gain"] for duck in stage.of("duck")] == [0.25, 0, 0.25]
    assert not stage.of("stop") and stage.of("restore")
    stage.wait(6.0)
    _, agent = stage.of("turn")
    assert agent["text"] == LONG and not agent["cut"]
    played = stage.sound()
    assert np.count_nonzero(played) > 0.99 * stage.one("reply.sent")["samples"]


@pytest.mark.parametrize(
    "hypotheses",
    [
        [("Oh.", 0.5), ("Oh, go.", 0.49), ("Oh, no, no.", 0.43)],
        [("Um.", 0.7), ("I'm hummed. I'm hummed", 0.61), ("I'm pumped", 0.46)],
        [("I...", 0.32), ("I'll.", 0.42)],
        [("Yeah. Yeah. Yeah", 0.8), ("Yeah, I'm fine.", 0.33)],
    ],
)
def test_a_hum_that_is_written_as_words_lets_the_agent_go_on(
    hypotheses: list[tuple[str, float]],
) -> None:
    stage = interrupted(speechlike(0.6), *hypotheses)
    assert not stage.of("stop") and stage.of("restore")


@pytest.mark.parametrize(
    "hypotheses",
    [
        [("Stop! Stop! Stop", 0.85), ("Stop.", 0.53)],
        [("Um", 0.16), ("等一下。等一下", 0.71), ("懂一下", 0.36)],
        [("Please stop.", 0.6)],
    ],
)
def test_words_that_were_clear_once_stop_the_agent(hypotheses: list[tuple[str, float]]) -> None:
    assert interrupted(speechlike(0.7), *hypotheses).one("stop")["reason"] == "interrupted"


@pytest.mark.parametrize("text", ["等一下。", "不对，不是。", "No, wait."])
def test_an_objection_that_is_not_understood_again_stops_the_agent(text: str) -> None:
    """Whisper often has no words for all of what it understood a moment before."""
    stage = interrupted(speechlike(0.7), ("", 0.0), (text, 0.5), ("", 0.0))
    assert stage.one("stop")["reason"] == "interrupted"


@pytest.mark.parametrize("text", ["No. No. No. No.", "Oh, no, no.", "您啊。", "Um-hm, yes"])
def test_a_hum_that_is_not_understood_again_lets_the_agent_go_on(text: str) -> None:
    stage = interrupted(speechlike(0.7), ("", 0.0), (text, 0.5), ("", 0.0))
    assert not stage.of("stop") and stage.of("restore")


def test_a_listener_who_does_not_report_cannot_pause_and_is_interrupted_at_once() -> None:
    recognizer = QuickFakeRecognizer("Wait")
    stage = Stage(responder=Says(LONG, "Fine."), recognizer=recognizer, reports=False)
    stage.session.write("go on")
    stage.wait(0.5)
    begun = stage.now
    stage.say(np.concatenate([speechlike(1.2), silence(0.8)]))
    assert [duck["gain"] for duck in stage.of("duck")] == [0.25]
    assert stage.one("stop")["at"] - begun <= 0.4 + STEP_S


def test_the_echo_canceller_knows_of_ducking(monkeypatch: pytest.MonkeyPatch) -> None:
    gains: list[float] = []
    monkeypatch.setattr(EchoCanceller, "duck", lambda _, gain: gains.append(gain))
    interrupted(speechlike(0.6), "Ex", "Exactly.")
    assert gains == [0.25, 0, 0.25, 1.0]


def test_an_answer_that_was_stopped_is_not_restored() -> None:
    recognizer = QuickFakeRecognizer("Wait")
    stage = Stage(responder=Says(LONG, "Fine."), recognizer=recognizer, reports=False)
    stage.session.write("go on")
    stage.wait(0.5)
    stage.say(speechlike(0.4))
    assert stage.of("stop") and stage.session._active is not None  # no report yet
    stage.session.forget_speech()
    assert not stage.of("restore")


def test_assent_to_the_last_word_of_a_question_is_an_answer() -> None:
    """It was taken for assent to what the agent said, and the agent waited for an answer."""
    recognizer = QuickFakeRecognizer("Yes.")
    stage = Stage(responder=Says("Shall I book it now for you?", "Fine."), recognizer=recognizer)
    stage.session.write("go on")  # seven words of 200 ms
    stage.wait(1.2)
    stage.say(np.concatenate([speechlike(0.3), silence(2.0)]))
    assert not stage.of("stop")
    assert [turn["text"] for turn in stage.of("turn")][:3] == [
        "go on", "Shall I book it now for you?", "what was said",
    ]  # fmt: skip


def test_speech_that_the_client_clears_lets_the_agent_go_on() -> None:
    """The agent stayed ducked."""
    recognizer = QuickFakeRecognizer("Wait")
    stage = Stage(responder=Says(LONG, "Fine."), recognizer=recognizer)
    stage.session.write("go on")
    stage.wait(0.5)
    stage.say(speechlike(0.3))
    assert stage.of("duck")
    stage.session.forget_speech()
    assert stage.of("restore") and not stage.of("stop")


@pytest.mark.parametrize(
    ("answer", "language"),
    [
        (LONG, "en"),
        ("我来告诉你，这张专辑是她的首张专辑，非常好听。", "zh"),
        ("好的，我们可以去北京的动物园看熊猫。", "zh"),
        ("Well, that is a long story, and I like it.", "en"),
        ("这首歌叫 Hello，是一首很好听的歌曲。", "zh"),
    ],
)
def test_speech_over_the_agent_is_recognised_in_its_language(answer: str, language: str) -> None:
    recognizer = QuickFakeRecognizer("Yeah", "Yeah")
    long = " ".join([answer] * 20)  # four seconds at least
    stage = Stage(responder=Says(long, "Fine."), recognizer=recognizer)
    stage.session.write("go on")
    stage.wait(0.5)
    stage.say(np.concatenate([speechlike(0.5), silence(0.5)]))
    assert recognizer.language == language


def test_assent_that_becomes_a_sentence_stops_the_agent() -> None:
    stage = interrupted(speechlike(1.5), "Yeah", "Yeah but what")
    assert 0.4 < silent_after_s(stage) < 0.7
    assert 0.4 < stage.one("stop")["at"] - stage.begun < 0.9


def test_the_soft_beginning_of_a_word_counts() -> None:
    """ "Please" and "stop" were noticed 100 ms late, and silenced the agent as late."""
    session = Stage().session
    hiss = 0.01 * np.random.default_rng(1).standard_normal(2400).astype(np.float32)
    session.push_audio(np.concatenate([silence(1.0), hiss, speechlike(0.5)]))
    start = round(1.1 * SAMPLE_RATE)
    assert session._user.onset(start) == pytest.approx(start - 2400, abs=240)
    assert session._user.onset(SAMPLE_RATE - 4800) == SAMPLE_RATE - 4800  # silence before it


def test_an_interruption_that_ended_before_it_was_understood_is_answered() -> None:
    recognizer = QuickFakeRecognizer("Stop.")
    audio_input = AudioInputSettings(silence_ms=200)
    settings = SessionSettings(audio_input=audio_input)
    stage = Stage(responder=Says(LONG, "Fine."), recognizer=recognizer, settings=settings)
    pending: list[Future[Hypothesis]] = []
    recognizer.recognise_quickly = lambda *_: pending.append(Future()) or pending[-1]
    stage.session.write("go on")
    stage.wait(0.5)
    stage.say(np.concatenate([speechlike(0.4), silence(0.5)]))
    assert not stage.of("stop")
    pending[-1].set_result(Hypothesis("Stop.", 0.9))
    stage.say(silence(0.5))
    assert stage.one("stop")["reason"] == "interrupted"
    stage.wait(1.0)
    assert [turn["text"] for turn in stage.of("turn")][2:] == ["what was said", "Fine."]


class Voiced(FakeSpeaker):
    """Speaks with a voice, not a tone."""

    def speak(self, dialogue: Any, text: Any, voice: Any, options: Any = None) -> FakeReply:
        reply = super().speak(dialogue, text, voice, options)
        said = espeak.speak("en-us+f3", "The rain in Spain falls mainly on the plain, they say.")
        sound = 0.5 * np.interp(
            np.arange(0, len(said.samples), said.sample_rate / SAMPLE_RATE),
            np.arange(len(said.samples)),
            said.samples,
        )

        def sounded() -> Iterator[np.ndarray]:
            for at in range(0, len(sound) - 960, 960):
                chunk = sound[at : at + 960].astype(np.float32)
                reply._given.append(chunk)
                yield chunk

        reply.__class__ = type("VoicedReply", (FakeReply,), {"__iter__": lambda _: sounded()})
        return reply


def echoing(
    delay_s: float, gain: float, tail: float = 0.0, person: np.ndarray | None = None
) -> Stage:
    """The agent speaks twice, and the microphone hears its loudspeaker; over its second answer a
    person speaks."""
    stage = Stage("stop it", responder=Says(LONG, LONG, "Fine."), speaker=Voiced())
    reverberation = np.exp(-np.arange(1200) / 300) * np.random.default_rng(4).standard_normal(1200)
    room = gain * tail * reverberation
    room[0] = gain
    step, delay = round(STEP_S * SAMPLE_RATE), round(delay_s * SAMPLE_RATE)
    for number in range(2):
        stage.session.write("go on")
        for at in range(0, 5 * SAMPLE_RATE, step):
            played = np.concatenate([np.zeros(delay + 1200), stage.sound()])
            end = len(played) - delay + step
            sound = np.convolve(played[end - step - 1199 : end], room, "valid") + silence(STEP_S)
            if person is not None and number == 1:
                part = person[max(0, at - SAMPLE_RATE) : max(0, at + step - SAMPLE_RATE)]
                sound[: len(part)] += part
            stage.say(sound.astype(np.float32))
    return stage


@pytest.mark.parametrize(
    ("delay_s", "gain", "tail"),
    [(0.15, 0.5, 0.0), (0.02, 0.5, 0.0), (0.3, 0.7, 0.0), (0.15, 0.25, 0.05), (0.6, 0.5, 0.05)],
)
def test_the_agents_own_echo_is_nobody(delay_s: float, gain: float, tail: float) -> None:
    stage = echoing(delay_s, gain, tail)
    assert not [stop for stop in stage.of("stop") if stop["reason"] == "interrupted"]
    assert not stage.of("speech.started")
    assert [turn["typed"] for turn in stage.of("turn") if turn["who"] == "user"] == [True, True]


@pytest.mark.parametrize("f0_hz", [95.0, 120.0, 160.0])
def test_the_user_is_detected_through_the_echo(f0_hz: float) -> None:
    stage = echoing(0.15, 0.5, person=speechlike(1.5, f0_hz))
    assert [stop["reason"] for stop in stage.of("stop")] == ["interrupted"]
    assert "stop it" in [turn["text"] for turn in stage.of("turn")]


@pytest.mark.parametrize("reports", [True, False])
def test_a_user_with_the_agents_voice_is_not_clipped_after_it(reports: bool) -> None:
    """Their first vowels resembled something that the agent had said, and were removed."""
    stage = Stage("hello", responder=Says("Fine.", "Good."), speaker=Voiced(), reports=reports)
    stage.session.write("go on")
    stage.say(silence(3.0))
    words = stage.sound()[np.flatnonzero(stage.sound())[0] :][: SAMPLE_RATE // 2]
    stage.say(silence(2.0))
    begin = stage.session._user.endpointer.num_samples
    stage.say(words)
    kept = stage.session._user._memory.read(begin, begin + len(words))
    is_whole = np.sum(kept**2) > 0.99 * np.sum(words**2)
    assert is_whole == reports  # who reports nothing may still be playing


def test_the_closure_of_a_stop_is_no_silence() -> None:
    barge_in, endpointer, at = BargeInClassifier(None), Endpointer(), 2 * SAMPLE_RATE
    barge_in.begin(SpeechEvent(SpeechEventKind.STARTED, at - 4800, 100), 320, "Well.")
    barge_in.note(SpeechEvent(SpeechEventKind.PAUSED, at, 200))
    for waited_ms, silent in ((60, False), (140, False), (160, True)):
        endpointer.num_samples = at + waited_ms * SAMPLE_RATE // 1000
        barge_in.settle(endpointer)
        assert (barge_in.silence is not None) is silent
    barge_in.note(SpeechEvent(SpeechEventKind.RESUMED, at + 4800, 200))
    barge_in.settle(endpointer)
    assert barge_in.silence is None
