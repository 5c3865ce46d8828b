"""Speaks any text in any voice of the corpus, in any manner, with the times of its phones."""

import random

import numpy as np

from data.audio import SAMPLE_RATE, resample
from data.errors import InputError
from data.synthetic import espeak, festival, flite, world
from data.synthetic.manner import MANNERS, Manner, performed
from data.synthetic.phones import PAUSE, Phone, Spoken, cut, scaled, tidy
from data.synthetic.voices import CorpusVoice, voices

MARGIN_S = 0.1
NEUTRAL_DBFS = -23.0
_KNEE = 0.8
_FADE_S = 0.004
_ENGINES = {"flite": flite, "festival": festival, "espeak-ng": espeak}


def speak(
    voice_id: str, text: str, manner: str = "neutral", seed: int = 0
) -> tuple[np.ndarray, list[Phone]]:
    """Speaks a text.

    Args:
        voice_id: a key of `voices()`.
        text: English, with numbers in words.
        manner: a key of MANNERS.
        seed: of the small differences between two performances.

    Returns:
        Samples [T] float32 at 24 kHz, and phones as (name, start, end) in seconds.

    Raises:
        InputError: no such voice or manner, or a text in which there is nothing to say.
        MissingModelError: its synthesizer is not installed.
    """
    voice = voices().get(voice_id)
    if voice is None:
        raise InputError(f"no synthetic voice {voice_id!r}; data.synthetic.VOICES lists them")
    if manner not in MANNERS:
        raise InputError(f"no manner {manner!r}; choose one of {', '.join(MANNERS)}")
    spoken = perform(voice, text, performed(manner, random.Random(f"{seed} {voice_id} {text}")))
    return spoken.samples, spoken.phones


def perform(voice: CorpusVoice, text: str, manner: Manner) -> Spoken:
    """Speaks a text in exactly this manner; at 24 kHz, trimmed and levelled. Raises as `speak`."""
    spoken = _synthesize(voice, text, manner)
    # played `formant` times faster: pitch, formants and rate all rise by it
    played_hz = spoken.sample_rate * voice.formant
    samples = resample(spoken.samples, played_hz, SAMPLE_RATE)
    phones = scaled(spoken.phones, 1 / voice.formant)
    whole = Spoken(samples, SAMPLE_RATE, tidy(phones, samples.shape[0] / SAMPLE_RATE))
    if all(name == PAUSE for name, _, _ in whole.phones):
        raise InputError(f"there is nothing to say in {text!r:.60}; give a text with words")
    trimmed = cut(whole, MARGIN_S)
    return Spoken(_levelled(trimmed, manner.level_db), SAMPLE_RATE, trimmed.phones)


def _synthesize(voice: CorpusVoice, text: str, manner: Manner) -> Spoken:
    pitch, stretch = voice.pitch * manner.pitch / voice.formant, voice.formant / manner.rate
    engine = _ENGINES[voice.synthesizer]
    if not voice.ignores_pitch:
        spoken = engine.speak(voice.base, text, pitch, manner.pitch_range, stretch)
        pitch, pitch_range = 1.0, 1.0
    else:
        spoken, pitch_range = engine.speak(voice.base, text, stretch=stretch), manner.pitch_range
    # always, so that a voice's timbre does not depend on its manner
    if voice.colour is not None or voice.ignores_pitch:
        rate = min(int(spoken.sample_rate), SAMPLE_RATE)  # WORLD's cost doubles above it
        samples = resample(spoken.samples, spoken.sample_rate, rate)
        changed = world.change(samples, rate, pitch, pitch_range, voice.colour)
        spoken = Spoken(changed, rate, spoken.phones)
    return spoken


def _levelled(spoken: Spoken, level_db: float) -> np.ndarray:
    """Every voice equally loud in neutral speech, the manner's difference kept, nothing clipped."""
    samples, rate = spoken.samples, spoken.sample_rate
    sounding = np.concatenate(
        [samples[int(a * rate) : int(b * rate)] for name, a, b in spoken.phones if name != PAUSE]
    )
    level = float(np.sqrt(np.mean(np.square(sounding, dtype=np.float64)))) + 1e-9
    samples = samples * np.float32(10 ** ((NEUTRAL_DBFS + level_db) / 20) / level)
    over = np.abs(samples) > _KNEE
    # peaks bend into what is left of the range instead of being cut
    bent = _KNEE + (0.99 - _KNEE) * np.tanh((np.abs(samples[over]) - _KNEE) / (0.99 - _KNEE))
    samples[over] = np.sign(samples[over]) * bent
    num_fade = int(_FADE_S * rate)
    fade = np.linspace(0, 1, num_fade, dtype=np.float32)
    samples[:num_fade] *= fade
    samples[-num_fade:] *= fade[::-1]
    return samples
