"""Recipe: HAM-TTS's second model, from first acoustic codes to all levels."""

import logging
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from models.checkpoint import load_config, load_model, load_tensors
from models.predictors.frames import AcousticCodes
from models.predictors.ham_tts import HamTTS, HamTTSConfig
from models.tokenizers.acoustic import AcousticTokenizer, load_acoustic, nearest
from models.training.configuration import check_sizes, setting
from models.training.encoded import encode_corpus, encode_latents
from models.training.frames import FrameRecipe, frame_crops
from models.training.job import Job
from models.training.loop import device, train
from models.training.predictor_samples import draw_codes
from models.training.warm_start import copy_what_fits, with_all_symbols
from models.vocoder.acoustic_decoder import AcousticDecoder, AcousticDecoderConfig

logger = logging.getLogger(__name__)

_NOTHING = -1


@dataclass(frozen=True)
class AcousticDecoderRecipe(FrameRecipe):
    """Settings of training the acoustic decoder."""

    derived = ("model.symbols", "model.style_dim")

    neighbours: int = setting(16, "nearest codes, one of which stands for a wrong one")
    wrong: float = setting(0.15, "share of frames with a wrong code, in half of the rows", high=1)
    model: AcousticDecoderConfig = field(default_factory=AcousticDecoderConfig)


def train_acoustic_decoder(
    job: Job, recipe: AcousticDecoderRecipe, further: bool = False
) -> AcousticDecoderRecipe:
    """Trains the model and writes `acoustic-decoder.safetensors`; returns the recipe as made.

    `further` fine-tunes the one in `out`, or those of its weights that fit if the latent space has
    changed. Every row predicts all levels. Half of the rows see partly wrong codes of earlier
    levels, as at inference; the residual is recomputed and becomes the target, so that each level
    learns to correct the ones before it.

    Long because it reads top to bottom, as the recipe does.
    """
    latents = encode_latents(job.data, job.corpus, job.out)
    encoded = encode_corpus(job.data, job.corpus, job.out)
    where = device()
    acoustic = load_acoustic(job.out).to(where)
    near = _near(acoustic, recipe.neighbours)
    torch.manual_seed(job.seed)
    if further:
        known = load_config(job.out, "acoustic-decoder", AcousticDecoderConfig)
        check_sizes(recipe, known, "acoustic-decoder")
        config = with_all_symbols(known)
    else:
        config = replace(recipe.model, style_dim=encoded[0].style.shape[0])
    model, fresh = AcousticDecoder(config, acoustic), None
    if further:
        fresh = copy_what_fits(model, load_tensors(job.out, "acoustic-decoder"))

    def true(index: int) -> AcousticCodes:
        mean = torch.from_numpy(np.array(latents[index].mean, np.float32))
        return AcousticCodes(acoustic.encode(mean.to(where), 1)[:, 0].cpu())

    drawn = None
    if (job.out / "ham-tts.safetensors").is_file():
        ham_tts = load_model(job.out, "ham-tts", HamTTS, HamTTSConfig)
        drawn = draw_codes(job.data, job.corpus, encoded, job.out, ham_tts, true, job.seed)
    else:
        logger.info("no ham-tts in %s: training on true and neighbouring first codes only", job.out)

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        batch = frame_crops(generator, job.corpus, encoded, recipe)
        scaled = batch.of(lambda index: latents[index].mean).float().to(where) / acoustic.scale
        sampled = torch.full(batch.valid.shape, _NOTHING)
        if drawn is not None:
            sampled = batch.of(drawn.__getitem__).long().where(batch.valid, _NOTHING)
        first, totals, targets = _training_input(
            acoustic, near, scaled, sampled.to(where), recipe.wrong
        )
        condition = model.conditioned(first, batch.phones.to(where), batch.style.to(where))
        return {"total": model.loss(totals, targets, condition, batch.valid.to(where))}

    rate = recipe.further_rate if fresh == [] else recipe.rate
    train(job.run("acoustic-decoder", recipe, rate), model, draw)
    job.save("acoustic-decoder", model, config, int8=True)
    return replace(recipe, model=config)


def _near(acoustic: AcousticTokenizer, neighbours: int) -> Tensor:
    """The nearest other codes of every code, `[num_levels, num_codes, neighbours]`."""
    distance = torch.cdist(acoustic.codebooks, acoustic.codebooks)
    count = min(neighbours + 1, acoustic.config.num_codes)
    return distance.topk(count, largest=False).indices[..., 1:]


@torch.no_grad()
def _training_input(
    acoustic: AcousticTokenizer, near: Tensor, scaled: Tensor, sampled: Tensor, share_wrong: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Builds training input with corrupted codes in half of the rows.

    Args:
        acoustic: the tokenizer.
        near: output of `_near`.
        scaled: latents divided by the tokenizer's scale, `[B, T, D]`.
        sampled: first codes `[B, T]` sampled by the predictor; -1 where there are none.
        share_wrong: share of wrong codes in corrupted rows.

    Returns:
        First codes `[B, T]`; for each later level the sum of the levels before it `[L, B, T, D]`,
        and its target codes `[L, B, T]`.
    """
    batch = len(scaled)
    spoilt = (torch.arange(batch, device=scaled.device) % 2 == 0)[:, None]
    total = torch.zeros_like(scaled)
    shown, totals, targets = [], [], []
    for level in range(acoustic.config.num_levels):
        book = acoustic.codebooks[level]
        codes = nearest(scaled - total, book)
        totals.append(total)
        targets.append(codes)
        pick = torch.randint(near.shape[-1], codes.shape, device=scaled.device)
        others = near[level][codes].gather(-1, pick[..., None])[..., 0]
        wrong = spoilt & (torch.rand(codes.shape, device=scaled.device) < share_wrong)
        if level == 0:
            others, wrong = (
                torch.where(sampled >= 0, sampled, others),
                wrong | (spoilt & (sampled >= 0)),
            )
        shown.append(torch.where(wrong, others, codes))
        total = total + book[shown[-1]]
    return shown[0], torch.stack(totals[1:]), torch.stack(targets[1:])
