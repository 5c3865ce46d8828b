"""Scenes: conversations of one kind of pair, and monologues, each in one condition."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.audio import SAMPLE_RATE, resample
from data.audio.features import FRAME_S, RATE
from data.audio.voice_embedding import embed_windows, unit
from data.errors import InputError
from data.ncssd.truth.clips import Clip
from data.ncssd.truth.timeline import Timeline, make_monologue, make_pair, person

_MEN_HZ, _WOMEN_HZ = (
    150.0,
    165.0,
)  # median F0 below the first is a man's, above the second a woman's
_SIMILAR = 5  # similar partners are drawn from this many nearest people of the same sex
_EMBEDDED_CLIPS = 6


@dataclass(frozen=True)
class Scene:
    """The kind of one recording.

    Attributes:
        pair: "mixed", "same-sex", "similar" or "monologue".
        condition: "clean", "room", "telephone", "noise", "music" or "channels" (stereo with one
            speaker per channel and cross-talk).
        snr_db: level of the background.
        minutes: approximate length.
    """

    pair: str
    condition: str
    snr_db: float
    minutes: float

    @property
    def facts(self) -> dict[str, Any]:
        """The entries in the truth's JSON."""
        return {"pair": self.pair, "condition": self.condition, "snr_db": self.snr_db}


_CONDITIONS = (
    ("room", 15.0),
    ("telephone", 30.0),
    ("noise", 15.0),
    ("music", 10.0),
    ("channels", 50.0),
)


def natural_scenes(minutes: float) -> Iterator[Scene]:
    """An endless cycle: of ten scenes, four are clean conversations, five have another condition,
    one is a monologue. Kinds of pairs cycle with another period than conditions."""
    pairs = ("mixed", "same-sex", "similar")
    clean = hard = 0
    while True:
        for place in range(10):
            if place == 9:
                yield Scene("monologue", "clean", 50.0, minutes)
            elif place % 2 == 0 and place < 8:
                yield Scene(pairs[clean % 3], "clean", 50.0, minutes)
                clean += 1
            else:
                condition, snr_db = _CONDITIONS[hard % len(_CONDITIONS)]
                yield Scene(pairs[hard % 3], condition, snr_db, minutes)
                hard += 1


def monologues(minutes: float) -> Iterator[Scene]:
    """An endless cycle of monologues of `minutes` / 3 to `minutes`, in every mono condition."""
    conditions = (("clean", 50.0), *_CONDITIONS[:-1])
    index = 0
    while True:
        condition, snr_db = conditions[index % len(conditions)]
        yield Scene("monologue", condition, snr_db, minutes * (1 + index % 3) / 3)
        index += 1


class VoicePool:
    """Chooses voices of a corpus by sex and similarity.

    Args:
        clips: the clips by voice, enough of each to talk for minutes.
    """

    def __init__(self, clips: dict[str, list[Clip]]) -> None:
        self.clips = clips
        self._f0 = {voice: float(np.median([c.f0_hz for c in own])) for voice, own in clips.items()}
        self._voices = list(clips)
        centres = np.stack([_centre(clips[voice]) for voice in self._voices])
        self._likeness = centres @ centres.T

    def timeline(self, scene: Scene, rng: random.Random) -> Timeline:
        """The timeline of a scene."""
        seconds = scene.minutes * 60
        if scene.pair == "monologue":
            return make_monologue(self.clips[rng.choice(self._voices)], seconds, rng)
        first, second = self._pair(scene.pair, rng)
        return make_pair([self.clips[first], self.clips[second]], seconds, rng)

    def _pair(self, kind: str, rng: random.Random) -> tuple[str, str]:
        """Two people; the first is never a voice whose F0 is between the sexes'."""
        for first in rng.sample(self._voices, len(self._voices)):
            sex = self._sex(first)
            others = [v for v in self._voices if person(v) != person(first) and self._sex(v)]
            others = [v for v in others if (self._sex(v) == sex) == (kind != "mixed")]
            if kind == "similar":
                row = self._likeness[self._voices.index(first)]
                others.sort(key=lambda v: -row[self._voices.index(v)])
                others = others[:_SIMILAR]
            if sex and others:
                return first, rng.choice(others)
        raise InputError(
            f"no voices for a {kind} pair: the corpus needs turns with f0_hz, two voices of one "
            "sex and one of the other"
        )

    def _sex(self, voice: str) -> str:
        hz = self._f0[voice]
        return "m" if 0 < hz < _MEN_HZ else "f" if hz > _WOMEN_HZ else ""


def _centre(clips: list[Clip]) -> np.ndarray:
    """The mean resemblyzer embedding of a voice, `[256]`."""
    parts = []
    for clip in clips[:_EMBEDDED_CLIPS]:
        samples = resample(clip.load(), SAMPLE_RATE, RATE)
        spans = [[(0, max(1, round(samples.shape[0] / RATE / FRAME_S)))]]
        parts.append(embed_windows(samples, spans)[0][1].mean(axis=0))
    return unit(np.mean(parts, axis=0))
