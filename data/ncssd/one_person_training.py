"""Fits the model of `one_person` to recordings with ground truth."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from data.audio import read_audio
from data.audio.activity import speech_in
from data.audio.features import FRAME_S, RATE
from data.errors import InputError
from data.files import atomic_write
from data.ncssd.config import SpeakersConfig
from data.ncssd.one_person import TwoPeopleModel, evidence, split_in_two
from data.ncssd.speakers import scene_stretches
from data.ncssd.stretches import Stretch

_EXCERPTS = 24  # excerpts per recording; the first is the whole recording
_EXCERPT_S = (20.0, 140.0)
_THINNED = 0.6  # fraction of two-speaker excerpts in which one speaker is thinned out
_MIN_PURITY = 0.8  # groups with a smaller fraction of one person are skipped
_LONG_S = 1.0

Example = tuple[np.ndarray, bool]


def fit_and_save(truths: list[Path], out: Path, seed: int) -> tuple[int, int]:
    """Fits on all recordings of the folders; returns the numbers of pairs of one person and of two.

    Raises:
        InputError: there are no recordings, or only one kind of pair.
    """
    paths = sorted(path for folder in truths for path in folder.glob("*.truth.json"))
    if not paths:
        raise InputError(f"{truths[0]} has no *.truth.json; make them with: launch.py build truth")
    rng = random.Random(seed)
    examples = [example for path in paths for example in _examples(path, rng)]
    two = sum(label for _, label in examples)
    if not 0 < two < len(examples):
        raise InputError(
            "recordings of one person and of two people are needed; add the missing kind"
        )
    atomic_write(out, fit(examples).to_json())
    return len(examples) - two, two


def fit(examples: list[Example]) -> TwoPeopleModel:
    """Ridge-penalised logistic regression with balanced class weights."""
    from scipy.optimize import minimize

    points = np.stack([point for point, _ in examples])
    sign = np.array([1.0 if two else -1.0 for _, two in examples])
    weight = np.where(sign > 0, 0.5 / (sign > 0).sum(), 0.5 / (sign < 0).sum()) * len(examples)

    def loss(theta: np.ndarray) -> float:
        margins = sign * (points @ theta[:-1] + theta[-1])
        return float(weight @ np.logaddexp(0.0, -margins) + 0.5 * theta[:-1] @ theta[:-1])

    found = minimize(loss, np.zeros(points.shape[1] + 1), method="BFGS").x
    *weights, bias = (round(float(value), 4) for value in found)
    return TwoPeopleModel(tuple(weights), bias)


def _examples(path: Path, rng: random.Random) -> list[Example]:
    """Pairs of groups from a recording and its excerpts, as clustering meets them."""
    truth = json.loads(path.read_text(encoding="utf-8"))
    samples = read_audio(path.parent / truth["file"], RATE)
    stretches, _, _ = scene_stretches(samples, speech_in(samples), SpeakersConfig())
    long = [s for s in stretches if s.seconds >= _LONG_S]
    speech = {id(s): _speech(s, truth["segments"]) for s in long}
    out: list[Example] = []
    for number in range(_EXCERPTS):
        some = _excerpt(long, speech, rng) if number else long
        if len(some) > 2:
            _collect(some, speech, rng, out)
    return out


def _excerpt(
    stretches: list[Stretch], speech: dict[int, Counter], rng: random.Random
) -> list[Stretch]:
    """The stretches of a random part of the recording, usually with one of two speakers thinned
    out."""
    length = rng.uniform(*_EXCERPT_S) / FRAME_S
    first = rng.uniform(0.0, max(1.0, max(s.last for s in stretches) - length))
    some = [s for s in stretches if s.first >= first and s.last <= first + length]
    voice_of = {id(s): _main(speech[id(s)])[0] for s in some}
    voices = sorted(set(voice_of.values()))
    if len(voices) == 2 and rng.random() < _THINNED:
        thinned, kept = rng.choice(voices), rng.uniform(0.1, 0.6)
        some = [s for s in some if voice_of[id(s)] != thinned or rng.random() < kept]
    return some


def _collect(
    stretches: list[Stretch], speech: dict[int, Counter], rng: random.Random, out: list[Example]
) -> None:
    """Adds the splits that clustering would consider, with their labels, to `out`."""
    groups = split_in_two(stretches, SpeakersConfig().min_cluster_s)
    if groups is None:
        return
    found = [_main(sum((speech[id(s)] for s in group), Counter())) for group in groups]
    two = found[0][0] != found[1][0]
    if not two or min(share for _, share in found) >= _MIN_PURITY:
        out.append((evidence(*groups), two))
    if two or rng.random() < 0.3:
        for group in groups:
            _collect(group, speech, rng, out)


def _speech(stretch: Stretch, segments: list) -> Counter:
    """Seconds of each true voice in a stretch."""
    found: Any = Counter()  # of seconds, as floats
    for a, b in stretch.spans:
        for start, end, voice in segments:
            common = min(end, b * FRAME_S) - max(start, a * FRAME_S)
            if common > 0:
                found[voice] += common
    return found


def _main(speech: Counter) -> tuple[str, float]:
    """The voice with the most speech, and its fraction."""
    if not speech:
        return "", 0.0
    voice, seconds = speech.most_common(1)[0]
    return voice, seconds / sum(speech.values())
