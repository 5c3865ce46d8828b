"""A text spoken by a voice in a manner, with the truth about it."""

import random
from dataclasses import dataclass

import numpy as np
import pyworld

from data.audio import SAMPLE_RATE, resample
from data.errors import InputError
from data.synthetic.engines import Espeak, Festival, Flite, Phone, Spoken
from data.synthetic.voices import CorpusVoice, voices

NEUTRAL_DBFS = -23.0
EDGE_S = 0.1  # silence left before and after speech
_DEAF_TO_PITCH = (("flite", "rms"), ("festival", "slt"))
_WORLD_MS = 10.0
_SILENCES = ("pau", "_:", "_", "#", "")


@dataclass(frozen=True)
class Manner:
    """Factors on pitch, range and rate, and decibels on the level."""

    pitch: float
    range: float
    rate: float
    level_db: float


MANNERS = {
    "neutral": Manner(1.0, 1.0, 1.0, 0.0),
    "excited": Manner(1.22, 1.5, 1.15, 3.0),
    "sad": Manner(0.86, 0.6, 0.82, -4.0),
    "angry": Manner(1.08, 1.3, 1.1, 4.0),
    "calm": Manner(0.94, 0.75, 0.9, -1.0),
}
# The rule that a model can learn from sound alone: excitement is shared, sadness is met low and
# slow, anger is met with calm.
ANSWERED_WITH = {
    "neutral": "neutral",
    "excited": "excited",
    "sad": "sad",
    "angry": "calm",
    "calm": "calm",
}

_engines: dict[str, Flite | Festival | Espeak] = {}


def speak(voice_id: str, text: str, manner: str, seed: int) -> tuple[np.ndarray, list[Phone]]:
    """Speaks a text.

    Timbre is changed without a vocoder: the engine speaks `formant` times as slowly and as low, and
    the sound is played that much faster. Only flite's rms and festival's slt, which do not heed
    pitch settings, go through WORLD.

    Args:
        voice_id: one of `voices()`.
        text: what to say.
        manner: one of `MANNERS`.
        seed: of the small variation of pitch, rate and level.

    Returns:
        Samples `[T]`, float32 at 24 kHz, and phones (phone, start, end) in seconds.

    Raises:
        InputError: an unknown voice or manner.
        MissingModelError: the synthesizer is not installed.
    """
    if voice_id not in voices() or manner not in MANNERS:
        raise InputError(
            f"no voice {voice_id!r} with manner {manner!r}; manners are {', '.join(MANNERS)}"
        )
    voice, wanted = voices()[voice_id], MANNERS[manner]
    rng = random.Random(f"{voice_id} {seed}")
    pitch = wanted.pitch * voice.pitch * rng.uniform(0.97, 1.03)
    rate = wanted.rate * rng.uniform(0.96, 1.04)
    spoken = _perform(voice, text, pitch, wanted.range, rate)
    samples = resample(spoken.samples, round(spoken.sample_rate * voice.formant), SAMPLE_RATE)
    phones = [(p, a / voice.formant, b / voice.formant) for p, a, b in spoken.phones]
    samples, phones = _trimmed(samples, phones)
    return _levelled(samples, wanted.level_db + rng.uniform(-0.7, 0.7)), phones


def _perform(voice: CorpusVoice, text: str, pitch: float, spread: float, rate: float) -> Spoken:
    if voice.engine not in _engines:
        _engines[voice.engine] = {"flite": Flite, "festival": Festival, "espeak": Espeak}[
            voice.engine
        ]()
    engine = _engines[voice.engine]
    stretch = voice.formant / rate
    # A tract's size and its pitch go together in people, though not wholly.
    engine_pitch = pitch * voice.formant**0.5 / voice.formant
    spoken = engine.speak(voice.base, text, engine_pitch, spread, stretch)
    if (voice.engine, voice.base) in _DEAF_TO_PITCH:
        return Spoken(
            _with_pitch(spoken.samples, spoken.sample_rate, engine_pitch, spread),
            spoken.sample_rate,
            spoken.phones,
        )
    return spoken


def _with_pitch(samples: np.ndarray, rate: int, pitch: float, spread: float) -> np.ndarray:
    """Pitch and range changed by the WORLD vocoder; always through it, so that a voice's timbre does
    not depend on its manner."""
    wide = samples.astype(np.float64)
    f0, times = pyworld.dio(wide, rate, frame_period=_WORLD_MS)
    f0 = pyworld.stonemask(wide, f0, times, rate)
    envelope = pyworld.cheaptrick(wide, f0, times, rate)
    aperiodicity = pyworld.d4c(wide, f0, times, rate)
    voiced = f0 > 0
    if voiced.any():
        mean = np.log(f0[voiced]).mean()
        f0[voiced] = np.exp(mean + np.log(pitch) + spread * (np.log(f0[voiced]) - mean))
    return pyworld.synthesize(f0, envelope, aperiodicity, rate, _WORLD_MS)[: len(samples)].astype(
        np.float32
    )


def _trimmed(samples: np.ndarray, phones: list[Phone]) -> tuple[np.ndarray, list[Phone]]:
    """Leaves `EDGE_S` of silence at either end, adding what is missing."""
    speech = [(a, b) for p, a, b in phones if p not in _SILENCES]
    if not speech:
        raise InputError("the synthesizer found nothing to say in the text")
    start, end = speech[0][0] - EDGE_S, speech[-1][1] + EDGE_S
    first, last = round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)
    before, after = max(0, -first), max(0, last - len(samples))
    samples = np.pad(samples[max(0, first) : last], (before, after))
    inner = [(p, a - start, b - start) for p, a, b in phones if a >= speech[0][0] - 1e-6]
    inner = [(p, round(a, 4), round(b, 4)) for p, a, b in inner if b <= speech[-1][1] - start + 1e-6]
    ending = inner[-1][2]
    return samples, [
        ("pau", 0.0, inner[0][1]),
        *inner,
        ("pau", ending, round(len(samples) / SAMPLE_RATE, 4)),
    ]


def _levelled(samples: np.ndarray, level_db: float) -> np.ndarray:
    frames = samples[: len(samples) // 480 * 480].reshape(-1, 480)
    powers = np.square(frames).mean(1)
    active = powers[powers > 1e-3 * powers.max()]
    gain = 10 ** ((NEUTRAL_DBFS + level_db) / 20) / np.sqrt(active.mean() + 1e-12)
    peak = np.abs(samples).max() * gain
    return (samples * gain / max(1.0, peak / 0.98)).astype(np.float32)
