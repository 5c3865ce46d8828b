"""The contract that the chat relies on, for a real speaker of tiny models and for the fake one."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from app.answering import SpeakerProtocol
from data.audio import SAMPLE_RATE
from data.errors import InputError
from tests.app.fake_speaker import FakeSpeaker
from tests.tiny import tiny_speaker

TEXT = "One two three. Four five six."
FRAME = SAMPLE_RATE // 25
AGENT, USER = 1, 0


@pytest.fixture(scope="module", params=["fake", "gpt-talker", "ham-tts", "flow-omni"])
def speaker(request: pytest.FixtureRequest) -> SpeakerProtocol:
    return FakeSpeaker() if request.param == "fake" else tiny_speaker(request.param)


@pytest.fixture
def voice(speaker: SpeakerProtocol) -> Any:
    return next(iter(speaker.voices.values()))


def noise(seconds: float) -> np.ndarray:
    drawn = np.random.default_rng(0).standard_normal(round(seconds * SAMPLE_RATE))
    return (0.1 * drawn).astype(np.float32)


def turns(dialogue: Any) -> list[tuple[int, str, int]]:
    """(speaker, text, number of samples) of each turn."""
    found = [
        turn if isinstance(turn, tuple) else (turn.who, turn.text, turn.samples)
        for turn in dialogue.turns
    ]
    return [(who, text, 0 if sound is None else len(sound)) for who, text, sound in found]


def pieces(text: str) -> Iterator[str]:
    for word in text.split():
        yield f"{word} "


def test_it_lists_voices_and_predictors(speaker: SpeakerProtocol) -> None:
    assert speaker.sample_rate == SAMPLE_RATE
    assert speaker.predictors and all(isinstance(name, str) for name in speaker.predictors)
    for name, voice in speaker.voices.items():
        assert voice.name == name and voice.description and voice.prompt is None
        assert len(voice.style) and voice.consent == ""


@pytest.mark.parametrize("given", [TEXT, "Yes.", pieces])
def test_audio_comes_in_frames_and_words_are_within_it(
    speaker: SpeakerProtocol, voice: Any, given: Any
) -> None:
    text = given(TEXT) if callable(given) else given
    reply: Any = speaker.speak(speaker.open_dialogue(), text, voice)
    chunks = list(reply)
    assert chunks and all(chunk.dtype == np.float32 for chunk in chunks)
    assert all(len(chunk) and len(chunk) % FRAME == 0 for chunk in chunks)
    whole = np.concatenate(chunks)
    assert np.isfinite(whole).all() and np.abs(whole).max() <= 1
    np.testing.assert_array_equal(reply.samples(), whole)
    assert reply.complete and reply.duration_s == pytest.approx(len(whole) / SAMPLE_RATE)
    assert len(reply.words) == (6 if len(chunks) > 1 and given != "Yes." else 1)
    times = np.array([at for _, start, end in reply.words for at in (start, end)])
    assert times[0] >= 0 and times[-1] <= reply.duration_s + 0.04
    assert (np.diff(times) > -1e-9).all()


@pytest.mark.parametrize("text", ["", "   ", "\n\t", iter(()), iter(["", " "])])
def test_text_without_words_is_rejected(speaker: SpeakerProtocol, voice: Any, text: Any) -> None:
    with pytest.raises(InputError):
        list(speaker.speak(speaker.open_dialogue(), text, voice))


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_a_cancelled_reply_ends_and_is_not_complete(
    speaker: SpeakerProtocol, voice: Any, taken: int
) -> None:
    reply: Any = speaker.speak(speaker.open_dialogue(), TEXT * 4, voice)
    running = iter(reply)
    for _ in range(taken):
        next(running)
    reply.cancel()
    reply.cancel()
    list(running)
    assert not reply.complete


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 1.0, None])
def test_the_played_part_enters_the_dialogue_once(
    speaker: SpeakerProtocol, voice: Any, share: float | None
) -> None:
    dialogue = speaker.open_dialogue()
    speaker.add_turn(dialogue, USER, "hello", None)
    reply: Any = speaker.speak(dialogue, TEXT, voice)
    list(reply)
    played_s = None if share is None else share * reply.duration_s
    reply.commit(played_s)
    reply.commit(played_s)
    (who, text, _), *rest = turns(dialogue)
    assert (who, text) == (USER, "hello")
    if share == 0.0:
        assert not rest
        return
    ((who, text, num),) = rest
    assert who == AGENT and text
    assert TEXT.replace(".", "").startswith(text.replace(".", ""))
    expected = len(reply.samples()) * (1 if share is None else share)
    assert abs(num - expected) <= 1
    if share in (1.0, None):
        assert text.split()[-1].startswith("six")


def test_a_new_turn_replaces_an_open_reply(speaker: SpeakerProtocol, voice: Any) -> None:
    dialogue = speaker.open_dialogue()
    reply: Any = speaker.speak(dialogue, TEXT, voice)
    next(iter(reply))
    reply.cancel()
    speaker.add_turn(dialogue, USER, "wait", noise(0.5))
    reply.commit(1.0)
    assert [(who, text) for who, text, _ in turns(dialogue)] == [(USER, "wait")]


@pytest.mark.parametrize("seconds", [0.0, 0.2, 0.9])
def test_a_short_sample_is_not_cloned(speaker: SpeakerProtocol, seconds: float) -> None:
    for sample in (noise(seconds), np.zeros(2 * SAMPLE_RATE, np.float32)):
        with pytest.raises(InputError):
            speaker.clone(sample)


def test_a_cloned_voice_speaks(speaker: SpeakerProtocol) -> None:
    voice = speaker.clone(noise(3.0), "anna")
    assert voice.name == "anna" and voice.prompt is not None
    assert len(voice.style) == len(next(iter(speaker.voices.values())).style)
    assert list(speaker.speak(speaker.open_dialogue(), "Yes.", voice))
