"""The recipes by name: their configurations and training functions."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from data.errors import InputError
from data.files import atomic_write
from models.training.acoustic import AcousticRecipe, adopt_encodec, train_acoustic
from models.training.acoustic_decoder import AcousticDecoderRecipe, train_acoustic_decoder
from models.training.configuration import as_values
from models.training.flow_map import distill_flow_omni
from models.training.flow_omni import FlowOmniRecipe, train_flow_omni
from models.training.gpt_talker import GPTTalkerRecipe, train_gpt_talker
from models.training.ham_tts import HamTTSRecipe, train_ham_tts
from models.training.job import Job
from models.training.prior import PriorRecipe, train_prior
from models.training.style import StyleRecipe, finetune_style, train_style
from models.training.thinker import ThinkerRecipe, train_thinker
from models.training.tokenizer import TokenizerRecipe, train_tokenizer
from models.training.vocoder import VocoderRecipe, train_vocoder
from models.training.voices import VoicesRecipe, make_voices
from models.vocoder.encodec import EncodecConfig

# In the order of a bundle: each depends on some of those before it.
RECIPES: dict[str, type] = {
    "style": StyleRecipe,
    "tokenizer": TokenizerRecipe,
    "vocoder": VocoderRecipe,
    "gpt-talker": GPTTalkerRecipe,
    "prior": PriorRecipe,
    "flow-omni": FlowOmniRecipe,
    "acoustic": AcousticRecipe,
    "ham-tts": HamTTSRecipe,
    "acoustic-decoder": AcousticDecoderRecipe,
    "omni-thinker": ThinkerRecipe,
    "voices": VoicesRecipe,
}


def train_one(name: str, job: Job, recipe: Any, **options: Any) -> Any:
    """Runs one recipe.

    Args:
        name: a key of `RECIPES`.
        job: the job.
        recipe: its configuration.
        options: further options, as `launch.py train NAME` takes them; none: train from scratch.

    Returns:
        The configuration as made.
    """
    if name == "style":
        return finetune_style(job, recipe) if options.get("further") else train_style(job, recipe)
    if name == "tokenizer":
        return train_tokenizer(job, recipe, **options)
    if name == "vocoder":
        return train_vocoder(job, recipe, **options)
    if name == "gpt-talker":
        return train_gpt_talker(job, recipe, **options)
    if name == "prior":
        return train_prior(job, recipe, **options)
    if name == "flow-omni":
        if options.pop("distill", False):
            return distill_flow_omni(job, recipe)
        return train_flow_omni(job, recipe, **options)
    if name == "acoustic":
        encodec, kbps = options.pop("encodec", None), options.pop("kbps", EncodecConfig.kbps)
        if encodec is None:
            return train_acoustic(job, recipe, **options)
        if recipe != AcousticRecipe():
            raise InputError("--encodec brings its own codebooks: leave out the acoustic settings")
        return replace(recipe, model=adopt_encodec(job.out, encodec, EncodecConfig(kbps)))
    if name == "ham-tts":
        return train_ham_tts(job, without(recipe, options.pop("without", None)), **options)
    if name == "acoustic-decoder":
        return train_acoustic_decoder(job, recipe, **options)
    if name == "omni-thinker":
        return train_thinker(job, recipe, **options)
    assert name == "voices", name
    return make_voices(job, recipe)


def without(recipe: HamTTSRecipe, part: str | None) -> HamTTSRecipe:
    """The recipe of an ablation: without the latent variable sequence ("lvs"), without corrupted
    history ("augmentation"), or unchanged (None)."""
    if part == "lvs":
        return replace(recipe, model=replace(recipe.model, lvs_dim=0))
    return replace(recipe, augmented=0.0) if part == "augmentation" else recipe


def write_record(name: str, job: Job, made: Any, options: dict[str, Any]) -> Path:
    """Records how weights were made, as `NAME.training.json` beside them.

    Args:
        name: the recipe's name.
        job: its data, seed and budget.
        made: configuration returned by `train_one`.
        options: options of `train_one`.
    """
    given = {key: value for key, value in options.items() if value not in (None, False)}
    record = {
        "recipe": name,
        "options": {k: str(v) if isinstance(v, Path) else v for k, v in given.items()},
        "seed": job.seed,
        "minutes": job.budget.minutes,
        "data": {
            "hours": round(job.corpus.hours, 3),
            "dialogues": len(job.corpus.by_dialogue),
            "utterances": len(job.corpus.utterances),
            "voices": len(job.corpus.voices),
        },
        "config": as_values(made),
    }
    path = job.out / f"{name}.training.json"
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    atomic_write(path, text)
    return path
