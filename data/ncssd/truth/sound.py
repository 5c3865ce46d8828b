"""Audio of simulated recordings: mixing, music, noise, and file formats."""

from pathlib import Path

import av
import numpy as np

from data.audio import SAMPLE_RATE, resample
from data.audio.pcm import to_int16
from data.errors import InputError
from data.files import atomic_path
from data.ncssd.truth.timeline import Timeline

# file type to container, codec, and supported sample rates
FILES = {
    "wav": ("wav", "pcm_s16le", (8_000, 16_000, 24_000, 44_100, 48_000)),
    "flac": ("flac", "flac", (16_000, 24_000, 44_100, 48_000)),
    "mp3": ("mp3", "libmp3lame", (16_000, 24_000, 44_100, 48_000)),
    "ogg": ("ogg", "libopus", (16_000, 24_000, 48_000)),
    "mp4": ("mp4", "aac", (16_000, 24_000, 44_100, 48_000)),
    "mkv": ("matroska", "aac", (16_000, 24_000, 44_100, 48_000)),
}
_LEVEL = 0.07  # RMS of a voice


def mix(line: Timeline, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Mixes the voices of a timeline: samples `[T]` at 24 kHz, and a mask of speech `[T]`."""
    voices, speech = mix_voices(line, rng)
    samples = np.zeros(speech.shape[0], np.float32)
    for own in voices.values():
        samples += own
    return samples, speech


def mix_voices(
    line: Timeline, rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """One track `[T]` at 24 kHz per voice, by first appearance, and a mask of speech `[T]`."""
    length = round(line.duration * SAMPLE_RATE)
    speech = np.zeros(length, bool)
    tracks: dict[str, np.ndarray] = {}
    gains: dict[str, float] = {}
    for placed in line.placed:
        voice, name = placed.clip.load(), placed.clip.voice
        gain = gains.setdefault(name, 10 ** (rng.uniform(-3, 3) / 20))
        level = float(np.sqrt((voice**2).mean()) + 1e-9)
        first = round(placed.at * SAMPLE_RATE)
        voice = voice[: max(0, length - first)]
        track = tracks.setdefault(name, np.zeros(length, np.float32))
        track[first : first + voice.shape[0]] += voice * (gain * _LEVEL / level)
        speech[first : first + voice.shape[0]] = True
    return tracks, speech


def add_background(
    samples: np.ndarray, speech: np.ndarray, kind: str, snr_db: float, rng: np.random.Generator
) -> np.ndarray:
    """Adds "music" or "noise" at `snr_db` below the speech, and limits the peak to 0.95."""
    mixed = samples + background(samples, speech, kind, snr_db, rng)
    return (mixed * headroom(mixed)).astype(np.float32)


def background(
    samples: np.ndarray, speech: np.ndarray, kind: str, snr_db: float, rng: np.random.Generator
) -> np.ndarray:
    """Background `[T]`, "music" or "noise" at `snr_db` below the speech.

    "clean" is microphone noise at -50 dB, since digital silence is unnatural.
    """
    if kind not in ("clean", "music", "noise"):
        raise InputError(f"unknown background {kind!r}; choose clean, music or noise")
    back = music(samples.shape[0], rng) if kind == "music" else noise(samples.shape[0], rng)
    power = float((samples[speech] ** 2).mean()) if speech.any() else _LEVEL**2
    down = 50.0 if kind == "clean" else snr_db
    back *= np.sqrt(power / (float((back**2).mean()) + 1e-12) / 10 ** (down / 10))
    return back


def headroom(samples: np.ndarray) -> float:
    """The gain that limits the peak to 0.95."""
    return min(1.0, 0.95 / (float(np.abs(samples).max()) + 1e-9))


def noise(length: int, rng: np.random.Generator) -> np.ndarray:
    """Approximately pink noise `[length]`, in cross-faded blocks."""
    size = 1 << 16
    slope = 1.0 / np.sqrt(np.maximum(np.arange(size // 2 + 1), 8.0))
    out = np.zeros(length + size, np.float32)
    window = np.sin(np.pi * (np.arange(size) + 0.5) / size).astype(np.float32)
    for first in range(0, length, size // 2):
        spectrum = np.fft.rfft(rng.standard_normal(size)) * slope
        out[first : first + size] += np.fft.irfft(spectrum).astype(np.float32) * window
    return out[size // 4 : size // 4 + length].copy()


def music(length: int, rng: np.random.Generator) -> np.ndarray:
    """Chords, a melody and a beat, `[length]` at 24 kHz."""
    out = np.zeros(length, np.float32)
    beat = round(SAMPLE_RATE * 60 / rng.uniform(80, 130))
    root = rng.uniform(100, 160)
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16])
    for number, first in enumerate(range(0, length, beat)):
        if number % 4 == 0:
            step = int(rng.choice([0, 3, 4, 5]))
            for degree in (step, step + 2, step + 4):
                pitch = root * 2 ** (scale[degree % 10] / 12)
                _note(out, first, beat * 4, pitch, 0.3, 1.5)
        _note(out, first, beat, root * 4 * 2 ** (rng.choice(scale) / 12), 0.25, 4.0)
        hit = rng.standard_normal(min(beat // 4, length - first)).astype(np.float32)
        out[first : first + hit.shape[0]] += 0.4 * hit * np.exp(-np.arange(hit.shape[0]) / 600)
    return out


def _note(out: np.ndarray, first: int, length: int, hz: float, gain: float, decay: float) -> None:
    length = min(length, out.shape[0] - first)
    time = np.arange(length) / SAMPLE_RATE
    tone = sum(np.sin(2 * np.pi * hz * k * time) / k**1.5 for k in range(1, 6))
    attack = np.minimum(1.0, time / 0.02)
    out[first : first + length] += (gain * attack * np.exp(-decay * time) * tone).astype(np.float32)


def write_media(path: Path, samples: np.ndarray, sample_rate: int, channels: int = 1) -> None:
    """Writes samples `[T]` or `[2, T]` at 24 kHz in the format of the file's suffix.

    For samples `[T]` and two channels, the second is a softer copy, delayed by 0.2 ms, as from a
    second microphone.
    """
    kind = path.suffix.lstrip(".")
    if kind not in FILES:
        raise InputError(f"cannot write {path}: choose one of {', '.join(FILES)}")
    container, codec, rates = FILES[kind]
    if sample_rate not in rates:
        raise InputError(f"{kind} supports {rates} Hz, not {sample_rate}")
    tracks = [resample(track, SAMPLE_RATE, sample_rate) for track in np.atleast_2d(samples)]
    if channels == 2 and len(tracks) == 1:
        shift = max(1, sample_rate // 5000)
        tracks.append(0.8 * np.concatenate([np.zeros(shift, np.float32), tracks[0][:-shift]]))
    channels = len(tracks)
    pcm = to_int16(np.stack(tracks, 1)).reshape(-1)
    layout = "stereo" if channels == 2 else "mono"
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format=container) as output:
        stream = output.add_stream(codec, rate=sample_rate, layout=layout)
        size = stream.codec_context.frame_size or 0
        fifo = av.AudioResampler(
            format=stream.codec_context.format, layout=layout, rate=sample_rate, frame_size=size
        )
        block = sample_rate * channels * 10
        for first in range(0, pcm.shape[0], block):
            frame = av.AudioFrame.from_ndarray(
                pcm[None, first : first + block], format="s16", layout=layout
            )
            frame.sample_rate = sample_rate
            for part in fifo.resample(frame):
                output.mux(stream.encode(part))
        for part in fifo.resample(None):
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
