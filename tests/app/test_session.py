"""One conversation, driven by arrays and a clock."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future

import numpy as np
import pytest

from app.endpointing import AudioInputSettings
from app.replies import ChatMessage
from app.settings import SessionSettings, with_settings
from data.errors import InputError, RepError
from tests.app.fake_speaker import RATE, FakeSpeaker
from tests.app.stage import FakeUtterance, Stage
from tests.app.user_sound import silence, speechlike


class Says:
    """A responder with fixed answers."""

    name = "endpoint"

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.seen: list[list[ChatMessage]] = []

    def reply(self, history: Sequence[ChatMessage]) -> Iterator[str]:
        self.seen.append(list(history))
        yield self.answers.pop(0)


LONG = " ".join(f"word{i}" for i in range(40))  # 8 s


def tone_hz(samples: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * RATE / len(samples))


def test_a_turn_is_recognised_answered_and_stored() -> None:
    stage = Stage("my name is anna")
    stage.say(np.concatenate([silence(0.6), speechlike(1.2), silence(3.0)]))
    stage.wait(4.0)
    user, agent = stage.of("turn")
    assert user["text"] == "my name is anna"
    assert agent["text"] == "Nice to meet you, Anna. How are you today?"
    assert not agent["cut"]
    states = [event["state"] for event in stage.of("state")]
    assert states == ["hearing", "thinking", "speaking", "listening"]
    # nine words of 200 ms each were really played, in the first voice's tone
    played = stage.sound()
    loud = played[np.abs(played) > 0]
    assert abs(len(loud) - 9 * 4800) < 1000
    assert abs(tone_hz(loud[:24000]) - 440) < 3


def test_the_users_audio_enters_the_dialogue() -> None:
    stage = Stage("hello there")
    sound = speechlike(1.0)
    stage.say(np.concatenate([silence(1.0), sound, silence(3.0)]))
    stage.wait(3.0)
    who, text, heard = stage.speaker.dialogues[0].turns[0]
    assert (who, text) == (0, "hello there")
    assert heard is not None
    # prefix 300 ms, the speech, a short tail; the sound itself is in it
    assert 1.3 <= len(heard) / RATE <= 1.75
    best = np.abs(np.correlate(heard, sound[:2400], "valid")).max()
    assert best > 0.95 * float(np.sum(np.square(sound[:2400])))
    assert stage.speaker.dialogues[0].turns[1][0] == 1


def test_the_silence_that_ends_a_turn_is_configurable() -> None:
    ends = {}
    for silence_ms in (400, 900):
        settings = SessionSettings(audio_input=AudioInputSettings(silence_ms=silence_ms))
        stage = Stage("hello", settings=settings)
        begun = stage.now
        stage.say(np.concatenate([silence(0.5), speechlike(1.0), silence(2.0)]))
        ends[silence_ms] = stage.of("reply.started")[0]["at"] - begun - 1.5
    assert 0.35 <= ends[400] <= 0.60
    assert abs(ends[900] - ends[400] - 0.5) < 0.06


def test_a_pause_inside_a_turn_does_not_end_it() -> None:
    stage = Stage("i was thinking", "about the weather")
    stage.say(np.concatenate([speechlike(0.8), silence(0.4), speechlike(0.8), silence(1.0)]))
    first = stage.of("turn")[0]
    assert first["text"] == "i was thinking about the weather"
    assert first["seconds"] > 1.9


def test_a_turn_that_continues_before_the_answer_is_reopened() -> None:
    stage = Stage("i like", "the rain")
    stage.patient = False
    stage.speaker.gate.clear()  # the answer is slow: no sound yet
    stage.say(np.concatenate([speechlike(0.8), silence(0.9), speechlike(0.8)]))
    assert stage.one("turn.reopened")["turn"] == 0
    stage.patient = True
    stage.speaker.gate.set()
    stage.say(silence(3.0))
    stage.wait(5.0)
    users = [turn for turn in stage.of("turn") if turn["who"] == "user"]
    assert users[-1]["text"] == "i like the rain"
    assert users[-1]["turn"] == 0
    assert len(stage.session.history.turns) == 2
    # the dialogue of the speech models has the whole turn once
    texts = [text for who, text, _ in stage.speaker.dialogues[-1].turns if who == 0]
    assert texts == ["i like the rain"]


def test_a_click_after_a_sentence_does_not_drop_it() -> None:
    """Only the click was measured, and the turn dropped as too short."""
    stage = Stage("i won the race")
    stage.patient = False
    stage.speaker.gate.clear()  # no sound yet: the click reopens the turn
    stage.say(np.concatenate([speechlike(1.5), silence(0.6), speechlike(0.1), silence(0.9)]))
    stage.patient = True
    stage.speaker.gate.set()
    stage.wait(3.0)
    assert stage.of("turn.reopened")
    assert not stage.of("turn.dropped")
    assert [turn.text for turn in stage.session.history.turns if not turn.who] == ["i won the race"]


def test_nor_does_a_click_during_recognition(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[Future[str]] = [Future(), Future()]
    waiting = iter(texts)
    monkeypatch.setattr(FakeUtterance, "finish", lambda _: next(waiting))
    stage = Stage()
    stage.say(np.concatenate([speechlike(1.5), silence(0.6), speechlike(0.08), silence(0.9)]))
    for text, heard in zip(texts, ("i won the race", ""), strict=True):
        text.set_result(heard)
    stage.wait(3.0)
    assert not stage.of("turn.dropped")
    assert [turn["text"] for turn in stage.of("turn") if turn["who"] == "user"] == [
        "i won the race"
    ]


def test_later_speech_is_a_separate_turn() -> None:
    stage = Stage("first", "second")
    stage.patient = False
    stage.speaker.gate.clear()
    stage.say(np.concatenate([speechlike(0.8), silence(1.8), speechlike(0.9)]))
    stage.patient = True
    stage.speaker.gate.set()
    stage.say(silence(1.0))
    stage.wait(4.0)
    users = [turn["text"] for turn in stage.of("turn") if turn["who"] == "user"]
    assert users == ["first", "second"]
    assert not stage.of("turn.reopened")


def interrupted(seconds: float, reports: bool = True) -> Stage:
    stage = Stage("tell me", "stop", responder=Says(LONG, "All right."), reports=reports)
    stage.say(np.concatenate([silence(0.3), speechlike(0.8), silence(2.5)]))
    assert stage.session.state == "speaking"
    stage.say(speechlike(seconds, seed=3))
    return stage


def test_the_models_are_made_ready_while_the_user_speaks() -> None:
    speaker = FakeSpeaker()
    stage = Stage("tell me", "stop", responder=Says(LONG), speaker=speaker)
    stage.say(silence(2.0))
    assert not speaker.warmed
    stage.say(np.concatenate([speechlike(2.0), silence(2.5)]))
    assert stage.session.state == "speaking"
    warmed = speaker.warmed
    assert 2 <= warmed <= 4
    stage.say(speechlike(0.2, seed=3))
    assert speaker.warmed == warmed


def test_a_cough_ducks_the_agent_and_restores_it() -> None:
    stage = interrupted(0.24)
    stage.say(silence(1.0))
    assert stage.of("duck")
    assert stage.of("restore")
    assert not stage.of("stop")
    stage.wait(9.0)
    agent = stage.of("turn")[-1]
    assert agent["text"] == LONG
    assert not agent["cut"]


def test_speech_interrupts_the_agent_within_450_ms() -> None:
    stage = interrupted(1.0)
    began = stage.now - 1.0
    ducked, stopped = stage.one("duck")["at"] - began, stage.one("stop")["at"] - began
    assert 0.06 <= ducked <= 0.16
    assert stopped <= 0.42  # and the page fades in 20 ms
    assert stage.one("stop")["fade_ms"] <= 30


@pytest.mark.parametrize("reports", [True, False])
def test_history_keeps_the_played_part(reports: bool) -> None:
    stage = interrupted(1.0, reports)
    stage.say(silence(1.5))
    stage.wait(2.0)
    agent = next(turn for turn in stage.of("turn") if turn["who"] == "agent")
    assert agent["cut"]
    assert agent["intended"] == LONG
    words = agent["text"].split()
    assert words == LONG.split()[: len(words)]
    played = stage.sound()
    first = int(np.argmax(np.abs(played) > 0))
    heard_s = agent["seconds"]
    # what is kept is what came out of the loudspeaker, to 40 ms (250 ms when the page is silent)
    silent_from = first + int(heard_s * RATE) + int((0.04 if reports else 0.25) * RATE)
    assert np.abs(played[silent_from : silent_from + RATE // 4]).max() == 0
    assert len(words) == int(np.ceil(heard_s / 0.2 - 1e-6))
    turns = stage.speaker.dialogues[0].turns
    assert [who for who, _, _ in turns[:3]] == [0, 1, 0]
    assert turns[1][1] == agent["text"]
    assert turns[1][2] is not None
    assert abs(len(turns[1][2]) / RATE - heard_s) < 0.002


def test_the_interrupting_turn_is_complete_and_answered() -> None:
    stage = interrupted(1.0)
    stage.say(silence(1.5))
    stage.wait(2.0)
    turns = stage.of("turn")
    assert [turn["text"] for turn in turns if turn["who"] == "user"] == ["tell me", "stop"]
    assert turns[-1]["text"] == "All right."
    user = stage.session.history.find(turns[-2]["turn"])
    assert user is not None
    assert user.seconds > 1.2  # from 300 ms before the first voiced frame


def test_an_interrupted_reply_is_stored_even_if_the_report_comes_after_the_next_turn() -> None:
    """The answer to the next turn once replaced it."""
    quick = SessionSettings(audio_input=AudioInputSettings(silence_ms=200, pause_ms=100))
    stage = Stage("go", "stop", responder=Says(LONG, "Yes."), settings=quick, reports=False)
    stage.say(np.concatenate([speechlike(0.8), silence(2.0), speechlike(0.4), silence(0.3)]))
    stage.say(silence(0.6))
    stage.wait(3.0)
    assert [turn["who"] for turn in stage.of("turn")] == ["user", "agent", "user", "agent"]
    assert stage.of("turn")[1]["cut"]


def test_interruption_can_be_switched_off() -> None:
    stage = Stage("tell me", responder=Says(LONG), settings=SessionSettings(interrupt=False))
    stage.say(np.concatenate([speechlike(0.8), silence(1.5), speechlike(1.0), silence(1.0)]))
    stage.wait(9.0)
    assert not stage.of("duck")
    assert not stage.of("stop")
    assert stage.of("turn")[-1]["text"] == LONG


def test_typing_works_and_interrupts() -> None:
    stage = Stage(responder=Says(LONG, "Yes."))
    stage.session.write("Tell me a story")
    stage.wait(1.0)
    stage.session.write("Enough")
    stage.wait(2.0)
    turns = stage.of("turn")
    assert [turn["who"] for turn in turns] == ["user", "agent", "user", "agent"]
    assert turns[0]["typed"]
    assert turns[1]["cut"]
    assert stage.speaker.dialogues[0].turns[0] == (0, "Tell me a story", None)


@pytest.mark.parametrize(("given", "expected"), [("", None), ("zh", "zh")])
def test_the_language_is_detected_or_configured(given: str, expected: str | None) -> None:
    settings = with_settings(SessionSettings(), language=given)
    stage = Stage("hello", settings=settings, responder=Says("Hi."))
    stage.say(np.concatenate([speechlike(0.8), silence(1.0)]))
    assert stage.recognizer.opened and stage.recognizer.language == expected


def test_short_noise_is_not_a_turn() -> None:
    stage = Stage("huh")
    stage.say(np.concatenate([silence(0.5), speechlike(0.08), silence(1.5)]))
    assert not stage.of("turn")


def test_speech_without_words_is_queried() -> None:
    stage = Stage("")
    stage.say(np.concatenate([speechlike(1.0), silence(1.0)]))
    stage.wait(3.0)
    assert stage.of("turn")[-1]["text"].startswith("Sorry, I did not catch that")


class Fails:
    name = "endpoint"

    def reply(self, history: Sequence[ChatMessage]) -> Iterator[str]:
        raise RepError("the language model cannot be reached; start it")
        yield ""


def test_a_failing_responder_is_reported_and_the_conversation_continues() -> None:
    stage = Stage("hello", "again", responder=Fails())
    stage.say(np.concatenate([speechlike(0.8), silence(1.0)]))
    assert "cannot be reached" in stage.one("notice")["message"]
    assert stage.session.state == "listening"
    stage.session.responders["told"] = Says("Back again.")
    stage.say(np.concatenate([speechlike(0.8), silence(1.0)]))
    stage.wait(1.5)
    assert stage.of("turn")[-1]["text"] == "Back again."


def test_a_failing_speaker_is_reported_and_the_conversation_continues() -> None:
    stage = Stage(responder=Says("one two boom three", "Fine."))
    stage.speaker.poison = "boom"
    stage.session.write("go")
    stage.wait(2.0)
    assert "speaking failed" in stage.one("notice")["message"]
    stage.session.write("and now")
    stage.wait(1.0)
    assert stage.of("turn")[-1]["text"] == "Fine."


def test_a_failing_recogniser_is_reported() -> None:
    stage = Stage()
    stage.recognizer.error = RepError("the transcription endpoint failed")
    stage.say(np.concatenate([speechlike(0.8), silence(1.0)]))
    assert stage.one("notice")["code"] == "recognition"
    assert stage.session.state == "listening"


def test_audio_is_not_sent_far_ahead() -> None:
    stage = Stage(responder=Says(LONG))
    stage.session.write("go")
    stage.wait(1.0)
    active = stage.session._active
    assert active is not None
    assert active.playback.lead_s(stage.now) < 3.0
    assert active.answer.num_samples < 9 * RATE


def test_a_detached_session_keeps_the_played_part_and_resumes() -> None:
    stage = Stage(responder=Says(LONG, "Here I am."))
    stage.session.write("go")
    stage.wait(1.0)
    stage.session.detach()
    cut = stage.session.history.turns[-1]
    assert cut.cut
    assert 0.8 <= cut.seconds <= 1.1
    events: list[dict] = []
    stage.session.attach(lambda out: events.append(out), lambda: None)
    stage.session.write("are you there")
    for _ in range(50):
        stage.session.tick()
        stage._advance()
    assert [record.text for record in stage.session.history.turns][2] == "are you there"
    assert any(isinstance(out, dict) and out["type"] == "reply.started" for out in events)


def test_two_sessions_do_not_mix() -> None:
    speaker = FakeSpeaker()
    stages = [
        Stage(
            speaker=speaker,
            responder=Says(f"I am {name} " * 5),
            settings=SessionSettings(voice=name),
        )
        for name in ("slt", "kal", "rms", "awb")
    ]
    for stage in stages:
        stage.session.write("who")
    for _ in range(200):
        for stage in stages:
            stage.wait(0.02)
    for stage, hz in zip(stages, (440, 220, 330, 550), strict=True):
        played = stage.sound()
        loud = played[np.abs(played) > 0]
        assert abs(tone_hz(loud[: 2 * RATE]) - hz) < 2
        assert stage.session.settings.voice in stage.of("turn")[-1]["text"]


def test_settings_out_of_range_are_rejected() -> None:
    with pytest.raises(InputError, match="silence_ms is 5; it must be from 200 to 3000"):
        with_settings(SessionSettings(), silence_ms=5)
    assert with_settings(SessionSettings(), silence_ms=700).audio_input.silence_ms == 700


def test_another_predictor_continues_the_conversation() -> None:
    stage = Stage("my name is anna", "what did i say")
    stage.say(np.concatenate([silence(0.6), speechlike(1.2), silence(3.0)]))
    stage.wait(4.0)
    first = stage.speaker.dialogues[-1]
    assert first.predictor == "gpt-talker"
    stage.session.settings = with_settings(stage.session.settings, predictor="flow-omni")
    stage.say(np.concatenate([speechlike(1.2), silence(3.0)]))
    stage.wait(4.0)
    second = stage.speaker.dialogues[-1]
    assert second.predictor == "flow-omni"
    assert second.turns[0][1] == first.turns[0][1] == "my name is anna"
    assert second.turns[1][1] == stage.of("turn")[1]["text"]
    # The new answer is kept by another thread, a little later.
    assert [turn[0] for turn in second.turns[:3]] == [0, 1, 0]
