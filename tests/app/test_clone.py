"""Cloning from the page: results, and messages for unusable input."""

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from app.cloning import keep_voice, speak_by_each, spectrogram, try_clone
from app.library import Library
from app.voice_sample import clean_sample
from app.voice_store import MAX_TRIED, Cloned
from data.errors import InputError
from tests.app.fake_speaker import FakeReply, FakeSpeaker, FakeVoice
from tests.app.live import engines, serving
from tests.app.voice_sound import espeak_voice


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return written(tmp_path, espeak_voice()[: 6 * 24_000])


def written(folder: Path, samples: np.ndarray, rate: int = 24_000) -> Path:
    path = folder / "recording.wav"
    soundfile.write(path, samples, rate)
    return path


def test_each_model_speaks_the_text_in_the_cloned_voice(tmp_path: Path) -> None:
    samples = np.repeat(espeak_voice()[: 6 * 24_000], 2)
    shared = engines()
    for given in (samples, np.stack([samples, samples], axis=1)):
        tried = try_clone(shared, written(tmp_path, given, 48_000), consent=True)
        assert "s of speech" in shared.voices.tried(tried).sample.verdict
        *_, spoken = speak_by_each(shared, tried, "one two three")
        assert list(spoken) == ["gpt-talker", "flow-omni"]
        for sound in spoken.values():
            assert len(sound) == 3 * 4800
            peak = np.argmax(np.abs(np.fft.rfft(sound))) * 24_000 / len(sound)
            assert abs(peak - 660) < 3


def test_a_tried_voice_can_be_streamed_only_by_its_secret_name(
    recording: Path,
) -> None:
    shared = engines()
    tried = try_clone(shared, recording, consent=True)
    with serving(shared) as (place, _):
        asked = {"input": "one two", "response_format": "pcm", "model": "flow-omni"}
        url = f"http://{place}/v1/audio/speech"
        heard = httpx.post(url, json={**asked, "voice": tried})
        assert heard.status_code == 200
        assert len(heard.content) == 2 * 2 * 4800
        assert httpx.post(url, json={**asked, "voice": "tried-other"}).status_code == 400
        listed = httpx.get(f"http://{place}/v1/audio/voices").text
        assert tried not in listed


def test_the_oldest_tried_voices_are_dropped() -> None:
    shared = engines()
    voices = [FakeVoice(str(number), "cloned", 1.0) for number in range(MAX_TRIED + 3)]
    sample = clean_sample([espeak_voice()[: 6 * 24_000]])
    names = [shared.voices.try_out(Cloned(voice, sample)) for voice in voices]
    assert shared.voices.find(names[-1]) is voices[-1]
    assert shared.voices.find(names[3]) is voices[3]
    with pytest.raises(InputError, match="unknown voice"):
        shared.voices.find(names[2])
    with pytest.raises(InputError, match="press Clone again"):
        keep_voice(shared, names[2], "anna", "she said so")


def test_a_kept_voice_can_be_used_at_once_and_later(tmp_path: Path, recording: Path) -> None:
    shared = engines(library=Library(tmp_path / "voices"))
    tried = try_clone(shared, recording, consent=True)
    with pytest.raises(InputError, match="no consent"):
        keep_voice(shared, tried, "anna", " ")
    with pytest.raises(InputError, match="already"):
        keep_voice(shared, tried, "slt", "she said so")
    with pytest.raises(InputError, match="press Clone"):
        keep_voice(shared, None, "anna", "she said so")
    assert shared.voices.library.names() == []
    assert "anna" in keep_voice(shared, tried, "anna", "she said so", "one two")
    facts = shared.voices.library.load("anna")[1]
    assert (facts.consent, facts.transcript) == ("she said so", "one two")
    assert shared.speaker.voices["anna"].hz == 660.0


@pytest.mark.parametrize(
    ("given", "consent", "message"),
    [
        (None, True, "no voice sample"),
        (espeak_voice(), False, "consent"),
        (espeak_voice()[:48_000], True, "at least 3 s"),
        (np.zeros(96_000, np.int16), True, "too quiet"),
        (np.zeros(0, np.int16), True, "no audio"),
    ],
)
def test_unusable_input_is_rejected_with_the_reason(
    given: np.ndarray | None, consent: bool, message: str, tmp_path: Path
) -> None:
    path = None if given is None else written(tmp_path, given)
    with pytest.raises(InputError, match=message):
        try_clone(engines(), path, consent)


def test_a_long_recording_is_cut_to_its_first_minute(tmp_path: Path) -> None:
    sound = np.concatenate([espeak_voice(), np.zeros(3600 * 24_000, np.float32)])
    path = tmp_path / "hour.flac"
    soundfile.write(path, sound, 24_000)
    shared = engines()
    assert shared.voices.tried(try_clone(shared, path, consent=True)).sample.speech_s > 5


def test_without_voice_or_text_nothing_is_spoken(recording: Path) -> None:
    with pytest.raises(InputError, match="press Clone"):
        list(speak_by_each(engines(), None, "hello"))
    shared = engines()
    tried = try_clone(shared, recording, True)
    with pytest.raises(InputError, match="text is empty"):
        list(speak_by_each(shared, tried, "  "))
    with pytest.raises(InputError, match="1001 characters"):
        list(speak_by_each(shared, tried, "x" * 1001))


class SlowSpeaker(FakeSpeaker):
    """Remembers its replies."""

    def __init__(self) -> None:
        super().__init__(rtf=0.5)
        self.replies: list[FakeReply] = []

    def speak(self, *args: Any, **kwargs: Any) -> FakeReply:
        self.replies.append(super().speak(*args, **kwargs))
        return self.replies[-1]


def test_synthesis_ends_when_the_visitor_leaves(recording: Path) -> None:
    """Gradio closes the generator of a visitor who is gone."""
    speaker = SlowSpeaker()
    shared = engines(speaker=speaker)
    tried = try_clone(shared, recording, True)
    steps = speak_by_each(shared, tried, "one two three four five " * 30)
    assert 0 < len(next(steps)["gpt-talker"]) < 24_000 * 3
    steps.close()
    assert [reply._cancelled for reply in speaker.replies] == [True]


def test_the_spectrogram_shows_a_tone_at_its_frequency() -> None:
    tone = np.sin(2 * np.pi * 2000 * np.arange(24_000) / 24_000).astype(np.float32)
    picture = spectrogram(tone)
    row = picture.shape[0] - 1 - int(picture.mean(axis=1).argmax())
    assert abs(row * 24_000 / 1024 - 2000) < 50
