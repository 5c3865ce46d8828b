"""Corrections of level, offset, rumble and wiring."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from app.voice_sample import clean_sample
from data.audio import SAMPLE_RATE, encode_audio, read_audio
from data.errors import InputError
from tests.app.voice_sound import espeak_voice

Make = Callable[[np.ndarray], np.ndarray]
TIME = np.arange(len(espeak_voice())) / SAMPLE_RATE
RNG = np.random.default_rng(0)


def speech() -> np.ndarray:
    return (0.6 * espeak_voice()).astype(np.float64)


def peak(db: float) -> Make:
    return lambda x: x * 10 ** (db / 20) / np.abs(x).max()


def sine(hz: float, size: float) -> np.ndarray:
    return size * np.sin(2 * np.pi * hz * TIME)


def rough_rumble(size: float) -> np.ndarray:
    """Noise from 20 to 50 Hz."""
    spectrum = np.fft.rfft(RNG.standard_normal(len(TIME)))
    hz = np.fft.rfftfreq(len(TIME), 1 / SAMPLE_RATE)
    noise = np.fft.irfft(np.where((hz > 20) & (hz < 50), spectrum, 0), len(TIME))
    return size * noise / noise.std()


def clicks(x: np.ndarray) -> np.ndarray:
    """Quiet speech and three knocks at the microphone."""
    x = peak(-50)(x)
    for at in (1.0, 4.0, 7.0):
        first = round(at * SAMPLE_RATE)
        x[first : first + 100] = 0.8 * np.hanning(100)
    return x


def stereo(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.stack([left, right], axis=1)


def half_inverted(x: np.ndarray) -> np.ndarray:
    sign = np.where(np.arange(len(x)) < len(x) // 2, 1.0, -1.0)
    return stereo(x, sign * x)


def hiss(x: np.ndarray) -> np.ndarray:
    return 0.002 * RNG.standard_normal(len(x))


def envelope(x: np.ndarray) -> np.ndarray:
    """Level of each 50 ms, no deeper than a quiet room's."""
    size = SAMPLE_RATE // 20
    level = np.sqrt((x[: len(x) // size * size].reshape(-1, size) ** 2).mean(axis=1))
    return np.log(level + 0.03 * np.quantile(level, 0.9))


CORRECTED: dict[str, Make] = {
    "offset 0.1": lambda x: x + 0.1,
    "offset 0.3": lambda x: x + 0.3,
    "offset -0.4": lambda x: x - 0.4,
    "offset 0.05": lambda x: x + 0.05,
    "offset 0.02": lambda x: x + 0.02,
    "offset of a quiet file": lambda x: peak(-50)(x) + 0.01,
    "offset of one channel": lambda x: stereo(x, x - 0.2),
    "offset that drifts": lambda x: x + 0.1 + 0.1 * np.sin(2 * np.pi * 0.3 * TIME),
    "rumble 20 Hz": lambda x: x + sine(20, 0.2),
    "rumble 31 Hz": lambda x: x + sine(31, 0.1),
    "rumble 43 Hz": lambda x: x + sine(43, 0.2),
    "rumble 50 Hz": lambda x: x + sine(50, 0.1),
    "rumble of noise": lambda x: x + rough_rumble(0.08),
    "rumble and offset": lambda x: x + 0.2 + rough_rumble(0.05),
    "peak -40": peak(-40),
    "peak -55": peak(-55),
    "peak -65": peak(-65),
    "peak -75": peak(-75),
    "quiet, with clicks": clicks,
    "peak 1.2": peak(1.6),
    "peak 2.4": peak(7.6),
    "peak 8": peak(18.1),
    "integers in floats": peak(90.3),
    "a spike of 50": lambda x: np.where(np.arange(len(x)) == 50_000, 50.0, x),
    "inverted": lambda x: stereo(x, -x),
    "inverted, softer": lambda x: stereo(-0.8 * x, x),
    "inverted, at half": lambda x: stereo(x, -0.5 * x),
    "inverted, with noise of its own": lambda x: stereo(x + hiss(x), hiss(x) - 0.9 * x),
    "inverted in its second half": half_inverted,
    "inverted, with offsets": lambda x: stereo(x + 0.2, 0.1 - x),
    "inverted, with rumble": lambda x: stereo(x + sine(30, 0.2), sine(30, 0.2) - x),
    "inverted and quiet": lambda x: peak(-55)(stereo(x, -x)),
    "four channels, two inverted": lambda x: np.stack([x, -x, 0.9 * x, -0.9 * x], axis=1),
}


def written(folder: Path, samples: np.ndarray, rate: int = SAMPLE_RATE) -> Path:
    """24 bits, or floats where there is more than they hold."""
    path = folder / "a.wav"
    kind = "PCM_24" if np.abs(samples).max() <= 1 else "FLOAT"
    soundfile.write(path, samples, rate, subtype=kind)
    return path


@pytest.mark.parametrize("make", CORRECTED.values(), ids=CORRECTED)
def test_file_properties_do_not_affect_the_assessment_of_the_voice(
    make: Make, tmp_path: Path
) -> None:
    read = read_audio(written(tmp_path, make(speech())))
    sample = clean_sample([read])
    assert sample.snr_db > 25 and sample.speech_s > 5
    assert 0.05 < np.abs(read).max() <= 1.0
    assert abs(read.mean()) < 5e-3
    likeness = np.corrcoef(envelope(read), envelope(speech()))[0, 1]
    assert likeness > 0.9


ORDINARY: dict[str, Make] = {
    "as it is": lambda x: x,
    "full scale": peak(0),
    "softly spoken": peak(-24),
    "clipped": lambda x: np.clip(4 * x, -1, 1),
    "noisy": lambda x: x + 0.03 * RNG.standard_normal(len(x)),
    "a slight offset": lambda x: x + 0.0005,
    "stereo": lambda x: stereo(x, 0.8 * x),
    "one channel silent": lambda x: stereo(x, 0 * x),
    "a person a channel": lambda x: stereo(x * (TIME < 5), x * (TIME >= 5)),
    "two persons at once": lambda x: stereo(x, np.roll(x, 40_000)),
    "a second microphone": lambda x: stereo(x, 0.7 * np.roll(x, 9)),
    "5.1": lambda x: np.stack([x, 0.9 * x, 0 * x, 0.2 * x, 0.1 * x, 0.3 * x], axis=1),
    "7.1": lambda x: np.stack([0.1 * (n + 1) * x for n in range(8)], axis=1),
    "12 microphones": lambda x: np.stack([np.roll(x, n) for n in range(12)], axis=1),
    "a word in silence": lambda x: np.where((TIME > 1.0) & (TIME < 1.4), x, 0.0),
}  # fmt: skip


@pytest.mark.parametrize("make", ORDINARY.values(), ids=ORDINARY)
def test_an_ordinary_recording_is_unchanged(make: Make, tmp_path: Path) -> None:
    samples = np.atleast_2d(make(speech()).T)
    soundfile.write(tmp_path / "a.wav", samples.T, SAMPLE_RATE, subtype="FLOAT")
    expected = np.ascontiguousarray(samples, np.float32).mean(axis=0)
    assert np.array_equal(read_audio(tmp_path / "a.wav"), expected)


def test_a_loud_lossy_file_that_overshoots_is_unchanged(tmp_path: Path) -> None:
    hot = np.clip(peak(3)(speech()), -1, 1)
    (tmp_path / "a.mp3").write_bytes(encode_audio(hot, SAMPLE_RATE, "mp3"))
    assert np.abs(read_audio(tmp_path / "a.mp3")).max() > 1.0


def test_overshoot_of_resampling_does_not_count_as_level(tmp_path: Path) -> None:
    square = np.sign(np.sin(2 * np.pi * 441 * np.arange(44_100) / 44_100 + 0.1))
    soundfile.write(tmp_path / "a.wav", square, 44_100, subtype="PCM_16")
    assert np.abs(read_audio(tmp_path / "a.wav")).max() > 1.0


@pytest.mark.parametrize("size", [0.0, 1e-6, 5e-5])
def test_silence_is_not_amplified(size: float, tmp_path: Path) -> None:
    silence = size * RNG.standard_normal(5 * SAMPLE_RATE).clip(-1, 1)
    read = read_audio(written(tmp_path, silence))
    assert np.abs(read).max() <= 1e-4
    with pytest.raises(InputError, match="too quiet"):
        clean_sample([read])


@pytest.mark.parametrize("size", [0.0, 1.0, -3.0, 3e38, -3e38])
def test_extreme_floats_give_audio_or_an_error(size: float, tmp_path: Path) -> None:
    samples = np.full((SAMPLE_RATE, 2), size, np.float32)
    soundfile.write(tmp_path / "a.wav", samples, SAMPLE_RATE, subtype="FLOAT")
    try:
        assert np.isfinite(read_audio(tmp_path / "a.wav")).all()
    except InputError as error:
        assert "not finite numbers" in str(error)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_at_other_rates(rate: int, tmp_path: Path) -> None:
    time = np.arange(4 * rate) / rate
    tone = np.sin(2 * np.pi * 440 * time)
    made = 1e-3 * stereo(tone, -tone) + 0.003 * np.sin(2 * np.pi * 30 * time)[:, None] + 0.05
    read = read_audio(written(tmp_path, made, rate))
    middle = read[SAMPLE_RATE : 3 * SAMPLE_RATE]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert spectrum.argmax() == 880  # 440 Hz in 2 s
    assert spectrum[:120].max() < 0.1 * spectrum.max()
