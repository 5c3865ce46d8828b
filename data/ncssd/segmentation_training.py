"""Trains the segmentation network on recordings made from a corpus in NCSSD layout.

Everything is made here: who speaks when, the room, the background, the codec and the level. No
recording is heard for long (`training`).
"""

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
from data.ncssd.features import FRAME_S
from data.ncssd.network_files import save_network
from data.ncssd.powerset import CLASSES, NUM_TRACKS, OVERLAPS, PERMUTATIONS
from data.ncssd.segmentation import (
    WINDOW,
    Segmentation,
    SegmentationConfig,
    frames_of,
    load_segmentation,
)
from data.ncssd.training import Checkpoint, descend
from data.ncssd.training_plan import TrainingPlan
from data.ncssd.truth.clips import Clip, read_corpora
from data.ncssd.truth.conditions import record
from data.ncssd.truth.sound import FILES, write_media
from data.ncssd.truth.timeline import Habits, Timeline, make_pair, make_timeline, person

_LINE_S = 150.0
_CONDITIONS = {"clean": 0.25, "noise": 0.2, "music": 0.2, "room": 0.2, "telephone": 0.15}
_SNR_DB = (3.0, 30.0)
_CODED = 0.2  # share of recordings that went through a codec
_CODECS = ("mp3", "ogg", "mp4")
_CLOSE = 8  # a pair of close voices: one of this many nearest in pitch
# two voices at once are rare where people talk, and the hardest to hear: more of them to learn from
_HABITS = Habits(gap_mean_s=0.1, backchannel_share=0.7)
_OVERLAP_WEIGHT = 2.0


def tracks_of(line: Timeline, num_frames: int, frame_s: float = FRAME_S) -> np.ndarray:
    """Per frame which voice speaks, by order of their names: [voices, T]."""
    voices: dict[str, np.ndarray] = {}
    for placed in line.placed:
        track = voices.setdefault(placed.clip.voice, np.zeros(num_frames, bool))
        for start, end in placed.clip.relative(fine=True):
            track[round((placed.at + start) / frame_s) : round((placed.at + end) / frame_s)] = True
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
    """Who speaks when, and samples [T] at 16 kHz: changing people, or two of close pitch."""
    draw = random.Random(f"train-{seed}-{index}")
    rng = np.random.default_rng([seed, 7, index])
    if index % 2:
        line = make_timeline(clips, _LINE_S, draw, _HABITS)
    else:
        line = make_pair(close_pair(clips, draw), _LINE_S, draw, _HABITS)
    condition = str(rng.choice(list(_CONDITIONS), p=list(_CONDITIONS.values())))
    samples = record(line, condition, rng.uniform(*_SNR_DB), rng)
    if rng.random() < _CODED:
        samples = _coded(samples, str(rng.choice(_CODECS)), rng)
    band = int(rng.choice([8_000, 12_000, 16_000, SAMPLE_RATE]))
    samples = resample(resample(samples, SAMPLE_RATE, band), band, 16_000)
    return line, samples * np.float32(10 ** (rng.uniform(-20.0, 0.0) / 20))


def close_pair(clips: dict[str, list[Clip]], rng: random.Random) -> list[list[Clip]]:
    """The clips of two people whose voices lie close in pitch."""
    pitch = {voice: float(np.median([c.f0_hz for c in own])) for voice, own in clips.items()}
    talkative = [voice for voice, own in clips.items() if len(own) >= 4] or list(clips)
    first = rng.choice(talkative)
    others = [voice for voice in talkative if person(voice) != person(first)]
    others.sort(key=lambda voice: abs(math.log((pitch[voice] + 1) / (pitch[first] + 1))))
    return [clips[first], clips[rng.choice((others or talkative)[:_CLOSE])]]


def _coded(samples: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Samples [T] at 24 kHz as a lossy codec gives them back."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"sound.{kind}"
        write_media(path, samples, int(rng.choice(FILES[kind][2])))
        heard = read_audio(path)
    return np.pad(heard, (0, max(0, samples.shape[0] - heard.shape[0])))[: samples.shape[0]]


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
    corpora: list[Path], plan: TrainingPlan, weights: Path, begin: Path | None = None
) -> list[float]:
    """Trains, saves at the end, and returns the loss of every 50 steps.

    Args:
        corpora: in NCSSD layout.
        plan: how long, on how much.
        weights: where they are saved; what lies there stays until training is over. Beside it a
            checkpoint of each round, from which the same call goes on.
        begin: weights to begin with; None begins at random.

    Raises:
        InputError: a corpus that cannot be used, or a checkpoint of another training.
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
    """Frames [B, 500, num_inputs] and classes [B, 500] of step `first` and all after it."""
    clips = read_corpora(corpora, plan.limit)
    for step in range(first, plan.steps):
        if step == first or step % plan.steps_a_round == 0:
            turn = step // plan.steps_a_round
            inputs, targets = make_examples(clips, plan, config, turn)
            rng = np.random.default_rng([plan.seed, 3, turn])
        pick = rng.integers(0, inputs.shape[0], plan.batch)
        frames = torch.from_numpy(inputs[pick].astype(np.float32))
        # levels differ between recordings more than between the examples of one
        level = torch.from_numpy(rng.normal(0, 0.15, (plan.batch, 1, 1)).astype(np.float32))
        frames[..., : 2 * config.num_mels] += level
        yield frames, torch.from_numpy(targets[pick].astype(np.int64))
