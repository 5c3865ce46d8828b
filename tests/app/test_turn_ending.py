"""A turn ends soon if it sounds finished, and late if not."""

import math
import time
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

from app.api.realtime_objects import session_object
from app.api.realtime_settings import RealtimeSettings, updated
from app.endpointing import MOST_PATIENT_MS, SEMANTIC, AudioInputSettings
from app.protocol import ProtocolError
from app.settings import SessionSettings
from app.turn_ending import TurnJudge, log_odds_of_end, patience_ms
from data.audio import SAMPLE_RATE
from tests.app.live import engines
from tests.app.stage import FakeRecognizer, Stage
from tests.app.user_sound import silence, speechlike

WHOLE = "what can i do for you"


class ToldJudge:
    """Judges as it is told; the last judgement stays.

    `finished` holds the judgements of a pause, for each pause in turn.
    """

    def __init__(self, *finished: float | tuple[float, ...]) -> None:
        self.finished = [(one,) if isinstance(one, float) else one for one in finished]
        self.heard_s: list[float] = []
        self._asked = 0  # in this pause

    def judge(self, samples: np.ndarray) -> "Future[float]":
        seconds = len(samples) / SAMPLE_RATE
        if self.heard_s and seconds - self.heard_s[-1] > 0.25:  # somebody has spoken between
            self._asked = 0
            del self.finished[: len(self.finished) > 1]
        self.heard_s.append(seconds)
        told = self.finished[0]
        future: Future[float] = Future()
        future.set_result(told[min(self._asked, len(told) - 1)])
        self._asked += 1
        return future

    def warm_up(self) -> None: ...


def stage(judge: ToldJudge, *texts: str, eagerness: str = "auto") -> Stage:
    audio_input = AudioInputSettings(detection=SEMANTIC, eagerness=eagerness)
    return Stage(*texts, settings=SessionSettings(audio_input=audio_input), judge=judge)


def waited_ms(stage: Stage) -> float:
    return next(e for e in stage.of("turn") if e["who"] == "user")["timings"]["silence_ms"]


@pytest.mark.parametrize("eagerness", list(MOST_PATIENT_MS))
def test_a_finished_turn_is_answered_at_once(eagerness: str) -> None:
    one = stage(ToldJudge(1.0), WHOLE, eagerness=eagerness)
    one.say(np.concatenate([speechlike(1.0), silence(1.0)]))
    assert 300 <= waited_ms(one) <= 400


@pytest.mark.parametrize(("eagerness", "most"), list(MOST_PATIENT_MS.items()))
def test_a_turn_that_never_sounds_finished_ends_at_the_maximum(eagerness: str, most: int) -> None:
    one = stage(ToldJudge(0.0), "i would like to", eagerness=eagerness)
    one.say(np.concatenate([speechlike(1.0), silence(0.8 * most / 1000)]))
    assert not one.of("turn")
    one.say(silence(0.3 * most / 1000))
    assert waited_ms(one) <= most + 60


@pytest.mark.parametrize("pause_s", [0.3, 0.5, 0.8, 1.1, 1.5])
def test_a_pause_inside_a_turn_does_not_end_it(pause_s: float) -> None:
    judge = ToldJudge(0.05, 1.0)
    one = stage(judge, "i would like", "to win the race")
    one.say(np.concatenate([speechlike(1.0), silence(pause_s), speechlike(1.0), silence(1.0)]))
    assert one.one("speech.started")
    assert [turn["text"] for turn in one.of("turn") if turn["who"] == "user"] == [
        "i would like to win the race"
    ]
    assert max(judge.heard_s) > judge.heard_s[0] + pause_s + 0.9  # the turn as a whole


@pytest.mark.parametrize("text", ["Berlin.", "Two.", "At seven.", "好。", "我想去北京。", "七点。"])
def test_a_short_answer_that_sounds_finished_does_not_wait_for_its_words(text: str) -> None:
    assert patience_ms([0.98] * 3, text, "auto") <= 800
    assert patience_ms([0.5, 0.98, 0.98], text, "auto") >= patience_ms([0.98] * 3, text, "auto")


@pytest.mark.parametrize("text", ["Well, um...", "嗯", "I would like to", "请问你知道他的"])
def test_what_cannot_be_an_answer_waits_however_it_sounds(text: str) -> None:
    assert patience_ms([0.99] * 3, text, "auto") > 800


@pytest.mark.parametrize(
    "text",
    [
        "I would like to", "what is the", "and then I went with my", "Well, um...", "because",
        "I want a flight from", "So I thought...", "On Monday,", "can you find a table for",
        "我想去看那个", "因为", "Thank you for your help, that is...", "Purchase tickets for um.",
    ],
)  # fmt: skip
def test_open_ended_words_delay_the_end(text: str) -> None:
    assert patience_ms([0.99], text, "medium") > 1500


@pytest.mark.parametrize(
    "text",
    [
        "I won the race.", "yes", "no, thank you", "What time is it?", "Berlin", "好的",
        "Is there anything else I can help you with?", "你知道吗？",
    ],
)  # fmt: skip
def test_complete_words_delay_the_end_little(text: str) -> None:
    assert patience_ms([0.99], text, "medium") < 700


def test_words_decide_where_the_voice_does_not() -> None:
    """Smart Turn takes the rising end of a question for a hesitation, and vice versa."""
    unsure = [0.3]
    assert patience_ms(unsure, "Can I do anything else for you?", "medium") < 800
    assert patience_ms(unsure, "Can I do anything else for the", "medium") > 2500


def test_a_single_judgement_does_not_decide() -> None:
    steady = log_odds_of_end([0.1, 0.1, 0.1], "I won the race.")
    assert (
        steady
        < log_odds_of_end([0.1, 0.1, 0.99], "I won the race.")
        < log_odds_of_end([0.99] * 3, "I won the race.")
    )


def test_probabilities_at_the_limits_are_finite() -> None:
    for judged in ([0.0], [1.0], [0.0, 1.0]):
        for text in ("", "I won the race."):
            assert math.isfinite(log_odds_of_end(judged, text))


def test_patience_decreases_with_certainty_and_eagerness() -> None:
    waits = [patience_ms([p], "", "medium") for p in (0.0, 0.3, 0.6, 0.9, 1.0)]
    assert waits == sorted(waits, reverse=True)
    assert MOST_PATIENT_MS["medium"] / 2 < waits[0] <= MOST_PATIENT_MS["medium"]
    assert (
        patience_ms([0.5], "", "low")
        > patience_ms([0.5], "", "auto")
        > patience_ms([0.5], "", "high")
    )


@pytest.mark.parametrize(
    ("told", "least", "most"),
    [
        ((0.1, 1.0), 600, 700),  # once certain counts little
        ((0.1, 1.0, 0.1, 1.0), 1000, 1100),
        ((0.1, 0.1, 0.1, 1.0), 1000, 1100),
    ],
)
def test_the_judge_may_change_its_mind_while_silence_lasts(
    told: tuple[float, ...], least: int, most: int
) -> None:
    one = stage(ToldJudge(told), "i won the race")
    one.say(np.concatenate([speechlike(1.0), silence(2.0)]))
    assert least <= waited_ms(one) <= most


def test_the_agent_has_a_turn_before_it_has_surely_ended() -> None:
    """Encoding takes longer than the answer's first sound."""
    one = stage(ToldJudge(0.99), WHOLE)
    one.say(speechlike(1.0))
    dialogue = one.speaker.dialogues[-1]
    while not dialogue.turns and not one.of("turn"):
        one.say(silence(0.02))
        time.sleep(0.01)  # the speech worker is a thread
    assert [text for _, text, _ in dialogue.turns] == [WHOLE] and not one.of("turn")
    one.say(silence(1.0))
    assert one.one("reply.started")
    assert [text for who, text, _ in dialogue.turns if who == 0] == [WHOLE]


@pytest.mark.parametrize("rest", ["to win the race", "to win", ""])
def test_a_turn_that_goes_on_is_not_kept_as_it_was_expected(rest: str) -> None:
    one = stage(ToldJudge(0.99), WHOLE, rest)
    one.say(np.concatenate([speechlike(1.0), silence(0.28), speechlike(1.0), silence(1.0)]))
    one.wait(1.0)
    dialogue = one.speaker.dialogues[-1]
    said = [(text, len(sound)) for who, text, sound in dialogue.turns if who == 0]
    assert said == [(f"{WHOLE} {rest}".strip(), pytest.approx(2.45 * 24_000, rel=0.1))]


class InterimRecognizer(FakeRecognizer):
    """Has an interim transcript while the user speaks."""

    def open(self, *args: Any, **options: Any) -> Any:
        utterance = super().open(*args, **options)
        utterance.partial = "what can"
        return utterance


def test_a_turn_that_the_client_commits_is_not_expected() -> None:
    settings = SessionSettings(detect_turns=False)
    one = Stage(settings=settings, recognizer=InterimRecognizer(WHOLE))
    one.say(np.concatenate([speechlike(1.0), silence(1.0)]))
    time.sleep(0.1)  # for the speech worker
    assert one.speaker.dialogues[-1].turns == []


class SlowRecognizer(FakeRecognizer):
    """Has a draft at once, and the transcript when it is told."""

    def __init__(self, draft: str) -> None:
        super().__init__()
        self.final: Future[str] = Future()
        self.draft = draft

    def open(self, *args: Any, **options: Any) -> Any:
        utterance = super().open(*args, **options)
        utterance.draft, utterance.finish = self.draft, lambda: self.final
        return utterance


def test_a_turn_ends_by_a_draft_of_its_words_and_is_answered_by_the_transcript() -> None:
    recognizer = SlowRecognizer(WHOLE)
    settings = SessionSettings(audio_input=AudioInputSettings(detection=SEMANTIC))
    one = Stage(settings=settings, judge=ToldJudge(0.99), recognizer=recognizer)
    one.say(np.concatenate([speechlike(1.0), silence(0.45)]))
    assert one.one("speech.ended") and not one.of("turn")
    recognizer.final.set_result("What can I do for you?")
    one.wait(0.1)
    assert [turn["text"] for turn in one.of("turn")] == ["What can I do for you?"]
    assert waited_ms(one) < 420


def test_a_turn_without_a_draft_waits_for_its_words() -> None:
    recognizer = SlowRecognizer("")
    settings = SessionSettings(audio_input=AudioInputSettings(detection=SEMANTIC))
    one = Stage(settings=settings, judge=ToldJudge(0.99), recognizer=recognizer)
    one.say(np.concatenate([speechlike(1.0), silence(0.6)]))
    assert not one.of("speech.ended")
    recognizer.final.set_result(WHOLE)
    one.say(silence(0.1))
    assert one.one("speech.ended")


def test_server_vad_does_not_use_the_judge() -> None:
    judge = ToldJudge(0.0)
    one = Stage("i won the race", judge=judge)
    one.say(np.concatenate([speechlike(1.0), silence(1.0)]))
    assert waited_ms(one) < 560
    assert judge.heard_s == []


def detection(**fields: Any) -> dict[str, Any]:
    return {"audio": {"input": {"turn_detection": fields}}}


@pytest.mark.parametrize("eagerness", list(MOST_PATIENT_MS))
def test_realtime_can_switch_to_semantic_vad_and_back(eagerness: str) -> None:
    able = engines(judge=ToldJudge(1.0))
    start = RealtimeSettings(SessionSettings())
    semantic = updated(start, detection(type=SEMANTIC, eagerness=eagerness), able)
    shown = session_object("s", semantic, able)["audio"]["input"]["turn_detection"]
    assert (shown["type"], shown["eagerness"]) == (SEMANTIC, eagerness)
    back = updated(semantic, detection(type="server_vad", silence_duration_ms=300), able)
    shown = session_object("s", back, able)["audio"]["input"]["turn_detection"]
    assert (shown["type"], shown["silence_duration_ms"]) == ("server_vad", 300)


@pytest.mark.parametrize(
    "fields",
    [
        {"type": SEMANTIC, "silence_duration_ms": 300},
        {"type": SEMANTIC, "threshold": 0.5},
        {"type": SEMANTIC, "eagerness": "rash"},
        {"type": SEMANTIC, "eagerness": 3},
        {"type": "server_vad", "eagerness": "low"},
        {"type": "near_vad"},
    ],
)
def test_realtime_rejects_fields_of_the_other_kind(fields: dict[str, Any]) -> None:
    able = engines(judge=ToldJudge(1.0))
    with pytest.raises(ProtocolError) as refused:
        updated(RealtimeSettings(SessionSettings()), detection(**fields), able)
    assert str(refused.value.param).startswith("session.audio.input.turn_detection")


def test_without_weights_semantic_vad_is_rejected_with_the_reason() -> None:
    unable = engines(judge_caveat="install them with `this command`")
    with pytest.raises(ProtocolError, match="install them with `this command`"):
        updated(RealtimeSettings(SessionSettings()), detection(type=SEMANTIC), unable)


def test_a_judge_at_rest_is_warmed_up_by_silence() -> None:
    class Counts:
        def finished(self, samples: np.ndarray) -> float:
            heard.append(float(np.abs(samples).max()))
            return 0.5

    heard: list[float] = []
    model: Any = Counts()
    judge = TurnJudge(model)
    judge.warm_up()
    judge.judge(np.ones(SAMPLE_RATE, np.float32)).result()
    judge.warm_up()  # it has just run
    judge.close()
    assert len(heard) == 2 and heard[0] == 0 < heard[1]
