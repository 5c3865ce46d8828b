"""Recipe: the semantic tokenizer."""

from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.mel import MELS_PER_FRAME
from models.tokenizers.semantic import (
    LOG_F0_UNIT,
    SemanticConfig,
    SemanticTokenizer,
    load_tokenizer,
)
from models.training.configuration import Recipe, check_sizes, setting
from models.training.corpus import frame_levels
from models.training.crops import Crop, random_crop, stack
from models.training.job import Job
from models.training.loop import device, train
from models.training.losses import weighted
from models.training.warm_start import copy_what_fits, with_all_symbols

ENERGY_UNIT = 10.0


@dataclass(frozen=True)
class TokenizerWeights:
    """Loss weights."""

    phone: float = setting(1.0, "of frame-wise phones, where times are known")
    ctc: float = setting(0.1, "of CTC over whole utterances")
    f0: float = setting(2.0, "of relative log-F0")
    voicing: float = setting(0.5, "of voicing")
    energy: float = setting(1.0, "of relative energy")


@dataclass(frozen=True)
class TokenizerRecipe(Recipe):
    """Settings of training the semantic tokenizer."""

    derived = ("model.symbols",)

    steps: int = setting(6000, "optimiser steps, unless --minutes is given")
    batch: int = setting(16, "crops per step")
    crop_frames: int = setting(80, "frames of 40 ms in a crop")
    losses: TokenizerWeights = field(default_factory=TokenizerWeights)
    model: SemanticConfig = field(default_factory=SemanticConfig)


def prosody_targets(crop: Crop, statistics: tuple[float, float]) -> np.ndarray:
    """Relative log-F0, voicing (0 or 1) and relative energy per frame, `[3, frames]`."""
    f0 = crop.f0.reshape(-1, MELS_PER_FRAME)
    voiced = f0 > 0
    count = voiced.sum(1)
    logs = np.where(voiced, np.log(np.maximum(f0, 1.0)), 0.0).sum(1) / np.maximum(count, 1)
    relative = np.where(count > 0, (logs - statistics[0]) / LOG_F0_UNIT, 0.0)
    energy = np.maximum((frame_levels(crop.samples) - statistics[1]) / ENERGY_UNIT, -4.0)
    return np.stack([relative, (count >= MELS_PER_FRAME // 2).astype(float), energy])


def train_tokenizer(job: Job, recipe: TokenizerRecipe, hold: bool = False) -> TokenizerRecipe:
    """Trains the tokenizer and writes `semantic.safetensors` to `out`; returns the recipe as made.

    Phones are trained frame-wise where their times are known, and by CTC on whole utterances
    always, so that data without times can be aligned later. `hold` freezes codes and prosody, and
    with them everything trained on them: only the phone heads learn, new languages included.

    Raises:
        InputError: `hold` with sizes other than those of the weights.
        MissingModelError: `hold`, but `out` has no tokenizer.
    """
    torch.manual_seed(job.seed)
    if hold:
        known = load_tokenizer(job.out)
        check_sizes(recipe, known.config, "semantic tokenizer")
        model = with_new_phones(known)
    else:
        model = SemanticTokenizer(recipe.model)
    statistics = job.corpus.voice_statistics()

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        chosen = generator.integers(len(job.corpus.utterances), size=recipe.batch)
        utterances = [job.corpus.utterances[index] for index in chosen]
        crops = [random_crop(generator, one, recipe.crop_frames) for one in utterances]
        return weighted(_losses(generator, model, crops, statistics), recipe.losses)

    train(job.run("tokenizer-held" if hold else "tokenizer", recipe), model, draw)
    job.save("semantic", model, model.config, int8=True)
    return replace(recipe, model=model.config)


@torch.no_grad()
def with_new_phones(known: SemanticTokenizer) -> SemanticTokenizer:
    """The same tokenizer with phone heads for the full inventory, which alone are trainable."""
    model = SemanticTokenizer(with_all_symbols(known.config))
    copy_what_fits(model, dict(known.named_parameters()))
    num = len(known.config.symbols)
    for mine, theirs in ((model.phone_head, known.phone_head), (model.ctc_head, known.ctc_head)):
        mine.weight[:num], mine.bias[:num] = theirs.weight[:num], theirs.bias[:num]
    # The blank is the last output.
    model.ctc_head.weight[-1] = known.ctc_head.weight[-1]
    model.ctc_head.bias[-1] = known.ctc_head.bias[-1]
    model.requires_grad_(False)
    for head in (model.phone_head, model.ctc_head):
        head.requires_grad_(True)
    return model


def _losses(
    generator: np.random.Generator,
    model: SemanticTokenizer,
    crops: list[Crop],
    statistics: dict[str, tuple[float, float]],
) -> dict[str, Tensor]:
    """Probe losses on the codes of crops."""
    where = device()
    samples = _augmented(generator, stack(crops)).to(where)
    with torch.no_grad(), torch.autocast(where.type, enabled=False):
        features = model.features(samples)
    values, codes = model.quantise(features)
    phones, ctc, prosody = model.read(values)
    targets = np.stack([prosody_targets(crop, statistics[crop.utterance.voice]) for crop in crops])
    log_f0, voiced, energy = torch.from_numpy(targets).float().to(where).unbind(1)
    pitch = F.smooth_l1_loss(prosody.log_f0.float(), log_f0, reduction="none")
    return {
        "phone": _phone_loss(phones, crops, where),
        "ctc": _ctc_loss(ctc, crops, where),
        "f0": (pitch * voiced).sum() / voiced.sum().clamp_min(1),
        "voicing": F.binary_cross_entropy_with_logits(prosody.voicing.float(), voiced),
        "energy": F.smooth_l1_loss(prosody.energy.float(), energy),
        "used": torch.tensor(len(codes.unique()) / model.num_codes),
    }


def _augmented(generator: np.random.Generator, samples: Tensor) -> Tensor:
    """Augments samples `[B, T]` by gain and, in half of the rows, noise: neither is content."""
    batch = len(samples)
    level = torch.from_numpy(10 ** generator.uniform(-4.5, -2.3, (batch, 1))).float()
    gain = torch.from_numpy(10 ** generator.uniform(-0.1, 0.1, (batch, 1))).float()
    quiet = torch.from_numpy(generator.random((batch, 1)) < 0.5)
    return samples * gain + torch.where(quiet, 0.0, level) * torch.randn_like(samples)


def _phone_loss(logits: Tensor, crops: list[Crop], where: torch.device) -> Tensor:
    target = np.full((len(crops), crops[0].num_frames), -1)
    for row, crop in enumerate(crops):
        utterance = crop.utterance
        if utterance.pointer is not None:
            pointer = utterance.pointer[crop.first_frame : crop.first_frame + crop.num_frames]
            target[row, : len(pointer)] = np.array(utterance.units.symbols)[pointer]
    wanted = torch.from_numpy(target).to(where)
    if (wanted < 0).all():
        return logits.float().sum() * 0.0
    return F.cross_entropy(logits.float().transpose(1, 2), wanted, ignore_index=-1)


def _ctc_loss(logits: Tensor, crops: list[Crop], where: torch.device) -> Tensor:
    """CTC loss over the crops that contain a whole utterance."""
    rows = [
        row
        for row, crop in enumerate(crops)
        if crop.utterance.num_frames <= crop.num_frames
        and len(crop.utterance.units) <= 0.8 * crop.utterance.num_frames
    ]
    if not rows:
        return logits.float().sum() * 0.0
    sequences = [crops[row].utterance.units.symbols for row in rows]
    return F.ctc_loss(
        logits[rows].float().log_softmax(-1).transpose(0, 1),
        torch.tensor([symbol for sequence in sequences for symbol in sequence], device=where),
        torch.tensor([crops[row].utterance.num_frames for row in rows], device=where),
        torch.tensor([len(sequence) for sequence in sequences], device=where),
        blank=logits.shape[-1] - 1,
        zero_infinity=True,
    )
