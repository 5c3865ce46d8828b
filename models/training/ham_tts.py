"""Recipe: the HAM-TTS predictor, on dialogues and the first acoustic codes."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data.errors import InputError
from models.predictors.ham_tts import HamTTS, HamTTSConfig
from models.predictors.sequence import Segment
from models.tokenizers.acoustic import load_acoustic
from models.tokenizers.semantic import load_tokenizer
from models.training.dialogues import Dialogues
from models.training.disturbing import disturbed
from models.training.encoded import encode_corpus, encode_latents
from models.training.job import Job
from models.training.loop import train
from models.training.refined import NUM_REFINED, refined_units
from models.training.warm_start import FURTHER, load_further, start_with, trained_talker

AUGMENTED = 0.1  # share of samples whose acoustic history is disturbed (HAM-TTS, section 3.3)
_ABLATIONS = {"lvs": {"lvs_dim": 0}, "augmentation": {}}


def train_ham_tts(
    job: Job,
    warm: bool = True,
    without: str | None = None,
    hubert: Path | None = None,
    further: bool = False,
) -> None:
    """Trains the predictor and writes `ham-tts.safetensors`.

    Rows as GPT-Talker's; the frames are the first codes of the posterior's mean.

    With `further` it begins with the one in `out`, whose codes are to be those that it knows or
    made like them (`train_acoustic`). Its aligner was left behind, and with it what taught the
    latent variable sequence, which therefore stays as it predicts it.

    Args:
        job: what every recipe is told.
        warm: begin with the weights of the GPT-Talker in `out`, where there is one.
        without: "lvs" or "augmentation", for the ablations.
        hubert: the folder of a HuBERT, which the aligner hears in place of the tokenizer.
        further: go on with what is in `out`.

    Raises:
        InputError: `further` with other codes than the model has.
        MissingModelError: a model that it needs is not in `out`.
    """
    acoustic = load_acoustic(job.out)
    latents = encode_latents(job.data, job.corpus, job.out)
    encoded = encode_corpus(job.data, job.corpus, job.out)
    refined = None if further else refined_units(job.data, job.corpus, job.out, job.seed, hubert)

    def frames(index: int) -> Tensor:
        """First code and refined unit of each frame, `[T, 2]`: both are cut as one."""
        mean = torch.from_numpy(np.array(latents[index].mean, np.float32))
        codes = acoustic.encode(mean, 1)[:, 0]
        if refined is None:
            return codes
        return torch.stack([codes, torch.from_numpy(refined[index].astype(np.int64))], dim=-1)

    start = FURTHER if further else start_with(trained_talker(job.out) if warm else None, 1.2e-3)
    tokenizer = load_tokenizer(job.out)
    dialogues = Dialogues(job.corpus, encoded, tokenizer, frames, start.num_positions)
    torch.manual_seed(job.seed)
    if further:
        model = load_further(job.out, "ham-tts", HamTTS, HamTTSConfig)
        config = model.config
        if config.num_codes != acoustic.config.num_codes:
            raise InputError(
                f"ham-tts knows {config.num_codes} first codes, the acoustic tokenizer has "
                f"{acoustic.config.num_codes}: train it without --further"
            )
        if config.lvs_dim:
            model.lvs.requires_grad_(False)
    else:
        config = HamTTSConfig(
            **start.sizes(dialogues),
            num_codes=acoustic.config.num_codes,
            num_refined=NUM_REFINED,
            **(_ABLATIONS[without] if without else {}),
        )
        model = HamTTS(config)
        start.fill(model)
    share = 0.0 if without == "augmentation" else AUGMENTED

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        rows = dialogues.draw(generator, config)
        texts, lvs = None, None
        if refined is not None:
            segments = [segment for row in rows for segment in row]
            heard = [_parted(segment) for segment in segments]
            texts, lvs = model.taught_texts(segments, heard)
        read = model.read(disturbed(rows, share, generator), texts)
        losses = model.losses(model(read.embedded), read.positions, lvs)
        return {"total": losses.total, **vars(losses)}

    run = job.run("ham-tts", start.rate, weight_decay=0.05)
    train(run, model, draw)
    spoken = model.for_speech()
    job.save("ham-tts", spoken, spoken.config, int8=True)


def _parted(segment: Segment) -> Tensor | None:
    """Leaves a segment its codes and returns the refined units that lay beside them."""
    if segment.codes is None:
        return None
    segment.codes, refined = segment.codes.unbind(-1)
    return refined
