"""A quarter of an hour of interruptions by speech: the recogniser's memory stays flat.

The sound of 15 minutes, 180 utterances of 5 s, is fed as fast as the recogniser accepts it.
Every other one is cancelled midway, as speech over an answer that has just ended is; its backlog
must be freed too.

`launch.py test tests/abuse/test_recognition.py -m abuse -s`; minutes.
"""

import os
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from data.audio import SAMPLE_RATE
from data.errors import RepError
from data.recognition.recognizer import Recognizer
from data.recognition.sphinx import SphinxRecognizer
from data.recognition.whisper_recognizer import WhisperRecognizer
from tests.abuse.server import resident
from tests.app.user_sound import silence, speechlike

pytestmark = pytest.mark.abuse
UTTERANCES, SECONDS, WARM = 180, 5.0, 20
PIECE = SAMPLE_RATE // 50
ALLOWED_MB = 40.0  # growth since the warm-up


def sphinx() -> Recognizer:
    recognizer = SphinxRecognizer()
    assert recognizer.wait_ready()
    return recognizer


def whisper() -> Recognizer:
    try:
        return WhisperRecognizer()
    except RepError as error:
        pytest.skip(str(error))


def utterances() -> Iterator[np.ndarray]:
    for number in range(UTTERANCES):
        voice = number % 8  # `speechlike` caches its results
        said = speechlike(SECONDS - 1.0, f0_hz=100 + 10 * voice, seed=voice)
        yield np.concatenate([silence(0.4), said, silence(0.6)])


@pytest.mark.parametrize("make", [sphinx, whisper])
def test_a_quarter_of_an_hour_of_interruptions(make: Callable[[], Recognizer]) -> None:
    recognizer = make()
    warm, peak, last, slowest = 0.0, 0.0, "", 0.0
    began = time.monotonic()
    try:
        for number, sound in enumerate(utterances()):
            utterance = recognizer.open()
            called_off = number % 2 == 1
            for start in range(0, len(sound) // (2 if called_off else 1), PIECE):
                utterance.push(sound[start : start + PIECE])
            if called_off:
                utterance.abort()
            else:
                asked = time.monotonic()
                last = utterance.finish().result(300)
                slowest = max(slowest, time.monotonic() - asked)
            now = resident(os.getpid())  # with its children
            if number == WARM:
                warm = now
            peak = max(peak, now)
            if number % 30 == 0:
                print(f"{number * SECONDS:.0f} s of sound: {now:.0f} MB", flush=True)
        took = time.monotonic() - began
        print(
            f"{make.__name__}: {UTTERANCES * SECONDS / 60:.0f} min of sound in {took:.0f} s; after "
            f"{WARM} utterances {warm:.0f} MB, at most {peak:.0f}; slowest answer {slowest:.1f} s"
        )
        assert last, "nothing was recognised"
        assert peak - warm < ALLOWED_MB
    finally:
        recognizer.close()


@pytest.mark.parametrize("make", [sphinx, whisper])
def test_what_is_over_holds_up_nobody(make: Callable[[], Recognizer]) -> None:
    """Cancels thirty utterances of 20 s whose audio is all queued; one more is recognised."""
    recognizer = make()
    try:
        sound = speechlike(SECONDS)
        alone = answer_s(recognizer, sound)
        for number in range(30):
            utterance = recognizer.open()
            utterance.push(speechlike(20.0, seed=number))
            utterance.abort()
        behind = answer_s(recognizer, sound)
        print(f"{make.__name__}: {alone:.1f} s alone, {behind:.1f} s behind 10 min called off")
        assert behind < 3 * alone + 5
    finally:
        recognizer.close()


def answer_s(recognizer: Recognizer, sound: np.ndarray) -> float:
    utterance, began = recognizer.open(), time.monotonic()
    for start in range(0, len(sound), PIECE):
        utterance.push(sound[start : start + PIECE])
    assert utterance.finish().result(120)
    return time.monotonic() - began
