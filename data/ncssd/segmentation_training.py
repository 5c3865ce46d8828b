"""Trains the segmentation network on recordings simulated from a corpus in NCSSD layout.

The simulation covers turn taking, room, background, codec and level. Recordings are replaced every
round (`training`).
"""

import functools
import itertools
import math
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data.audio import SAMPLE_RATE, read_audio, resample
from data.audio.features import FRAME_S
from data.audio.preparation import HighPass
from data.ncssd.network_files import save_network
from data.ncssd.powerset import CLASSES, NUM_TRACKS, OVERLAPS, PERMUTATIONS
from data.ncssd.segmentation import (
    WINDOW,
    Segmentation,
    SegmentationConfig,
    frames_of,
    load_segmentation,
)
from data.ncssd.training import Checkpoint, descend, steps_with_examples
from data.ncssd.training_plan import TrainingPlan
from data.ncssd.truth.clips import Clip, read_corpora
from data.ncssd.truth.conditions import record
from data.ncssd.truth.sound import FILES, write_media
from data.ncssd.truth.timeline import Habits, Timeline, make_pair, make_timeline, person

_LINE_S = 150.0
_CONDITIONS = {"clean": 0.25, "noise": 0.2, "music": 0.2, "room": 0.2, "telephone": 0.15}
_SNR_DB = (3.0, 30.0)
_CODED = 0.2  # fraction of recordings passed through a codec
_CODECS = ("mp3", "ogg", "mp4")
_RUMBLING = 0.2  # fraction of recordings with rumble, as the decode stage corrects it
_RUMBLE_HZ, _RUMBLE = (20.0, 50.0), (0.02, 0.3)
_CLOSE = 8  # close pairs are drawn from this many nearest voices in pitch
# overlaps are rare in conversation and hardest to detect, so training has more of them
_HABITS = Habits(gap_mean_s=0.1, backchannel_share=0.7)
_OVERLAP_WEIGHT = 2.0


def tracks_of(line: Timeline, num_frames: int, frame_s: float = FRAME_S) -> np.ndarray:
    """Activity of the voices, ordered by name, per frame: bool `[voices, T]`."""
    voices: dict[str, np.ndarray] = {}
    for placed in line.placed:
        track = voices.setdefault(placed.clip.voice, np.zeros(num_frames, bool))
        for start, end in placed.clip.relative(fine=True):
            track[round((placed.at + start) / frame_s) : round((placed.at + end) / frame_s)] = True
    return np.stack([voices[name] for name in sorted(voices)])


def classes_of(tracks: np.ndarray) -> np.ndarray | None:
    """Tracks `[voices, T]` of one window to classes `[T]`; None if it has too many voices."""
    heard = tracks[tracks.any(axis=1)]
    if heard.shape[0] > NUM_TRACKS or (heard.sum(axis=0) > 2).any():
        return None
    heard = np.pad(heard, ((0, NUM_TRACKS - heard.shape[0]), (0, 0)))
    return (heard.T[:, None] == CLASSES[None]).all(axis=2).argmax(axis=1)


def make_examples(
    clips: dict[str, list[Clip]], plan: TrainingPlan, config: SegmentationConfig, turn: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The examples of round `turn`: frames `[N, 500, num_inputs]`, float16, and classes `[N, 500]`,
    uint8."""
    inputs, targets = [], []
    made = 0.0
    for index in itertools.count(turn * 100_000):
        line, samples = _recording(clips, plan.seed, index)
        frames = frames_of(samples, config)
        tracks = tracks_of(line, frames.shape[0])
        for first in range(0, frames.shape[0] - WINDOW, WINDOW):
            classes = classes_of(tracks[:, first : first + WINDOW])
            if classes is not None:
                inputs.append(frames[first : first + WINDOW].astype(np.float16))
                targets.append(classes.astype(np.uint8))
        made += line.duration / 60
        if made >= plan.minutes_of_sound:
            return np.stack(inputs), np.stack(targets)
    raise AssertionError("itertools.count ends never")


def _recording(clips: dict[str, list[Clip]], seed: int, index: int) -> tuple[Timeline, np.ndarray]:
    """A simulated recording: timeline and samples `[T]` at 16 kHz, of several people or of two with
    similar pitch."""
    draw = random.Random(f"train-{seed}-{index}")
    rng = np.random.default_rng([seed, 7, index])
    if index % 2:
        line = make_timeline(clips, _LINE_S, draw, _HABITS)
    else:
        line = make_pair(close_pair(clips, draw), _LINE_S, draw, _HABITS)
    condition = str(rng.choice(list(_CONDITIONS), p=list(_CONDITIONS.values())))
    samples = record(line, condition, rng.uniform(*_SNR_DB), rng)
    if rng.random() < _RUMBLING:
        samples = _corrected_rumble(samples, rng)
    if rng.random() < _CODED:
        samples = _coded(samples, str(rng.choice(_CODECS)), rng)
    band = int(rng.choice([8_000, 12_000, 16_000, SAMPLE_RATE]))
    samples = resample(resample(samples, SAMPLE_RATE, band), band, 16_000)
    return line, samples * np.float32(10 ** (rng.uniform(-20.0, 0.0) / 20))


def close_pair(clips: dict[str, list[Clip]], rng: random.Random) -> list[list[Clip]]:
    """The clips of two people with voices of similar pitch."""
    pitch = {voice: float(np.median([c.f0_hz for c in own])) for voice, own in clips.items()}
    talkative = [voice for voice, own in clips.items() if len(own) >= 4] or list(clips)
    first = rng.choice(talkative)
    others = [voice for voice in talkative if person(voice) != person(first)]
    others.sort(key=lambda voice: abs(math.log((pitch[voice] + 1) / (pitch[first] + 1))))
    return [clips[first], clips[rng.choice((others or talkative)[:_CLOSE])]]


def _corrected_rumble(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Samples `[T]` at 24 kHz with an offset and a hum, after the filter of the decode stage."""
    turns = rng.uniform(*_RUMBLE_HZ) * np.arange(samples.shape[0]) / SAMPLE_RATE
    size, offset = rng.uniform(*_RUMBLE), rng.uniform(-0.3, 0.3)
    rumble = size * np.sin(2 * np.pi * turns) + offset
    return HighPass(SAMPLE_RATE).push((samples + rumble).astype(np.float32))


def _coded(samples: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Samples `[T]` at 24 kHz after a lossy codec."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"sound.{kind}"
        write_media(path, samples, int(rng.choice(FILES[kind][2])))
        heard = read_audio(path)
    return np.pad(heard, (0, max(0, samples.shape[0] - heard.shape[0])))[: samples.shape[0]]


def loss_of(logits: Tensor, classes: Tensor) -> Tensor:
    """Cross entropy with overlaps weighted, under each example's best permutation of voices.

    Args:
        logits: [B, T, 7].
        classes: [B, T].
    """
    numbered = torch.from_numpy(PERMUTATIONS)[:, classes]  # [6, B, T]
    log_probabilities = torch.log_softmax(logits, dim=-1).expand(len(PERMUTATIONS), -1, -1, -1)
    losses = -log_probabilities.gather(-1, numbered[..., None])[..., 0]
    overlap = torch.from_numpy(OVERLAPS)[classes]
    weight = 1.0 + (_OVERLAP_WEIGHT - 1.0) * overlap
    return (losses * weight).mean(dim=-1).min(dim=0).values.mean()


def train(
    corpora: list[Path], plan: TrainingPlan, weights: Path, begin: Path | None = None
) -> list[float]:
    """Trains and saves the network; returns the mean loss of every 50 steps.

    Args:
        corpora: folders in NCSSD layout.
        plan: duration of training and amount of data.
        weights: output file, replaced at the end. A checkpoint per round is kept beside it, from
            which the same call resumes.
        begin: initial weights; None for a random initialisation.

    Raises:
        InputError: a corpus cannot be used, or the checkpoint has other settings.
    """
    torch.manual_seed(plan.seed)
    torch.set_num_threads(1)
    config = SegmentationConfig()
    model = Segmentation(config) if begin is None else load_segmentation(begin).train()
    checkpoint = Checkpoint(weights, plan, corpora, begin)
    history = descend(
        model,
        lambda first: _batches(corpora, plan, model.config, first),
        lambda batch: loss_of(model(batch[0]), batch[1]),
        plan,
        checkpoint,
    )
    save_network(model, model.config, weights)
    checkpoint.remove()
    return history


def _batches(
    corpora: list[Path], plan: TrainingPlan, config: SegmentationConfig, first: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Frames `[B, 500, num_inputs]` and classes `[B, 500]` of all steps from `first` on."""
    clips = read_corpora(corpora, plan.limit)
    make = functools.partial(make_examples, clips, plan, config)
    for (inputs, targets), rng in steps_with_examples(plan, first, 3, make):
        pick = rng.integers(0, inputs.shape[0], plan.batch)
        frames = torch.from_numpy(inputs[pick].astype(np.float32))
        # levels vary more between recordings than within one
        level = torch.from_numpy(rng.normal(0, 0.15, (plan.batch, 1, 1)).astype(np.float32))
        frames[..., : 2 * config.num_mels] += level
        yield frames, torch.from_numpy(targets[pick].astype(np.int64))
