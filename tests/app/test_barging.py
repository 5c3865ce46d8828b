"""Assent, coughs and the agent's own echo do not stop the agent; words do."""

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

from app.barging import is_assent
from data.audio import SAMPLE_RATE
from data.synthetic import espeak
from tests.app.fake_speaker import FakeReply, FakeSpeaker
from tests.app.stage import STEP_S, Stage, ToldRecognizer
from tests.app.test_session import Says
from tests.app.user_sound import silence, speechlike

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"


class GlancingRecognizer(ToldRecognizer):
    """Sees what it is told in one glance after the other."""

    def __init__(self, *glances: str) -> None:
        super().__init__("what was said")
        self.glances = list(glances)
        self.language = ""

    def glance(self, samples: np.ndarray, language: str) -> "Future[str]":
        self.language = language
        future: Future[str] = Future()
        future.set_result(self.glances.pop(0))
        return future


def interrupted(said: np.ndarray, *glances: str) -> Stage:
    recognizer = GlancingRecognizer(*glances)
    stage = Stage(responder=Says(LONG, "Fine."), recognizer=recognizer)
    stage.session.write("go on")
    stage.wait(0.5)
    stage.begun = stage.now
    stage.say(np.concatenate([said, silence(0.8)]))
    return stage


@pytest.mark.parametrize(
    "text",
    [
        "Mm-hm.", "Yeah", "uh-huh", "Right, right.", "Okay.", "I see.", "Oh really?", "Amen", "",
        "Mhm mhm", "Hahaha", "Oh, wow!", "嗯。", "对对", "是的。",
    ],
)  # fmt: skip
def test_assent(text: str) -> None:
    assert is_assent(text)


@pytest.mark.parametrize(
    "text",
    [
        "Wait", "Stop!", "No", "Yeah but", "What about", "Hold on", "Okay so", "I want", "Can you",
        "Right now", "等一下", "不对",
    ],
)  # fmt: skip
def test_words(text: str) -> None:
    assert not is_assent(text)


@pytest.mark.parametrize("glance", ["Wait", "No", "What is", "Stop stop", "等"])
def test_words_stop_the_agent_within_400_ms(glance: str) -> None:
    stage = interrupted(speechlike(1.2), glance)
    stop = stage.one("stop")
    assert stop["reason"] == "interrupted"
    assert stop["at"] - stage.begun <= 0.4 + STEP_S


@pytest.mark.parametrize("glance", ["Yeah", "Mm-hm", "Uh", "", "Okay"])
def test_assent_ducks_the_agent_and_lets_it_go_on(glance: str) -> None:
    stage = interrupted(speechlike(0.5), glance, glance)
    assert not stage.of("stop")
    assert stage.of("duck")
    assert stage.of("restore")
    stage.wait(4.0)
    assert stage.one("reply.sent")


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
def test_speech_is_heard_in_the_language_of_what_it_answers(answer: str, language: str) -> None:
    recognizer = GlancingRecognizer("Yeah", "Yeah")
    long = " ".join([answer] * 20)  # four seconds at least
    stage = Stage(responder=Says(long, "Fine."), recognizer=recognizer)
    stage.session.write("go on")
    stage.wait(0.5)
    stage.say(np.concatenate([speechlike(0.5), silence(0.5)]))
    assert recognizer.language == language


def test_assent_that_becomes_a_sentence_stops_the_agent() -> None:
    stage = interrupted(speechlike(1.5), "Yeah", "Yeah but what")
    assert 0.4 < stage.one("stop")["at"] - stage.begun < 0.9


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
def test_a_person_is_heard_through_the_echo(f0_hz: float) -> None:
    stage = echoing(0.15, 0.5, person=speechlike(1.5, f0_hz))
    assert [stop["reason"] for stop in stage.of("stop")] == ["interrupted"]
    assert "stop it" in [turn["text"] for turn in stage.of("turn")]
