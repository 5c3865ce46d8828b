"""Synthesises any text in any corpus voice and style, with phone timestamps."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.audio import SAMPLE_RATE, resample
from data.errors import InputError, MissingModelError
from data.synthetic import espeak, festival, flite, world
from data.synthetic.kokoro.engine import Delivery, teacher
from data.synthetic.kokoro.voices import KokoroVoice, kokoro_voices
from data.synthetic.manner import MANNERS, Manner, performed
from data.synthetic.phones import PAUSE, Phone, Spoken, cut, scaled, tidy
from data.synthetic.voices import CorpusVoice, voices

MARGIN_S = 0.1
NEUTRAL_DBFS = -23.0
_KNEE = 0.8
_FADE_S = 0.004
_ENGINES = {"flite": flite, "festival": festival, "espeak-ng": espeak}

Voice = CorpusVoice | KokoroVoice


@dataclass(frozen=True)
class Part:
    """A turn to synthesise: voice, text (numbers in words), style and seed."""

    voice: Voice
    text: str
    manner: Manner
    seed: int = 0


def speak(
    voice_id: str, text: str, manner: str = "neutral", seed: int = 0
) -> tuple[np.ndarray, list[Phone]]:
    """Speaks a text.

    Args:
        voice_id: a key of `voices()` or `kokoro_voices()`.
        text: English, or Mandarin by a voice of Kokoro; numbers in words.
        manner: a key of MANNERS.
        seed: of the small differences between two performances.

    Returns:
        Samples [T] float32 at 24 kHz, and phones as (name, start, end) in seconds.

    Raises:
        InputError: no such voice or manner, or a text in which there is nothing to say.
        MissingModelError: its synthesizer is not installed.
    """
    voice = voices().get(voice_id) or kokoro_voices().get(voice_id)
    if voice is None:
        raise InputError(f"no synthetic voice {voice_id!r}; data.synthetic.VOICES lists them")
    if manner not in MANNERS:
        raise InputError(f"no manner {manner!r}; choose one of {', '.join(MANNERS)}")
    rng = random.Random(f"{seed} {voice_id} {text}")
    manner_of_turn = performed(manner, rng, natural=isinstance(voice, KokoroVoice))
    spoken = perform_all([Part(voice, text, manner_of_turn, seed)])[0]
    return spoken.samples, spoken.phones


def perform(voice: Voice, text: str, manner: Manner) -> Spoken:
    """Synthesises a text in exactly this style; 24 kHz, trimmed and levelled. Raises as `speak`."""
    return perform_all([Part(voice, text, manner)])[0]


def perform_all(parts: Sequence[Part], device: str = "cpu", batch: int = 1) -> list[Spoken]:
    """Synthesises several texts, with Kokoro's in batches.

    Args:
        parts: the turns.
        device: device for Kokoro.
        batch: Kokoro's batch size.

    Raises:
        InputError: a text without speakable words.
        MissingModelError: a synthesizer is not installed.
    """
    lines = {
        index: Delivery(part.voice, part.text, part.manner, part.seed)
        for index, part in enumerate(parts)
        if isinstance(part.voice, KokoroVoice)
    }
    spoken: dict[int, Spoken] = {}
    if lines:
        answers = teacher(device, batch).speak(list(lines.values()))
        spoken = dict(zip(lines, answers, strict=True))
    for index, part in enumerate(parts):
        if isinstance(part.voice, CorpusVoice):
            spoken[index] = _synthesize(part.voice, part.text, part.manner)
    return [_finished(spoken[index], part) for index, part in enumerate(parts)]


def missing_synthesizers() -> str:
    """Why flite or festival is unavailable, or ""."""
    for begin in (flite.check, festival.check):
        try:
            begin()
        except MissingModelError as error:
            return str(error)
    return ""


def _finished(spoken: Spoken, part: Part) -> Spoken:
    samples = resample(spoken.samples, spoken.sample_rate, SAMPLE_RATE)
    whole = Spoken(samples, SAMPLE_RATE, tidy(spoken.phones, samples.shape[0] / SAMPLE_RATE))
    if all(name == PAUSE for name, _, _ in whole.phones):
        raise InputError(f"there is nothing to say in {part.text!r:.60}; give a text with words")
    trimmed = cut(whole, MARGIN_S)
    return Spoken(_levelled(trimmed, part.manner.level_db), SAMPLE_RATE, trimmed.phones)


def _synthesize(voice: CorpusVoice, text: str, manner: Manner) -> Spoken:
    """By flite, festival or espeak-ng; at the rate that it is to be played at."""
    pitch, stretch = voice.pitch * manner.pitch / voice.formant, voice.formant / manner.rate
    engine = _ENGINES[voice.synthesizer]
    if not voice.ignores_pitch:
        spoken = engine.speak(voice.base, text, pitch, manner.pitch_range, stretch)
        pitch, pitch_range = 1.0, 1.0
    else:
        spoken, pitch_range = engine.speak(voice.base, text, stretch=stretch), manner.pitch_range
    # Always, so that a voice's timbre does not depend on its style.
    if voice.colour is not None or voice.ignores_pitch:
        rate = min(int(spoken.sample_rate), SAMPLE_RATE)  # WORLD's cost doubles above it
        samples = resample(spoken.samples, spoken.sample_rate, rate)
        changed = world.change(samples, rate, pitch, pitch_range, voice.colour)
        spoken = Spoken(changed, rate, spoken.phones)
    # played `formant` times faster: pitch, formants and rate all rise by it
    played_hz = spoken.sample_rate * voice.formant
    return Spoken(spoken.samples, played_hz, scaled(spoken.phones, 1 / voice.formant))


def _levelled(spoken: Spoken, level_db: float) -> np.ndarray:
    """Normalises loudness per voice, keeps the style's level offset, and soft-limits peaks."""
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
