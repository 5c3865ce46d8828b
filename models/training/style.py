"""Recipe: the style encoder."""

from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.checkpoint import load_config, load_weights
from models.training.configuration import Recipe, check_sizes, setting
from models.training.crops import Crop, random_crop, stack
from models.training.job import Job
from models.training.loop import device, train
from models.training.losses import weighted
from models.training.room_augmentation import simulate_recording
from models.vocoder.style import StyleConfig, StyleEncoder


@dataclass(frozen=True)
class StyleWeights:
    """Loss weights."""

    voice: float = setting(1.0, "of speaker classification")
    pitch: float = setting(5.0, "of a voice's mean log-F0")


@dataclass(frozen=True)
class StyleRecipe(Recipe):
    """Settings of training the style encoder; `steady_...` apply to `--further`."""

    steps: int = setting(1500, "optimiser steps, unless --minutes is given")
    rate: float = setting(2e-3, "peak learning rate, after warm-up")
    batch: int = setting(48, "crops per step")
    crop_frames: int = setting(50, "frames of 40 ms in a crop")
    margin: float = setting(0.2, "additive margin of the softmax, as a cosine")
    scale: float = setting(20.0, "of the softmax: logit of a cosine of 1")
    losses: StyleWeights = field(default_factory=StyleWeights)
    steady_rate: float = setting(1e-3, "peak learning rate with --further")
    steady_batch: int = setting(32, "crops per step with --further")
    # Few utterances are shorter than 2 s; those end in silence.
    steady_frames: int = setting(50, "frames of 40 ms in a crop with --further")
    model: StyleConfig = field(default_factory=StyleConfig)


class _Task(nn.Module):
    """Training task of the style encoder: speaker classification and mean pitch."""

    def __init__(self, encoder: StyleEncoder, num_voices: int, recipe: StyleRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.encoder = encoder
        self.voices = nn.Parameter(torch.randn(num_voices, encoder.config.style_dim))
        self.pitch = nn.Linear(encoder.config.style_dim, 1)

    def losses(self, mel: Tensor, voice: Tensor, log_f0: Tensor) -> dict[str, Tensor]:
        style = self.encoder(mel)
        cosine = F.normalize(style, dim=-1) @ F.normalize(self.voices, dim=-1).T
        # Additive margin softmax (arXiv 1801.05599).
        margin = self.recipe.margin * F.one_hot(voice, len(self.voices))
        voice_loss = F.cross_entropy(self.recipe.scale * (cosine - margin).float(), voice)
        pitch_loss = F.smooth_l1_loss(self.pitch(style)[:, 0].float(), log_f0, beta=0.05)
        accuracy = (cosine.argmax(-1) == voice).float().mean()
        losses = {"voice": voice_loss, "pitch": pitch_loss, "accuracy": accuracy}
        return weighted(losses, self.recipe.losses)


def train_style(job: Job, recipe: StyleRecipe) -> StyleRecipe:
    """Trains the style encoder and writes `style.safetensors` to `out`; returns the recipe as
    made."""
    torch.manual_seed(job.seed)
    encoder = StyleEncoder(recipe.model)
    task = _Task(encoder, len(job.corpus.voices), recipe)
    statistics = job.corpus.voice_statistics()
    where = device()

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        crops: list[Crop] = []
        while len(crops) < recipe.batch:
            voice = job.corpus.voices[int(generator.integers(len(job.corpus.voices)))]
            index = generator.choice(job.corpus.by_voice[voice])
            crops.append(random_crop(generator, job.corpus.utterances[index], recipe.crop_frames))
        names = [crop.utterance.voice for crop in crops]
        voice = torch.tensor([job.corpus.voice_index[name] for name in names], device=where)
        log_f0 = torch.tensor([statistics[name][0] - 5.0 for name in names], device=where)
        samples = stack(crops).to(where)
        # Random microphone gain.
        gains = torch.from_numpy(10 ** (generator.uniform(-0.4, 0.2, (recipe.batch, 1)))).float()
        with torch.no_grad(), torch.autocast(where.type, enabled=False):
            mel = encoder.features(samples * gains.to(where))
        return task.losses(mel, voice, log_f0)

    train(job.run("style", recipe), task, draw)
    job.save("style", encoder, recipe.model, int8=True)
    return recipe


def finetune_style(job: Job, recipe: StyleRecipe) -> StyleRecipe:
    """Makes the encoder in `out` robust to rooms and microphones: it learns to give the vector of
    the clean recording. Style vectors stay where they are, so nothing else needs retraining.

    Raises:
        MissingModelError: `out` has no style encoder.
    """
    config = load_config(job.out, "style", StyleConfig)
    check_sizes(recipe, config, "style")
    teacher, encoder = StyleEncoder(config), StyleEncoder(config)
    load_weights(job.out, "style", teacher)
    load_weights(job.out, "style", encoder).requires_grad_(True)
    where = device()
    teacher.to(where)

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        chosen = generator.integers(len(job.corpus.utterances), size=recipe.steady_batch).tolist()
        crops = [
            random_crop(generator, job.corpus.utterances[i], recipe.steady_frames) for i in chosen
        ]
        alone = stack(crops).to(where)
        with torch.no_grad(), torch.autocast(where.type, enabled=False):
            augmented = teacher.features(simulate_recording(alone, generator))
            target = teacher(teacher.features(alone))
        style = encoder(augmented)
        cosine = F.cosine_similarity(style, target, dim=-1).mean()
        return {"total": (style - target).square().mean(), "cosine": cosine}

    train(job.run("style-steady", recipe, recipe.steady_rate), encoder, draw)
    job.save("style", encoder, config, int8=True)
    return replace(recipe, model=config)
