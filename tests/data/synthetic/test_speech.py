"""Synthetic speech with phone times. espeak-ng is a wheel; flite and festival may be missing."""

import ctypes
import shutil

import numpy as np
import pytest

from data.audio import SAMPLE_RATE
from data.errors import InputError, MissingModelError
from data.synthetic import MANNERS, VOICES, espeak, festival, flite, speak, world
from data.synthetic.manner import MANNERS as PLAIN
from data.synthetic.phones import PAUSE, Spoken, cut, tidy
from data.synthetic.speech import MARGIN_S, perform
from models.text import phonemize
from tests.programs import voices

TEXT = "Some are mine. She saw you now. Many are here."


EVERY_KIND = voices(
    "espeak-en-us",
    "espeak-en-029+grandma+t1.06p1.0",
    "flite-kal16",
    "flite-awb+t1.12p0.85",
    "flite-rms",
    "flite-slt+w1",
    "festival-ked",
    "festival-slt",
)


def level(samples: np.ndarray) -> float:
    return 20 * np.log10(np.sqrt(np.mean(samples**2)) + 1e-9)


@pytest.mark.parametrize("voice", EVERY_KIND)
def test_phones_cover_the_audio_and_pauses_are_quiet(voice: str) -> None:
    samples, phones = speak(voice, TEXT)
    assert samples.dtype == np.float32
    duration = samples.shape[0] / SAMPLE_RATE
    assert 1.5 < duration < 6
    ends = [phone[2] for phone in phones]
    assert all(a < b for _, a, b in phones) and ends == sorted(ends)
    assert abs(ends[-1] - duration) < 0.11
    sounding = [phone for phone in phones if phone[0] != PAUSE]
    assert len(sounding) >= 20
    assert sounding[0][1] <= MARGIN_S + 0.01
    assert duration - sounding[-1][2] <= MARGIN_S + 0.01
    inner = [(a, b) for name, a, b in phones if name == PAUSE and 0.3 < a < duration - 0.4]
    assert len(inner) >= 1, "between the sentences"
    for start, end in inner:
        middle = samples[int((0.6 * start + 0.4 * end) * SAMPLE_RATE) :][: int(0.02 * SAMPLE_RATE)]
        assert level(middle) < level(samples) - 18


@pytest.mark.parametrize("voice", EVERY_KIND)
def test_manner_changes_pitch_rate_and_level(voice: str) -> None:
    spoken = {m: perform(VOICES[voice], TEXT, PLAIN[m]) for m in ("neutral", "excited", "sad")}
    f0 = {m: world.mean_f0(s.samples, SAMPLE_RATE) for m, s in spoken.items()}
    assert f0["excited"] / f0["sad"] > 1.25
    assert spoken["sad"].duration / spoken["excited"].duration > 1.2
    loud = {m: level(s.samples) for m, s in spoken.items()}
    assert abs(loud["neutral"] + 23) < 2
    assert 5 < loud["excited"] - loud["sad"] < 9
    assert all(np.abs(s.samples).max() < 1 for s in spoken.values())


@pytest.mark.parametrize("voice", EVERY_KIND)
def test_synthesis_is_reproducible(voice: str) -> None:
    """espeak-ng carried its phases, and flite its noise, from one text to the next."""
    first, phones = speak(voice, TEXT, "calm", seed=1)
    phonemize(["phonemizer keeps espeak-ng's library loaded"])
    speak(voice, "Something else was said in between.")
    again, same = speak(voice, TEXT, "calm", seed=1)
    other, _ = speak(voice, TEXT, "calm", seed=2)
    assert np.array_equal(first, again) and phones == same
    assert not np.array_equal(first[:9_000], other[:9_000])


def test_a_smaller_speaker_has_higher_formants_at_the_same_rate() -> None:
    base = VOICES["espeak-en-us"]
    plain = perform(base, TEXT, PLAIN["neutral"])
    small = type(base)(**{**vars(base), "formant": 1.2})
    scaled = perform(small, TEXT, PLAIN["neutral"])
    assert abs(scaled.duration / plain.duration - 1) < 0.06
    assert (
        abs(world.mean_f0(scaled.samples, SAMPLE_RATE) / world.mean_f0(plain.samples, 24_000) - 1)
        < 0.06
    )

    def centre(samples: np.ndarray) -> float:
        spectrum = np.abs(np.fft.rfft(samples)) ** 2
        hz = np.fft.rfftfreq(samples.shape[0], 1 / SAMPLE_RATE)
        band = (hz > 300) & (hz < 4_000)
        return float((hz[band] * spectrum[band]).sum() / spectrum[band].sum())

    assert centre(scaled.samples) / centre(plain.samples) > 1.08


def test_named_voices_differ() -> None:
    speakers = ("espeak-en-us", "espeak-en-gb-x-rp+f2")
    f0 = [world.mean_f0(speak(v, TEXT)[0], SAMPLE_RATE) for v in speakers]
    assert f0[1] / f0[0] > 1.5


def test_bad_requests_are_explained() -> None:
    with pytest.raises(InputError, match="no synthetic voice"):
        speak("nobody", TEXT)
    with pytest.raises(InputError, match="no manner 'jolly'"):
        speak("espeak-en-us", TEXT, "jolly")
    with pytest.raises(InputError, match="nothing to say"):
        speak("espeak-en-us", " ... ")
    with pytest.raises(MissingModelError, match="no voice"):
        espeak.speak("xx-nowhere", TEXT)
    assert "excited" in MANNERS


def test_a_missing_synthesizer_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object) -> None:
        raise OSError("libflite.so.1: cannot open shared object file")

    flite._library.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(ctypes, "CDLL", nothing)
        with pytest.raises(MissingModelError, match="apt install flite"):
            flite.speak("slt", TEXT)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(MissingModelError, match="apt install festival festvox-kdlpc16k"):
        festival.Festival()


def test_tidy_joins_silences_and_keeps_to_the_sound() -> None:
    phones = [("#", -0.1, 0.2), ("ssil", 0.2, 0.3), ("a", 0.3, 0.3), ("b", 0.3, 0.5), ("c", 0.5, 9)]
    assert tidy(phones, 0.6) == [(PAUSE, 0.0, 0.3), ("b", 0.3, 0.5), ("c", 0.5, 0.6)]


def test_cut_shifts_the_times_with_the_sound() -> None:
    samples = np.zeros(1_000, np.float32)
    samples[400:600] = 1
    phones = [(PAUSE, 0.0, 0.4), ("a", 0.4, 0.6), (PAUSE, 0.6, 1.0)]
    short = cut(Spoken(samples, 1_000, phones), 0.1)
    assert short.samples.shape[0] == 400
    assert np.allclose(
        [t for _, a, b in short.phones for t in (a, b)], [0, 0.1, 0.1, 0.3, 0.3, 0.4]
    )
    assert short.samples[100:300].all()
