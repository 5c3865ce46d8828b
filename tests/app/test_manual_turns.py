"""Turns committed by the client, requested answers, and limits of waiting input."""

import numpy as np
import pytest

from app.endpointing import MAX_TURN_S, AudioInputSettings
from app.inbox import Inbox
from app.settings import SessionSettings, with_settings
from data.errors import InputError
from data.limits import MAX_TURN, MAX_TYPED
from tests.app.fake_speaker import RATE
from tests.app.stage import Stage
from tests.app.test_session import Says
from tests.app.user_sound import silence, speechlike

MANUAL = SessionSettings(detect_turns=False)


def users(stage: Stage) -> list[str]:
    return [turn["text"] for turn in stage.of("turn") if turn["who"] == "user"]


@pytest.mark.parametrize(
    "sound",
    [
        speechlike(1.0),
        silence(1.0),  # voice activity detection would hear nothing
        np.zeros(RATE, np.float32),
        np.concatenate([speechlike(0.5), silence(2.0), speechlike(0.5)]),  # or two turns
        speechlike(0.06),  # or a click
        0.001 * speechlike(2.0),
    ],
)
def test_a_turn_is_the_committed_audio(sound: np.ndarray) -> None:
    stage = Stage("hello there", responder=Says("Hello."), settings=MANUAL)
    stage.say(sound)
    stage.wait(2.0)
    assert not stage.of("turn") and not stage.of("speech.started")
    stage.session.commit()
    stage.wait(0.5)
    assert users(stage) == ["hello there"]
    assert stage.of("turn")[0]["seconds"] == pytest.approx(len(sound) // 480 * 0.02)
    assert not stage.of("reply.started")
    stage.session.respond()
    stage.wait(1.0)
    assert stage.of("turn")[-1]["text"] == "Hello."


def test_a_prompt_biases_the_recognition_of_turns() -> None:
    audio_input = AudioInputSettings(prompt="Repartee, Gradio")
    stage = Stage("hello", settings=SessionSettings(detect_turns=False, audio_input=audio_input))
    stage.say(speechlike(0.5))
    stage.session.commit()
    assert stage.recognizer.names == ("Repartee, Gradio",)


def test_turns_committed_together_stay_separate_and_in_order() -> None:
    stage = Stage("one", "two", "three", responder=Says("Done."), settings=MANUAL)
    for hz in (100, 150, 200):
        stage.say(speechlike(0.6, hz))
        stage.session.commit()
    stage.session.respond()
    stage.wait(1.0)
    assert users(stage) == ["one", "two", "three"]
    assert stage.of("turn")[-1]["text"] == "Done."
    sounds = [stage.session.history.sound(one) for one in stage.session.history.turns[:3]]
    for sound, hz in zip(sounds, (100, 150, 200), strict=True):
        assert sound is not None
        assert np.abs(sound - speechlike(0.6, hz)).max() < 1e-3


def test_speech_does_not_interrupt_the_agent() -> None:
    stage = Stage("go", responder=Says(" ".join(["word"] * 20)), settings=MANUAL)
    stage.session.write("go on")
    stage.wait(1.0)
    stage.say(speechlike(1.0))
    assert not stage.of("stop") and not stage.of("duck")
    stage.wait(4.0)
    assert not stage.of("turn")[-1]["cut"]


def test_an_unanswered_turn_waits_for_respond() -> None:
    settings = SessionSettings(create_response=False)
    stage = Stage("one", "two", responder=Says("Both."), settings=settings)
    stage.say(np.concatenate([speechlike(0.8), silence(1.0), speechlike(0.8), silence(1.0)]))
    stage.wait(1.0)
    assert users(stage) == ["one", "two"]
    assert not stage.of("reply.started")
    stage.session.respond()
    stage.wait(1.0)
    assert stage.of("turn")[-1]["text"] == "Both."


def test_respond_may_come_before_the_text() -> None:
    stage = Stage("hello", responder=Says("Hi."), settings=MANUAL)
    stage.say(speechlike(0.5))
    stage.session.commit()
    stage.session.respond()
    stage.wait(1.0)
    assert [turn["text"] for turn in stage.of("turn")] == ["hello", "Hi."]


def test_impossible_requests_are_rejected() -> None:
    stage = Stage("hello", responder=Says("Hi."), settings=MANUAL)
    with pytest.raises(InputError, match="append audio"):
        stage.session.commit()
    with pytest.raises(InputError, match="nothing to answer"):
        stage.session.respond()
    stage.say(speechlike(0.5))
    assert stage.session.forget_speech()
    with pytest.raises(InputError, match="append audio"):
        stage.session.commit()
    stage.session.write("hello")
    stage.wait(2.0)
    with pytest.raises(InputError, match="nothing to answer"):
        stage.session.respond()  # it has been answered


def test_a_committed_turn_has_its_own_end() -> None:
    stage = Stage("long", settings=MANUAL)
    stage.patient = False
    for _ in range(MAX_TURN_S):
        stage.session.push_audio(silence(1.0))
    with pytest.raises(InputError, match=f"at most {MAX_TURN_S} s"):
        stage.session.push_audio(silence(1.0))
    for _ in range(600):  # said once, and held nowhere
        stage.session.push_audio(silence(1.0))
    assert stage.recognizer.opened[0].num_samples == MAX_TURN_S * RATE
    stage.session.commit()
    stage.session.tick()
    assert stage.of("turn")[0]["seconds"] == MAX_TURN_S


def test_collected_audio_is_dropped_with_a_notice_when_detection_resumes() -> None:
    stage = Stage("hello", settings=MANUAL)
    stage.say(speechlike(0.5))
    stage.session.adjust(with_settings(MANUAL, detect_turns=True))
    assert stage.of("turn.dropped")
    assert stage.recognizer.opened[0].aborted


@pytest.mark.parametrize(
    ("length", "count"),
    [(MAX_TYPED, 20), (1950, 20), (1, 100), (MAX_TURN + 1, 1), (MAX_TURN, 2), (200, 50)],
)
def test_waiting_input_is_limited(length: int, count: int) -> None:
    """Twenty items of 1,950 characters made one turn that took 7.2 GB in 35 s."""
    inbox, taken = Inbox(), 0
    with pytest.raises(InputError, match="first"):
        for _ in range(count):
            inbox.write("x" * length)
            taken += 1
    assert taken * length <= MAX_TURN
    assert len(inbox.take_typed()) <= MAX_TURN
    inbox.write("x")


@pytest.mark.parametrize("length", [2000, 1950, 1000, 4, 1])
def test_typed_turns_that_come_faster_than_answers_are_limited(length: int) -> None:
    stage = Stage(responder=Says(*["one two three four five six seven"] * 3), reports=False)
    stage.session.write("go")
    stage.wait(0.6)
    assert stage.session.state == "speaking"
    refused = 0
    for _ in range(200):
        try:
            stage.session.write("x" * length)
        except InputError:
            refused += 1
    assert refused > 100
    stage.wait(1.0)
    assert max(len(text) for text in users(stage)) <= MAX_TURN


def test_a_conversation_keeps_a_limited_number_of_turns() -> None:
    from app.history import USER, DialogueHistory, TurnRecord

    history = DialogueHistory(max_turns=50)
    for number in range(120):
        history.add(TurnRecord(number, USER, f"turn {number}"), None)
    assert [record.number for record in history.turns] == list(range(70, 120))
    assert history.find(3) is None
    history.close()
