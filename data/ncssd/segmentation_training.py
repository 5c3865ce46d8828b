"""Trains the segmentation network on recordings made from a corpus in NCSSD layout.

Everything is made here: who speaks when, the background, the codec's band and the level.
"""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from data.audio import SAMPLE_RATE, resample
from data.ncssd.features import FRAME_S
from data.ncssd.segmentation import (
    WEIGHTS,
    Segmentation,
    SegmentationConfig,
    frames_of,
    load_segmentation,
    save_segmentation,
)
from data.ncssd.truth.clips import Clip, read_clips
from data.ncssd.truth.sound import add_background, mix
from data.ncssd.truth.timeline import Habits, Timeline, make_timeline

NETWORK = SegmentationConfig(num_bins=128, stride=2)
_LENGTH = 400  # frames of an example: 8 s
_CHANGE_FRAMES = 3  # a change is marked this far to each side
# two voices at once are rare where people talk, and the hardest to hear: more of them to learn from
_HABITS = Habits(gap_mean_s=0.1, backchannel_share=0.7)


@dataclass(frozen=True)
class TrainingPlan:
    """How long to train, on how much."""

    minutes_of_sound: float = 90.0
    steps: int = 1500
    batch: int = 24
    lr: float = 2e-3
    seed: int = 0
    limit: int = 1500  # dialogues of the corpus


def labels(line: Timeline, num_frames: int) -> np.ndarray:
    """Per frame the number of voices (0, 1, 2) and whether a change is near: [T, 2]."""
    voices: dict[str, np.ndarray] = {}
    for placed in line.placed:
        track = voices.setdefault(placed.clip.voice, np.zeros(num_frames, bool))
        for start, end in placed.clip.relative(fine=True):
            track[round((placed.at + start) / FRAME_S) : round((placed.at + end) / FRAME_S)] = True
    tracks = np.stack(list(voices.values()))
    change = np.zeros(num_frames, np.int64)
    last = -1
    for frame, (count, who) in enumerate(zip(tracks.sum(0), tracks.argmax(0), strict=True)):
        if count == 1:
            if last >= 0 and who != last:
                change[max(0, frame - _CHANGE_FRAMES) : frame + _CHANGE_FRAMES] = 1
            last = who
    return np.stack([np.minimum(tracks.sum(0), 2), change], axis=1)


def make_examples(
    clips: dict[str, list[Clip]], plan: TrainingPlan, config: SegmentationConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Frames [N, 400, num_inputs] in half precision and labels [N, 400, 2]."""
    inputs, targets = [], []
    made, index = 0.0, 0
    while made < plan.minutes_of_sound:
        line = make_timeline(clips, 150.0, random.Random(f"train-{plan.seed}-{index}"), _HABITS)
        rng = np.random.default_rng([plan.seed, 7, index])
        kind = ["clean", "noise", "music"][int(rng.choice(3, p=[0.4, 0.35, 0.25]))]
        samples = add_background(*mix(line, rng), kind, rng.uniform(3.0, 30.0), rng)
        band = int(rng.choice([8_000, 12_000, 16_000, SAMPLE_RATE]))
        samples = resample(resample(samples, SAMPLE_RATE, band), band, 16_000)
        samples *= 10 ** (rng.uniform(-20.0, 0.0) / 20)
        frames = frames_of(samples, config)
        marks = labels(line, frames.shape[0])
        for first in range(0, frames.shape[0] - _LENGTH, _LENGTH):
            inputs.append(frames[first : first + _LENGTH].astype(np.float16))
            targets.append(marks[first : first + _LENGTH].astype(np.uint8))
        made += line.duration / 60
        index += 1
    return np.stack(inputs), np.stack(targets)


def loss_of(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy of the count, overlap weighted, and of the change."""
    weight = torch.tensor([1.0, 1.0, 2.0])
    count = F.cross_entropy(logits[..., :3].transpose(1, 2), targets[..., 0], weight)
    change = F.binary_cross_entropy_with_logits(
        logits[..., 3], targets[..., 1].float(), pos_weight=torch.tensor(5.0)
    )
    return count + 0.5 * change


def train(
    corpus: Path, plan: TrainingPlan, weights: Path = WEIGHTS, begin: Path | None = None
) -> list[float]:
    """Trains and saves; returns the loss of every 50 steps.

    Args:
        corpus: in NCSSD layout.
        plan: how long, on how much.
        weights: where they are saved.
        begin: weights to begin with; None begins at random.

    Raises:
        InputError: a corpus that cannot be used.
    """
    torch.manual_seed(plan.seed)
    torch.set_num_threads(1)
    model = Segmentation(NETWORK) if begin is None else load_segmentation(begin).train()
    config = model.config
    inputs, targets = make_examples(read_clips(corpus, plan.limit), plan, config)
    optimizer = torch.optim.AdamW(model.parameters(), plan.lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.lr, plan.steps, pct_start=0.1)
    rng = np.random.default_rng(plan.seed)
    history, running = [], 0.0
    for step in range(1, plan.steps + 1):
        pick = rng.integers(0, inputs.shape[0], plan.batch)
        x = torch.from_numpy(inputs[pick].astype(np.float32))
        # levels differ between recordings more than between the examples of one
        level = torch.from_numpy(rng.normal(0, 0.15, (plan.batch, 1, 1)).astype(np.float32))
        x[..., : 2 * config.num_mels] += level
        loss = loss_of(model(x), torch.from_numpy(targets[pick].astype(np.int64)))
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
    save_segmentation(model, weights)
    return history
