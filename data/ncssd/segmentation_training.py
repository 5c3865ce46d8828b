"""Trains the segmentation network on recordings made from a corpus in NCSSD layout.

Everything is made here: who speaks when, the background, the codec's band and the level. No
recording is heard for long: after each round others are made.
"""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data.audio import SAMPLE_RATE, resample
from data.ncssd.features import FRAME_S
from data.ncssd.powerset import CLASSES, NUM_TRACKS, OVERLAPS, PERMUTATIONS
from data.ncssd.segmentation import (
    WINDOW,
    Segmentation,
    SegmentationConfig,
    frames_of,
    load_segmentation,
    save_segmentation,
)
from data.ncssd.truth.clips import Clip, read_clips
from data.ncssd.truth.sound import add_background, mix
from data.ncssd.truth.timeline import Habits, Timeline, make_timeline

_LINE_S = 150.0
# two voices at once are rare where people talk, and the hardest to hear: more of them to learn from
_HABITS = Habits(gap_mean_s=0.1, backchannel_share=0.7)
_OVERLAP_WEIGHT = 2.0


@dataclass(frozen=True)
class TrainingPlan:
    """How long to train, on how much."""

    minutes_of_sound: float = 400.0  # of a round
    steps: int = 8000
    rounds: int = 10
    batch: int = 16
    lr: float = 2e-3
    seed: int = 0
    limit: int = 2000  # dialogues of the corpus


def tracks_of(line: Timeline, num_frames: int) -> np.ndarray:
    """Per frame which voice speaks, by order of their names: [voices, T]."""
    voices: dict[str, np.ndarray] = {}
    for placed in line.placed:
        track = voices.setdefault(placed.clip.voice, np.zeros(num_frames, bool))
        for start, end in placed.clip.relative(fine=True):
            track[round((placed.at + start) / FRAME_S) : round((placed.at + end) / FRAME_S)] = True
    return np.stack([voices[name] for name in sorted(voices)])


def classes_of(tracks: np.ndarray) -> np.ndarray | None:
    """Tracks [voices, T] of one window to classes [T]; None with more voices than it may hold."""
    heard = tracks[tracks.any(axis=1)]
    if heard.shape[0] > NUM_TRACKS or (heard.sum(axis=0) > 2).any():
        return None
    heard = np.pad(heard, ((0, NUM_TRACKS - heard.shape[0]), (0, 0)))
    return (heard.T[:, None] == CLASSES[None]).all(axis=2).argmax(axis=1)


def make_examples(
    clips: dict[str, list[Clip]], plan: TrainingPlan, config: SegmentationConfig, turn: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The examples of a round: frames [N, 500, num_inputs], in half precision, and classes."""
    inputs, targets = [], []
    made = 0.0
    for index in itertools.count(turn * 100_000):
        line = make_timeline(clips, _LINE_S, random.Random(f"train-{plan.seed}-{index}"), _HABITS)
        rng = np.random.default_rng([plan.seed, 7, index])
        kind = ["clean", "noise", "music"][int(rng.choice(3, p=[0.4, 0.35, 0.25]))]
        samples = add_background(*mix(line, rng), kind, rng.uniform(3.0, 30.0), rng)
        band = int(rng.choice([8_000, 12_000, 16_000, SAMPLE_RATE]))
        samples = resample(resample(samples, SAMPLE_RATE, band), band, 16_000)
        samples *= 10 ** (rng.uniform(-20.0, 0.0) / 20)
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


def loss_of(logits: Tensor, classes: Tensor) -> Tensor:
    """Cross entropy, overlap weighted, under each example's best numbering of its voices.

    Args:
        logits: [B, T, 7].
        classes: [B, T].
    """
    numbered = torch.from_numpy(PERMUTATIONS)[:, classes]  # [6, B, T]
    chances = torch.log_softmax(logits, dim=-1).expand(len(PERMUTATIONS), -1, -1, -1)
    losses = -chances.gather(-1, numbered[..., None])[..., 0]
    overlap = torch.from_numpy(OVERLAPS)[classes]
    weight = 1.0 + (_OVERLAP_WEIGHT - 1.0) * overlap
    return (losses * weight).mean(dim=-1).min(dim=0).values.mean()


def train(
    corpus: Path, plan: TrainingPlan, weights: Path, begin: Path | None = None
) -> list[float]:
    """Trains, saves at the end, and returns the loss of every 50 steps.

    Args:
        corpus: in NCSSD layout.
        plan: how long, on how much.
        weights: where they are saved; what lies there stays until training is over.
        begin: weights to begin with; None begins at random.

    Raises:
        InputError: a corpus that cannot be used.
    """
    torch.manual_seed(plan.seed)
    torch.set_num_threads(1)
    config = SegmentationConfig()
    model = Segmentation(config) if begin is None else load_segmentation(begin).train()
    optimizer = torch.optim.AdamW(model.parameters(), plan.lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.lr, plan.steps, pct_start=0.1)
    history, running = [], 0.0
    for step, (frames, classes) in enumerate(_batches(corpus, plan, model.config), 1):
        loss = loss_of(model(frames), classes)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        running += float(loss.detach())
        if step % 50 == 0:
            history.append(running / 50)
            running = 0.0
            print(f"step {step}: loss {history[-1]:.4f}", flush=True)
    save_segmentation(model, weights)
    return history


def _batches(
    corpus: Path, plan: TrainingPlan, config: SegmentationConfig
) -> Iterator[tuple[Tensor, Tensor]]:
    """Frames [B, 500, num_inputs] and classes [B, 500], `plan.steps` times."""
    clips = read_clips(corpus, plan.limit)
    rng = np.random.default_rng(plan.seed)
    each = -(-plan.steps // plan.rounds)
    for step in range(plan.steps):
        if step % each == 0:
            inputs, targets = make_examples(clips, plan, config, step // each)
        pick = rng.integers(0, inputs.shape[0], plan.batch)
        frames = torch.from_numpy(inputs[pick].astype(np.float32))
        # levels differ between recordings more than between the examples of one
        level = torch.from_numpy(rng.normal(0, 0.15, (plan.batch, 1, 1)).astype(np.float32))
        frames[..., : 2 * config.num_mels] += level
        yield frames, torch.from_numpy(targets[pick].astype(np.int64))
