"""Recipe: the style encoder."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.checkpoint import load_config, load_weights
from models.training.crops import Crop, random_crop, stack
from models.training.job import Job
from models.training.loop import device, train
from models.training.recorded import recorded
from models.vocoder.style import StyleConfig, StyleEncoder

BATCH = 48
CROP_FRAMES = 50  # 2 s
MARGIN = 0.2
SCALE = 20.0
STEADY_BATCH = 32
STEADY_FRAMES = 50  # 2 s: few utterances are shorter and end in silence


class _Task(nn.Module):
    """What teaches the style encoder: which voice it is, and its mean pitch."""

    def __init__(self, encoder: StyleEncoder, num_voices: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.voices = nn.Parameter(torch.randn(num_voices, encoder.config.style_dim))
        self.pitch = nn.Linear(encoder.config.style_dim, 1)

    def losses(self, mel: Tensor, voice: Tensor, log_f0: Tensor) -> dict[str, Tensor]:
        style = self.encoder(mel)
        cosine = F.normalize(style, dim=-1) @ F.normalize(self.voices, dim=-1).T
        # Additive margin softmax (arXiv 1801.05599).
        margin = MARGIN * F.one_hot(voice, len(self.voices))
        voice_loss = F.cross_entropy(SCALE * (cosine - margin).float(), voice)
        pitch_loss = F.smooth_l1_loss(self.pitch(style)[:, 0].float(), log_f0, beta=0.05)
        accuracy = (cosine.argmax(-1) == voice).float().mean()
        total = voice_loss + 5.0 * pitch_loss
        return {"total": total, "voice": voice_loss, "pitch": pitch_loss, "accuracy": accuracy}


def train_style(job: Job) -> None:
    """Trains the style encoder and writes `style.safetensors` to `out`."""
    config = StyleConfig()
    encoder = StyleEncoder(config)
    torch.manual_seed(job.seed)
    task = _Task(encoder, len(job.corpus.voices))
    statistics = job.corpus.voice_statistics()
    where = device()

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        crops: list[Crop] = []
        while len(crops) < BATCH:
            voice = job.corpus.voices[int(generator.integers(len(job.corpus.voices)))]
            index = generator.choice(job.corpus.by_voice[voice])
            crops.append(random_crop(generator, job.corpus.utterances[index], CROP_FRAMES))
        names = [crop.utterance.voice for crop in crops]
        voice = torch.tensor([job.corpus.voice_index[name] for name in names], device=where)
        log_f0 = torch.tensor([statistics[name][0] - 5.0 for name in names], device=where)
        samples = stack(crops).to(where)
        # A microphone's level is not the voice.
        gains = torch.from_numpy(10 ** (generator.uniform(-0.4, 0.2, (BATCH, 1)))).float()
        with torch.no_grad(), torch.autocast(where.type, enabled=False):
            mel = encoder.features(samples * gains.to(where))
        return task.losses(mel, voice, log_f0)

    train(job.run("style", 2e-3), task, draw)
    job.save("style", encoder, config, int8=True)


def steady_style(job: Job) -> None:
    """The encoder in `out` learns to say of a voice in a room, through a microphone, what it says
    of the voice alone. The vectors stay where they are, so whatever reads them stays as it is.

    Raises:
        MissingModelError: there is none in `out` to go on with.
    """
    config = load_config(job.out, "style", StyleConfig)
    teacher, encoder = StyleEncoder(config), StyleEncoder(config)
    load_weights(job.out, "style", teacher)
    load_weights(job.out, "style", encoder).requires_grad_(True)
    where = device()
    teacher.to(where)

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        chosen = generator.integers(len(job.corpus.utterances), size=STEADY_BATCH).tolist()
        crops = [random_crop(generator, job.corpus.utterances[i], STEADY_FRAMES) for i in chosen]
        alone = stack(crops).to(where)
        with torch.no_grad(), torch.autocast(where.type, enabled=False):
            heard = teacher.features(recorded(alone, generator))
            told = teacher(teacher.features(alone))
        said = encoder(heard)
        cosine = F.cosine_similarity(said, told, dim=-1).mean()
        return {"total": (said - told).square().mean(), "cosine": cosine}

    train(job.run("style-steady", 1e-3), encoder, draw)
    job.save("style", encoder, config, int8=True)
