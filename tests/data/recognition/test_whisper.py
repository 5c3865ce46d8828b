"""Whisper as it is used here: short windows, and no words where nobody speaks."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from data.audio import SAMPLE_RATE, resample
from data.errors import RepError
from data.recognition.whisper import WHISPER_HZ, Whisper, _window_frames
from data.recognition.whisper_weights import find_whisper
from tests.app.user_sound import speechlike


@pytest.fixture(scope="module")
def whisper() -> Whisper:
    try:
        return Whisper(find_whisper(), num_threads=1, num_workers=2)
    except RepError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("seconds", [0.1, 1.0, 3.3, 3.5, 11.9, 27.0, 29.5, 30.0, 95.0])
def test_the_window_holds_the_utterance_and_no_more_than_whisper_takes(seconds):
    frames = _window_frames(seconds)
    assert min(seconds, 30) <= frames / 100 <= 30
    assert 6 <= frames / 100 <= max(6, seconds + 2.6)


def test_language_and_words_come_of_one_encoding(whisper, monkeypatch):
    from faster_whisper import WhisperModel

    windows, encode = [], WhisperModel.encode

    def noted(model: WhisperModel, window: np.ndarray) -> object:
        windows.append(window.shape[-1])
        return encode(model, window)

    monkeypatch.setattr(WhisperModel, "encode", noted)
    speech = resample(speechlike(2.5), SAMPLE_RATE, WHISPER_HZ)
    assert whisper.transcribe(speech, hastily=True).text
    assert windows == [600]


@pytest.mark.skipif(sys.platform != "linux", reason="threads have their own niceness on Linux only")
def test_its_threads_come_after_those_of_speech(whisper):
    whisper.transcribe(resample(speechlike(1.0), SAMPLE_RATE, WHISPER_HZ), language="en")
    threads = [int(path.name) for path in Path("/proc/self/task").iterdir()]
    niceness = [os.getpriority(os.PRIO_PROCESS, thread) for thread in threads]
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    assert max(niceness) == min(19, ours + 5)


def _noises() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(1)
    time = np.arange(8 * WHISPER_HZ) / WHISPER_HZ
    beat = np.exp(-8 * (time % 0.5))
    chord = sum(np.sin(2 * np.pi * hz * time) for hz in (220.0, 277.2, 329.6))
    return {
        "silence": np.zeros(5 * WHISPER_HZ),
        "nothing": np.zeros(0),
        "one sample": np.zeros(1),
        "hiss": 0.05 * draw.standard_normal(8 * WHISPER_HZ),
        "hum": 0.3 * np.sin(2 * np.pi * 50 * time),
        "chord": 0.1 * chord,
        "drum": 0.4 * beat * draw.standard_normal(len(time)),
        "clicks": (time % 0.25 < 0.002) * 0.8,
        "fading noise": 0.3 * draw.standard_normal(len(time)) * np.linspace(0, 1, len(time)),
    }


@pytest.mark.parametrize("name", list(_noises()))
def test_audio_without_speech_has_no_text(whisper, name):
    found = whisper.transcribe(_noises()[name].astype(np.float32))
    assert (found.text, found.words, found.confidence) == ("", (), 0.0)


def test_threads_do_not_share_their_windows(whisper):
    sounds = [resample(speechlike(seconds), SAMPLE_RATE, WHISPER_HZ) for seconds in (1.5, 9.0)]
    alone = [whisper.transcribe(sound, hastily=True) for sound in sounds]
    with ThreadPoolExecutor(2) as pool:
        together = pool.map(lambda sound: whisper.transcribe(sound, hastily=True), 4 * sounds)
    assert list(together) == 4 * alone
