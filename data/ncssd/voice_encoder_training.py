"""Fine-tunes the voice encoder on recordings simulated from corpora.

Its target is what resemblyzer's network makes of the same utterance without noise, room or
telephone, averaged with its mean for the voice, so that neither the recording nor the manner of
speaking moves a voice. (A linear projection fitted to voices separates those that it was fitted to,
at the expense of others.)
"""

import functools
import itertools
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data.audio import SAMPLE_RATE, models, resample
from data.audio.features import RATE
from data.audio.voice_embedding import unit, windows_of
from data.audio.voice_encoder import VoiceEncoder, VoiceEncoderConfig
from data.ncssd.network_files import save_network
from data.ncssd.training import Checkpoint, descend, steps_with_examples
from data.ncssd.training_plan import TrainingPlan
from data.ncssd.truth.clips import Clip, read_corpora
from data.ncssd.truth.conditions import record
from data.ncssd.truth.timeline import make_timeline, spoken_alone
from data.ncssd.voice_encoder import load_voice_encoder

_LINE_S = 100.0
_CONDITIONS = {"clean": 0.1, "noise": 0.2, "music": 0.3, "room": 0.2, "telephone": 0.2}
_SNR_DB = (5.0, 25.0)
_NARROW = 0.2  # fraction of recordings limited to 4 kHz
_LEAST_S = 0.5  # shorter utterances are left out
_MOST_WINDOWS = 6  # of an utterance
_OWN = 0.5  # weight of the utterance in the target; the rest is the voice


@dataclass
class Examples:
    """Windows of mel power `[N, T, 40]` and their target embeddings `[N, 256]`."""

    windows: np.ndarray
    targets: np.ndarray


def make_examples(clips: dict[str, list[Clip]], plan: TrainingPlan, turn: int = 0) -> Examples:
    """The examples of round `turn`."""
    windows: list[np.ndarray] = []
    clean: list[np.ndarray] = []
    voices: list[str] = []
    seconds = 0.0
    for index in itertools.count(turn * 100_000):
        if seconds >= plan.minutes_of_sound * 60:
            break
        for heard, target, voice in _utterances(clips, plan.seed, index):
            windows.append(heard)
            clean.append(target)
            voices.append(voice)
        seconds += _LINE_S
    by_voice = defaultdict(list)
    for target, voice in zip(clean, voices, strict=True):
        by_voice[voice].append(target)
    mean = {voice: unit(np.mean(own, axis=0)) for voice, own in by_voice.items()}
    targets = [
        np.tile(unit(_OWN * target + (1 - _OWN) * mean[voice]), (len(heard), 1))
        for heard, target, voice in zip(windows, clean, voices, strict=True)
    ]
    return Examples(np.concatenate(windows), np.concatenate(targets).astype(np.float32))


def _utterances(
    clips: dict[str, list[Clip]], seed: int, index: int
) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
    """Of one recording: each utterance's windows `[N, T, 40]`, resemblyzer's embedding `[256]` of
    it without noise, and its voice."""
    line = make_timeline(clips, _LINE_S, random.Random(f"encode-{seed}-{index}"))
    rng = np.random.default_rng([seed, 19, index])
    condition = str(rng.choice(list(_CONDITIONS), p=list(_CONDITIONS.values())))
    snr_db = rng.uniform(*_SNR_DB)
    band = 8_000 if rng.random() < _NARROW else RATE
    sounds = []
    for kind in ("clean", condition):
        # the same generator: levels and positions of the voices are the same in both
        samples = record(line, kind, snr_db, np.random.default_rng([seed, 23, index]))
        sounds.append(resample(samples, SAMPLE_RATE, RATE))
    sounds[1] = resample(resample(sounds[1], RATE, band), band, RATE)
    voices, groups = spoken_alone(line, _LEAST_S)
    clean, heard = (windows_of(samples, groups) for samples in sounds)
    for voice, (_, pure), (_, own) in zip(voices, clean, heard, strict=True):
        kept = rng.permutation(own.shape[0])[:_MOST_WINDOWS]
        yield own[kept], unit(models.voice_encoder().embed(pure).mean(axis=0)), voice


def train(
    corpora: list[Path], plan: TrainingPlan, weights: Path, begin: Path | None = None
) -> list[float]:
    """Trains and saves the network; returns the mean loss of every 50 steps (`training.descend`).

    Args:
        corpora: folders in NCSSD layout.
        plan: duration of training and amount of data.
        weights: output file.
        begin: initial weights; None for resemblyzer's.

    Raises:
        InputError: a corpus cannot be used, or the checkpoint has other settings.
    """
    torch.manual_seed(plan.seed)
    torch.set_num_threads(1)
    model = _resemblyzer() if begin is None else load_voice_encoder(begin)
    checkpoint = Checkpoint(weights, plan, corpora, begin)
    history = descend(
        model.train(),
        lambda first: _batches(corpora, plan, first),
        lambda batch: (1.0 - (model(batch[0]) * batch[1]).sum(dim=1)).mean(),
        plan,
        checkpoint,
    )
    save_network(model, model.config, weights)
    checkpoint.remove()
    return history


def _resemblyzer() -> VoiceEncoder:
    model = VoiceEncoder(VoiceEncoderConfig())
    model.load_state_dict(models.voice_encoder().state_dict())
    return model


def _batches(
    corpora: list[Path], plan: TrainingPlan, first: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Windows and targets of all steps from `first` on."""
    clips = read_corpora(corpora, plan.limit)
    make = functools.partial(make_examples, clips, plan)
    for examples, rng in steps_with_examples(plan, first, 29, make):
        pick = rng.integers(0, examples.windows.shape[0], plan.batch)
        yield torch.from_numpy(examples.windows[pick]), torch.from_numpy(examples.targets[pick])
