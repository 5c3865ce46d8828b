"""Recipe: HAM-TTS, on dialogues and first acoustic codes."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data.errors import InputError
from models.predictors.frames import AcousticCodes
from models.predictors.ham_tts import HamTTS, HamTTSConfig
from models.tokenizers.acoustic import load_acoustic
from models.tokenizers.semantic import load_tokenizer
from models.training.configuration import check_sizes, setting
from models.training.dialogues import (
    DERIVED,
    DialogueRecipe,
    Dialogues,
    DialogueWeights,
)
from models.training.encoded import encode_corpus, encode_latents
from models.training.history_corruption import corrupt_history
from models.training.job import Job
from models.training.loop import train
from models.training.losses import weighted
from models.training.refined_units import refined_units
from models.training.warm_start import load_further, start_from, start_further, trained_talker


@dataclass(frozen=True)
class HamTTSWeights(DialogueWeights):
    """Loss weights."""

    lvs: float = setting(1.0, "of the latent variable predictor")


@dataclass(frozen=True)
class HamTTSRecipe(DialogueRecipe):
    """Settings of training HAM-TTS."""

    derived = tuple(f"model.{name}" for name in (*DERIVED, "num_codes"))

    augmented: float = setting(0.1, "share of rows with corrupted acoustic history", high=1)
    losses: HamTTSWeights = field(default_factory=HamTTSWeights)
    model: HamTTSConfig = field(default_factory=HamTTSConfig)


def train_ham_tts(
    job: Job,
    recipe: HamTTSRecipe,
    warm: bool = True,
    hubert: Path | None = None,
    further: bool = False,
) -> HamTTSRecipe:
    """Trains the predictor and writes `ham-tts.safetensors`; returns the recipe as made.

    Rows are as GPT-Talker's; frames are the first codes of the posterior mean. `further` fine-tunes
    the one in `out`, which needs the same codes or codes made with `--like` (`train_acoustic`). Its
    aligner was not saved, so the latent variable predictor stays frozen.

    Args:
        job: arguments shared by all recipes.
        recipe: sizes and training settings.
        warm: start from the GPT-Talker in `out`, if there is one.
        hubert: folder of a HuBERT whose features the aligner uses instead of the tokenizer's.
        further: fine-tune the model in `out`.

    Long because it reads top to bottom, as the recipe does.

    Raises:
        InputError: `further`, but the model has other codes.
        MissingModelError: `out` lacks a model it depends on.
    """
    acoustic = load_acoustic(job.out)
    latents = encode_latents(job.data, job.corpus, job.out)
    encoded = encode_corpus(job.data, job.corpus, job.out)
    refined = None if further else _refined(job, recipe, hubert)

    def frames(index: int) -> AcousticCodes:
        mean = torch.from_numpy(np.array(latents[index].mean, np.float32))
        return AcousticCodes(acoustic.encode(mean, 1)[:, 0])

    if further:
        start = start_further(recipe)
    else:
        start = start_from(trained_talker(job.out) if warm else None, recipe)
    tokenizer = load_tokenizer(job.out)
    dialogues = Dialogues(job.corpus, encoded, tokenizer, frames, recipe, start.batch, refined)
    torch.manual_seed(job.seed)
    if further:
        spoken = dialogues.sizes["languages"]
        model = load_further(job.out, "ham-tts", HamTTS, HamTTSConfig, spoken)
        config = model.config
        # `num_refined` belongs to the aligner, which is not saved.
        check_sizes(recipe, replace(config, num_refined=recipe.model.num_refined), "ham-tts")
        if config.num_codes != acoustic.config.num_codes:
            raise InputError(
                f"ham-tts knows {config.num_codes} first codes, the acoustic tokenizer has "
                f"{acoustic.config.num_codes}: train it without --further"
            )
        if config.lvs_dim:
            model.lvs.requires_grad_(False)
    else:
        sizes = start.sizes(dialogues, recipe)
        config = replace(recipe.model, **sizes, num_codes=acoustic.config.num_codes)
        model = HamTTS(config)
        start.fill(model)

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        rows = dialogues.draw(generator, model)
        texts, lvs = None, None
        if refined is not None:
            segments = [segment for row in rows for segment in row]
            texts, lvs = model.encode_training_texts(
                segments, [segment.refined for segment in segments]
            )
        read = model.read(corrupt_history(rows, recipe.augmented, generator), texts)
        losses = model.losses(model(read.embedded), read.positions, lvs)
        return weighted(vars(losses), recipe.losses)

    train(job.run("ham-tts", recipe, start.rate), model, draw)
    spoken = model.for_speech()
    job.save("ham-tts", spoken, spoken.config, int8=True)
    return replace(recipe, model=config)


def _refined(job: Job, recipe: HamTTSRecipe, hubert: Path | None) -> list[np.ndarray] | None:
    """Refined units of every utterance, or None if there is no latent variable sequence to
    train."""
    count = recipe.model.num_refined
    if not (count and recipe.model.lvs_dim):
        return None
    return refined_units(job.data, job.corpus, job.out, job.seed, count, hubert)
