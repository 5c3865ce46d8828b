"""The recipes by name: the configuration of each, and the function that follows it."""

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
from models.training.style import StyleRecipe, steady_style, train_style
from models.training.thinker import ThinkerRecipe, train_thinker
from models.training.tokenizer import TokenizerRecipe, train_tokenizer
from models.training.vocoder import VocoderRecipe, train_vocoder
from models.training.voices import VoicesRecipe, make_voices
from models.vocoder.encodec import EncodecConfig

# In the order in which a bundle is made: each needs some of those before it.
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
    """Follows one recipe.

    Args:
        name: a key of `RECIPES`.
        job: what to learn from and where to write.
        recipe: its configuration.
        options: beyond it, as `launch.py train NAME` takes them; none: anew.

    Returns:
        The configuration of what was made.
    """
    if name == "style":
        return steady_style(job, recipe) if options.get("further") else train_style(job, recipe)
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
            raise InputError("--encodec brings codebooks of its own: no setting of ours fits them")
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
    """The recipe of an ablation: without the latent variable sequence ("lvs"), without disturbed
    histories ("augmentation"), or None for neither."""
    if part == "lvs":
        return replace(recipe, model=replace(recipe.model, lvs_dim=0))
    return replace(recipe, augmented=0.0) if part == "augmentation" else recipe


def write_record(name: str, job: Job, made: Any, options: dict[str, Any]) -> Path:
    """Writes what made the weights beside them: `NAME.training.json`.

    Args:
        name: of the recipe.
        job: its data, seed and budget.
        made: its configuration, as `train_one` returns it.
        options: as `train_one` takes them.
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
