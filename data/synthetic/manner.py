"""Speaking styles, and the rule by which an answer's style follows from the previous turn's."""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Manner:
    """A speaking style relative to the voice's neutral speech.

    Attributes:
        pitch, pitch_range, rate: factors on F0, F0 range and speaking rate.
        level_db: level offset, dB.
    """

    pitch: float
    pitch_range: float
    rate: float
    level_db: float


MANNERS = {
    "neutral": Manner(1.0, 1.0, 1.0, 0.0),
    "excited": Manner(1.22, 1.5, 1.15, 3.0),
    "sad": Manner(0.86, 0.6, 0.82, -4.0),
    "angry": Manner(1.08, 1.3, 1.1, 4.0),
    "calm": Manner(0.94, 0.75, 0.9, -1.0),
}

NATURAL_MANNERS = {
    "neutral": Manner(1.0, 1.0, 1.0, 0.0),
    "excited": Manner(1.15, 1.35, 1.22, 3.0),
    "sad": Manner(0.94, 0.6, 0.8, -4.0),
    "angry": Manner(1.05, 1.3, 1.15, 4.0),
    "calm": Manner(0.96, 0.75, 0.9, -1.0),
}
"""The same for Kokoro, whose own prosody adds to the requested one: with these values, excited and
sad differ by 3.9 semitones and by a factor of 1.43 in rate."""

ANSWER_TO = {
    "neutral": "neutral",
    "excited": "excited",  # joy is shared
    "sad": "sad",  # compassion: low and slow
    "angry": "calm",  # anger is soothed
    "calm": "calm",
}
"""The stated rule: the manner of a user's turn -> the manner of the agent's answer to it."""

_USER_MANNERS = ("neutral", "excited", "sad", "angry", "calm")
_USER_WEIGHTS = (0.28, 0.18, 0.18, 0.18, 0.18)
_STAYS = 0.35


def manners_of_dialogue(rng: random.Random, num_turns: int) -> list[str]:
    """User turns (even) at random, often keeping the last style; agent turns (odd) by the rule."""
    manners: list[str] = []
    for index in range(num_turns):
        if index % 2:
            manners.append(ANSWER_TO[manners[-1]])
        elif index and rng.random() < _STAYS:
            manners.append(manners[index - 2])
        else:
            manners.append(rng.choices(_USER_MANNERS, _USER_WEIGHTS)[0])
    return manners


def performed(manner: str, rng: random.Random, natural: bool = False) -> Manner:
    """A randomly varied instance of a style.

    Args:
        manner: a key of MANNERS.
        rng: source of randomness.
        natural: for a Kokoro voice.
    """
    plain = (NATURAL_MANNERS if natural else MANNERS)[manner]
    return Manner(
        pitch=plain.pitch * rng.lognormvariate(0, 0.02),
        pitch_range=plain.pitch_range * rng.lognormvariate(0, 0.06),
        rate=plain.rate * rng.lognormvariate(0, 0.03),
        level_db=plain.level_db + rng.gauss(0, 0.5),
    )
