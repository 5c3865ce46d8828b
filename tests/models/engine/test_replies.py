"""Concurrent replies: each sounds as it does alone, and none waits for one that has left."""

from typing import Any

import numpy as np
import pytest

from models.predictors.steps import SampledFrame
from models.reply import Reply
from models.speaker import Speaker, SpeakOptions
from tests.tiny import tiny_speaker

TEXTS = (
    "The train was late. We waited near the old bridge.",
    "Yes.",
    "I see. That must have been a long and difficult day for you.",
    "No, the baker is in.",
    "There are three good reasons to stay, and I will tell you all of them. Then we go.",
    "Where were you? I was here.",
)


def begun(speaker: Speaker, number: int) -> Reply:
    dialogue = speaker.open_dialogue()
    for turn in range(number % 3):
        speaker.add_turn(dialogue, 0, TEXTS[turn], None)
    voice = speaker.voices["one" if number % 2 else "two"]
    options = SpeakOptions(seed=number, temperature=0.2 * (number % 2))
    return speaker.speak(dialogue, TEXTS[number % len(TEXTS)], voice, options)


@pytest.mark.parametrize("count", [3, 8])
def test_concurrent_replies_equal_single_ones(
    speaker: Speaker, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within 1 %: rounding differences of F0 accumulate in the phase."""
    alone = [np.concatenate(list(begun(speaker, number))) for number in range(count)]
    model, sizes = speaker.open_dialogue().model, list[int]()
    step = model.step

    def counted(steps: list[Any]) -> list[SampledFrame]:
        sizes.append(len(steps))
        return step(steps)

    monkeypatch.setattr(model, "step", counted)
    replies = [begun(speaker, number) for number in range(count)]
    for reply, expected in zip(replies, alone, strict=True):
        made = np.concatenate(list(reply))
        assert len(made) == len(expected)
        assert np.linalg.norm(made - expected) < 0.01 * np.linalg.norm(expected)
    assert count < 8 or max(sizes) > 1


@pytest.mark.parametrize("number", [1, 4])
def test_unstreamed_replies_equal_streamed_ones(speaker: Speaker, number: int) -> None:
    made = []
    for streamed in (True, False, False):
        voice, options = speaker.voices["one"], SpeakOptions(seed=number, streamed=streamed)
        reply = speaker.speak(speaker.open_dialogue(), TEXTS[number], voice, options)
        made.append((np.concatenate(list(reply)), reply.timed_words))
    (streamed, words), (whole, others), (again, _) = made
    np.testing.assert_array_equal(whole, again)
    assert len(whole) == len(streamed) and words == others
    assert np.linalg.norm(whole - streamed) < 0.01 * np.linalg.norm(streamed)


def test_cancelled_replies_do_not_delay_others() -> None:
    speaker = tiny_speaker("gpt-talker")
    expected = np.concatenate(list(begun(speaker, 4)))
    staying = begun(speaker, 4)
    for number in range(12):
        begun(speaker, number % 4).cancel()
    np.testing.assert_allclose(np.concatenate(list(staying)), expected, atol=1e-3)
