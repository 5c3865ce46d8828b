"""Word times: those of one rendition are transferred to another."""

import numpy as np
import pytest

from data.synthetic.kokoro.store import default_store
from models.evaluation.sets import say
from models.evaluation.timing import time_errors, transfer_times, word_times

SENTENCE = "The train to the coast leaves from platform seven at half past nine."


def test_words_have_the_times_of_their_phones() -> None:
    item = say("espeak-en-us+m6", SENTENCE)
    found = word_times(item.phones, item.text)
    assert [word for word, _, _ in found[:3]] == ["The", "train", "to"] and len(found) == 13
    names = [name for name, _, _ in item.phones]
    at = next(i for i in range(len(names)) if names[i : i + 4] == ["t", "ɹ", "ˈeɪ", "n"])
    _, start, end = found[1]
    assert start == pytest.approx(item.phones[at][1], abs=0.03)
    assert end == pytest.approx(item.phones[at + 3][2], abs=0.03)


@pytest.mark.parametrize(
    ("voice", "other", "text", "most_s"),
    [
        ("espeak-en-us+m6", "espeak-en-us+m6", SENTENCE, 0.005),
        ("espeak-en-us+m6", "espeak-en-gb-x-rp+f5", SENTENCE, 0.025),
        ("espeak-en-us+m6", "espeak-en-029+m3", "We have 42 apples, and you?", 0.025),
        ("kokoro-af_heart", "kokoro-am_michael", SENTENCE, 0.020),
        ("kokoro-zf_xiaobei", "kokoro-zm_yunxi", "今天天气很好，我们去公园吧。", 0.025),
    ],
)
def test_times_transfer_between_voices(voice: str, other: str, text: str, most_s: float) -> None:
    if voice.startswith("kokoro") and not default_store().complete:
        pytest.skip("Kokoro-82M is not here (launch.py data teacher)")
    one, two = say(voice, text), say(other, text, "excited")
    known, there = word_times(one.phones, text), word_times(two.phones, text)
    moments = tuple(at for _, a, b in known for at in (a, b))
    found = transfer_times(one.samples, two.samples, moments)
    assert found is not None
    assert np.mean(time_errors(there, known, found)) < most_s
    late = [(word, a + 0.1, b + 0.1) for word, a, b in there]
    assert np.mean(time_errors(late, known, found)) == pytest.approx(0.1, abs=most_s)


def test_silence_has_no_times_and_different_words_are_not_compared() -> None:
    silence, noise = np.zeros(24_000, np.float32), np.ones(24_000, np.float32) / 9
    assert (
        transfer_times(silence, noise, (0.1,)) is None
        and transfer_times(noise, silence, (0.1,)) is None
    )
    known = [("two", 0.1, 0.4), ("apples", 0.4, 1.2)]
    assert time_errors([("Two", 0.1, 0.4)], known, [0.1, 0.4, 0.4, 1.2]) == []
    assert time_errors([("two", 0.1, 0.4), ("pears", 0.4, 1)], known, [0.1, 0.4, 0.4, 1.2]) == []
