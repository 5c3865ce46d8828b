"""Recipe: the style encoder."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.checkpoint import load_config, load_weights, save_model
from models.mel import SAMPLE_RATE
from models.training.crops import Crop, random_crop, stack
from models.training.job import Job
from models.training.loop import device, train
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
    save_model(job.out, "style", encoder, config, half=True)


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
    save_model(job.out, "style", encoder, config, half=True)


def recorded(samples: Tensor, generator: np.random.Generator) -> Tensor:
    """Samples `[B, T]` as they come from microphones: in a small room, with a slope in the
    spectrum, in noise, at another level, of a narrower band. An eighth stays as it is."""
    batch, length = samples.shape

    def some(share: float) -> Tensor:
        return torch.from_numpy(generator.random((batch, 1)) < share).to(samples.device)

    def between(low: float, high: float) -> Tensor:
        drawn = torch.from_numpy(generator.uniform(low, high, (batch, 1))).float()
        return drawn.to(samples.device)

    def noise() -> Tensor:
        return torch.from_numpy(generator.standard_normal((batch, length))).float().to(samples)

    hertz = torch.fft.rfftfreq(2 * length, 1 / SAMPLE_RATE).to(samples)
    spectrum = torch.fft.rfft(samples, 2 * length)
    # a room: noise that dies away by 60 dB within so many seconds, some dB below what comes first
    seconds = torch.arange(length, device=samples.device) / SAMPLE_RATE
    tail = noise() * 10 ** (-3 * seconds / between(0.1, 0.5))
    tail = tail / tail.square().sum(1, keepdim=True).sqrt() * 10 ** (-between(3, 20) / 20)
    spectrum = torch.where(some(0.4), spectrum * (1 + torch.fft.rfft(tail, 2 * length)), spectrum)
    octaves = (hertz.clamp_min(50.0) / 1000).log2()
    spectrum = spectrum * torch.where(some(0.5), 10 ** (between(-1, 1) * octaves / 20), 1.0)
    heard = torch.fft.irfft(spectrum)[:, :length]
    level = samples.square().mean(1, keepdim=True).sqrt()
    heard = torch.where(some(0.8), heard + noise() * level * 10 ** (-between(12, 80) / 20), heard)
    heard = heard * 10 ** between(-0.4, 0.2)  # a microphone's level is not the voice
    narrow = torch.fft.rfft(heard) * (hertz[::2] < between(4000, 12_000))
    heard = torch.where(some(0.4), torch.fft.irfft(narrow, length), heard)
    return torch.where(some(0.125), samples, heard)
