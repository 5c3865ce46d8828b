"""A stand-in for the speaker that replies in the teacher's voice: evaluation must find no fault."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from data.synthetic import speak
from models.evaluation.sets import JUDGED_VOICES
from models.evaluation.timing import word_times
from models.voice import Voice

CHUNK = 960


@dataclass
class Squawk:
    """A reply: the teacher's samples in chunks."""

    made: np.ndarray
    words: list[tuple[str, float, float]]
    retries: int = 0
    first_audio_ms: float | None = 20.0
    rtf: float | None = 0.05
    given: int = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        for start in range(0, len(self.made), CHUNK):
            self.given = start + CHUNK
            yield self.made[start : start + CHUNK]

    def samples(self) -> np.ndarray:
        return self.made[: self.given]


@dataclass
class Parrot:
    """`ear` chooses the manner from the last turn's loudness ("level"), or from the seed alone
    ("none"). `late_s` is added to all word times. `seed` applies to every utterance; without one,
    each reply has its own, and its own pace."""

    ear: str = "none"
    late_s: float = 0.0
    seed: int | None = None
    voices: dict[str, Voice] = field(default_factory=dict)
    heard: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.voices = {k: Voice(k, v, torch.zeros(1)) for v, k in JUDGED_VOICES.items()}

    def clone(self, samples: np.ndarray, name: str = "cloned") -> Voice:
        return Voice(name, name, torch.zeros(1))

    def open_dialogue(self) -> list[np.ndarray | None]:
        return []

    def add_turn(self, dialogue: list, who: int, text: str, samples: np.ndarray | None) -> None:
        dialogue.append(samples)
        self.heard.append((who, text, samples))

    def speak(self, dialogue: list, text: str, voice: Voice, options: Any = None) -> Squawk:
        manner = "neutral"
        if self.ear == "level" and dialogue and dialogue[-1] is not None:
            manner = "excited" if np.square(dialogue[-1]).mean() > 0.004 else "sad"
        elif self.ear == "level":
            manner = ("excited", "sad")[hash((options, text)) % 2]
        seed = self.seed
        if seed is None:
            seed = getattr(options, "seed", options) or 0  # tests pass the reply's number
        samples, phones = speak(voice.description, text, manner, seed)
        told = [(w, a + self.late_s, b + self.late_s) for w, a, b in word_times(phones, text)]
        return Squawk(samples, told)

    def reconstruct(self, samples: np.ndarray) -> np.ndarray:
        return samples.copy()
