"""Trains the separation network on overlaps simulated from corpora in NCSSD layout.

Two people overlap more than in real conversation, half of the pairs with similar pitch; in rooms,
over the telephone, with music and noise.
"""

import functools
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data.audio import SAMPLE_RATE, resample
from data.ncssd.network_files import save_network
from data.ncssd.segmentation_training import close_pair, tracks_of
from data.ncssd.separator import (
    HEARD,
    HOP_S,
    Separator,
    SeparatorConfig,
    frames_of,
    load_separator,
    power_of,
    transform,
    unit_of,
)
from data.ncssd.stretches import runs_of
from data.ncssd.training import Checkpoint, descend, steps_with_examples
from data.ncssd.training_plan import TrainingPlan
from data.ncssd.truth.clips import Clip, read_corpora
from data.ncssd.truth.conditions import record_voices
from data.ncssd.truth.timeline import Habits, make_pair, person

RATE = 16_000
_HOP = round(HOP_S * RATE)
WINDOW = 160  # frames of an example: 2.56 s
_ALONE = 128  # frames of single speech per voice, 2 s
_LEAST_OVERLAP = 12  # least overlapped frames of an example
_LEAST_ALONE = 15  # least frames of a stretch of single speech
_LINE_S = 100.0
_CONDITIONS = {"clean": 0.4, "noise": 0.15, "music": 0.1, "room": 0.2, "telephone": 0.15}
_SNR_DB = (8.0, 40.0)
_HABITS = Habits(gap_mean_s=-1.0, min_gap_s=-2.5, overlap_share=0.5, backchannel_share=0.6)
_SIZES = (0.85, 1.2)  # speed factors of recordings, to vary the voices
_BLUR = 6.0  # standard deviation in frames of simulated diarisation boundaries
_UNKNOWN = 0.1  # fraction of examples in which both are given as always active
_REMIXED = 0.8  # fraction of examples whose second voice is replaced
_TRIES = 8
_GAIN_DB = 3.0  # by which levels are varied
_REST = 0.3  # weight of the loss over all frames
_LEAST_SDR = 1e-3  # floor of the error, -30 dB


@dataclass
class Examples:
    """Windows around overlaps of two voices, in half precision.

    Attributes:
        sources: both voices and the background, `[N, 3, WINDOW * hop]`.
        alone: single speech of both voices from elsewhere, `[N, 2, _ALONE * hop]`.
        activity: speaker activity, `[N, WINDOW, 2]`.
        people: who the voices are, `[N, 2]`.
        conditions: how they were recorded, `[N]`.
    """

    sources: np.ndarray
    alone: np.ndarray
    activity: np.ndarray
    people: np.ndarray
    conditions: np.ndarray


def make_examples(clips: dict[str, list[Clip]], plan: TrainingPlan, turn: int = 0) -> Examples:
    """The examples of round `turn`."""
    made: list[tuple[np.ndarray, ...]] = []
    seconds = 0.0
    for index in itertools.count(turn * 100_000):
        if seconds >= plan.minutes_of_sound * 60:
            break
        made += _windows(clips, plan.seed, index)
        seconds += _LINE_S
    return Examples(*(np.stack(parts) for parts in zip(*made, strict=True)))


def _windows(
    clips: dict[str, list[Clip]], seed: int, index: int
) -> Iterator[tuple[np.ndarray, ...]]:
    """The examples of one recording, in the order of the fields of `Examples`."""
    draw = random.Random(f"separate-{seed}-{index}")
    rng = np.random.default_rng([seed, 17, index])
    pair = close_pair(clips, draw) if index % 2 else _any_pair(clips, draw)
    line = make_pair(pair, _LINE_S, draw, _HABITS)
    condition = str(rng.choice(list(_CONDITIONS), p=list(_CONDITIONS.values())))
    samples, voices = record_voices(line, condition, rng.uniform(*_SNR_DB), rng)
    factor = rng.uniform(*_SIZES)
    rate = round(factor * SAMPLE_RATE)
    own = [resample(voices[name], rate, RATE) for name in sorted(voices)]
    samples = resample(samples, rate, RATE)
    if len(own) < 2:
        return
    num = samples.shape[0] // _HOP
    tracks = tracks_of(line, num, HOP_S * factor)
    people = np.array([person(name) for name in sorted(voices)])
    first_alone = _alone(samples, tracks[0] & ~tracks[1], rng)
    second_alone = _alone(samples, tracks[1] & ~tracks[0], rng)
    if first_alone is None or second_alone is None:
        return
    alone = np.stack([first_alone, second_alone]).astype(np.float16)
    parts = np.stack([*own, samples - own[0] - own[1]]).astype(np.float16)
    for first, last in runs_of(tracks[0] & tracks[1]):
        middle = int(rng.integers(first, last)) if last - first > WINDOW else (first + last) // 2
        begin = middle - WINDOW // 2 + int(rng.integers(-WINDOW // 4, WINDOW // 4))
        both = tracks[:, max(0, begin) : begin + WINDOW]
        if begin >= 0 and begin + WINDOW < num and both.all(axis=0).sum() >= _LEAST_OVERLAP:
            window = parts[:, begin * _HOP : (begin + WINDOW) * _HOP]
            yield window, alone, both.T, people, np.array(condition)


def _any_pair(clips: dict[str, list[Clip]], rng: random.Random) -> list[list[Clip]]:
    """The clips of two people."""
    talkative = [voice for voice, own in clips.items() if len(own) >= 4] or list(clips)
    first = rng.choice(talkative)
    others = [voice for voice in talkative if person(voice) != person(first)] or talkative
    return [clips[first], clips[rng.choice(others)]]


def _alone(samples: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """Two seconds of single speech, `[_ALONE * hop]`, from stretches in random order."""
    runs = [(a, b) for a, b in runs_of(mask) if b - a >= _LEAST_ALONE]
    if not runs:
        return None
    chosen = [runs[i] for i in rng.permutation(len(runs))]
    sound = np.concatenate([samples[a * _HOP : b * _HOP] for a, b in chosen])
    return np.resize(sound, _ALONE * _HOP)


def loss_of(masks: Tensor, mixture: Tensor, sources: Tensor, both: Tensor) -> Tensor:
    """Error relative to the signal in dB: of each voice in overlaps, plus `_REST` times that of
    all frames.

    Args:
        masks: `[B, T, 2, UNITS]`.
        mixture: spectrogram `[B, T, bins]`.
        sources: spectrograms `[B, T, 2, bins]`.
        both: whether both speak, `[B, T]`.
    """
    drawn = masks[..., unit_of(mixture.shape[-1])] * mixture[:, :, None]
    error = power_of(drawn - sources).sum(dim=-1)
    own = power_of(sources).sum(dim=-1)
    total = power_of(mixture).sum(dim=-1)
    where = both.float()[..., None]
    signal = (own * where).sum(dim=1) + 0.01 * (total[..., None] * where).sum(dim=1)
    apart = 10 * torch.log10((error * where).sum(dim=1) / signal + _LEAST_SDR)
    rest = 10 * torch.log10(error.sum(dim=(1, 2)) / total.sum(dim=1) + _LEAST_SDR)
    return apart.mean() + _REST * rest.mean()


def train(
    corpora: list[Path], plan: TrainingPlan, weights: Path, begin: Path | None = None
) -> list[float]:
    """Trains and saves the network; returns the mean loss of every 50 steps (`training.descend`).

    Raises:
        InputError: a corpus cannot be used, or the checkpoint has other settings.
    """
    torch.manual_seed(plan.seed)
    torch.set_num_threads(1)
    model = Separator(SeparatorConfig()) if begin is None else load_separator(begin).train()
    checkpoint = Checkpoint(weights, plan, corpora, begin)
    history = descend(
        model,
        lambda first: _batches(corpora, plan, first),
        lambda batch: batch_loss(model, *batch),
        plan,
        checkpoint,
    )
    save_network(model, model.config, weights)
    checkpoint.remove()
    return history


def batch_loss(
    model: Separator, sources: Tensor, alone: Tensor, heard: Tensor, both: Tensor
) -> Tensor:
    """The loss of one batch.

    Args:
        model: the network.
        sources: samples of both voices and the background, `[B, 3, T]`.
        alone: single speech of both voices, `[B, 2, T]`.
        heard: speaker activity as diarisation gives it, `[B, WINDOW, 2]`.
        both: whether both speak, `[B, WINDOW]`.
    """
    mixture = sources.sum(dim=1)
    level = torch.cat([mixture, alone.flatten(1)], dim=1).square().mean(dim=1).sqrt() + 1e-5
    sources, alone = sources / level[:, None, None], alone / level[:, None, None]
    spectra = transform(sources, RATE)[:, :, :WINDOW, :HEARD]
    total = spectra.sum(dim=1)
    profiles = model.profile(frames_of(transform(alone, RATE)).flatten(0, 1)).unflatten(0, (-1, 2))
    masks = model(frames_of(total), heard, profiles)
    return loss_of(masks, total, spectra[:, :2].transpose(1, 2), both)


def _batches(
    corpora: list[Path], plan: TrainingPlan, first: int
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """The batches of all steps from `first` on, as arguments of `batch_loss`."""
    clips = read_corpora(corpora, plan.limit)
    make = functools.partial(make_examples, clips, plan)
    for examples, rng in steps_with_examples(plan, first, 5, make):
        pick = rng.integers(0, examples.sources.shape[0], plan.batch)
        sources, alone, activity = _mixed(examples, pick, rng)
        swap = rng.random(plan.batch) < 0.5
        sources[swap, :2] = sources[swap, 1::-1]
        alone[swap] = alone[swap, ::-1]
        activity = np.where(swap[:, None, None], activity[..., ::-1], activity)
        heard = np.stack([blurred(one, rng) for one in activity])
        yield (
            torch.from_numpy(sources),
            torch.from_numpy(alone),
            torch.from_numpy(heard),
            torch.from_numpy(activity.all(axis=-1)),
        )


def _mixed(
    examples: Examples, pick: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sources, single speech and activity of the examples at `pick`, the second voice of most
    replaced by that of another example in the same condition, and the voices' levels varied: many
    more overlaps than were simulated."""
    sources = examples.sources[pick].astype(np.float32)
    alone = examples.alone[pick].astype(np.float32)
    activity = examples.activity[pick].copy()
    for place, first in enumerate(pick):
        other = _partner(examples, first, rng) if rng.random() < _REMIXED else None
        if other is not None:
            sources[place, 1] = examples.sources[other, 1]
            alone[place, 1] = examples.alone[other, 1]
            activity[place, :, 1] = examples.activity[other, :, 1]
    gains = (10 ** (rng.uniform(-_GAIN_DB, _GAIN_DB, (len(pick), 2, 1)) / 20)).astype(np.float32)
    sources[:, :2] *= gains
    alone *= gains
    return sources, alone, activity


def _partner(examples: Examples, first: int, rng: np.random.Generator) -> int | None:
    """An example whose second voice overlaps the first voice of another and is another person's;
    None if none is found."""
    alike = np.flatnonzero(examples.conditions == examples.conditions[first])
    for other in rng.choice(alike, _TRIES):
        common = examples.activity[first, :, 0] & examples.activity[other, :, 1]
        stranger = examples.people[other, 1] != examples.people[first, 0]
        if stranger and common.sum() >= _LEAST_OVERLAP:
            return int(other)
    return None


def blurred(activity: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Speaker activity `[T, 2]` with boundaries shifted at random, as diarisation might give it."""
    if rng.random() < _UNKNOWN:
        return np.ones(activity.shape, np.float32)
    out = np.zeros(activity.shape, np.float32)
    for speaker in (0, 1):
        for first, last in runs_of(activity[:, speaker]):
            a, b = np.rint(rng.normal((first, last), _BLUR)).astype(int)
            # activity at the window's edge continues beyond it
            a, b = 0 if first == 0 else a, b if last < activity.shape[0] else last
            out[max(0, a) : max(0, b), speaker] = 1.0
    return out
