"""A predictor that begins with what GPT-Talker has learnt.

The predictors share all that reads a dialogue (`DialogueModel`): how a text is pronounced, how the
pointer moves, how the manner follows from what was heard. Only what a frame of sound is differs, so
a new predictor need not learn the rest again; as Flow-Omni begins with a language model (arXiv
2412.04917, section 2.1).
"""

import dataclasses
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from models.checkpoint import load_config, load_model, load_tensors
from models.predictors.dialogue_model import DialogueModel
from models.predictors.gpt_talker import GPTTalker, GPTTalkerConfig
from models.text.symbols import SYMBOLS
from models.training.configuration import check_sizes
from models.training.dialogues import DialogueRecipe, Dialogues

logger = logging.getLogger(__name__)

# A predictor that begins so has the sizes of the one that it begins with, and its bins.
_SHARED = (
    *("style_dim", "dim", "depth", "num_heads", "ffn_dim", "unit_depth"),
    *("plan_low", "plan_high"),
)
# Tables with a row, or a row for each stress, of every symbol.
_SYMBOL_TABLES = ("units.symbol.weight", "context.around.weight", "symbols.weight")

Config = TypeVar("Config")
Model = TypeVar("Model", bound=nn.Module)


def trained_talker(folder: Path) -> GPTTalker | None:
    """The GPT-Talker in `folder`, or None where there is none."""
    if not (folder / "gpt-talker.safetensors").is_file():
        logger.info("there is no gpt-talker in %s: training without it", folder)
        return None
    return load_model(folder, "gpt-talker", GPTTalker, GPTTalkerConfig)


@dataclass(frozen=True)
class Start:
    """How a predictor begins: its weights, where they are another's, its highest rate and the
    positions of a batch."""

    talker: GPTTalker | None
    rate: float
    batch: int

    def sizes(self, dialogues: Dialogues, recipe: DialogueRecipe) -> dict[str, Any]:
        """What is known of the configuration beside what `recipe` has of it.

        Raises:
            InputError: the weights to begin with have other sizes than `recipe` asks for.
        """
        if self.talker is None:
            return dialogues.sizes
        check_sizes(recipe, self.talker.config, "gpt-talker", names=_SHARED)
        return dialogues.sizes | shared_sizes(self.talker)

    def fill(self, model: DialogueModel) -> None:
        """Gives a new model the weights that it begins with."""
        if self.talker is not None:
            begin_with(model, self.talker)


def go_on(recipe: DialogueRecipe) -> Start:
    """With trained weights of its own kind."""
    return Start(None, recipe.warm_rate, recipe.warm_batch)


def start_with(talker: GPTTalker | None, recipe: DialogueRecipe) -> Start:
    """With the weights of `talker`; without one anew."""
    if talker is None:
        return Start(None, recipe.rate, recipe.batch)
    return Start(talker, recipe.warm_rate, recipe.warm_batch)


def shared_sizes(talker: GPTTalker) -> dict[str, Any]:
    """The fields of a configuration that a predictor takes over from `talker`."""
    return {name: getattr(talker.config, name) for name in _SHARED}


def begin_with(model: DialogueModel, talker: GPTTalker) -> list[str]:
    """Copies the weights that both have; returns the names of those that stay as they are."""
    fresh = copy_what_fits(model, dict(talker.named_parameters()))
    logger.info("%s begins with gpt-talker's weights; %d are new", model.name, len(fresh))
    return fresh


def with_all_symbols(config: Config) -> Config:
    """`config` with the present inventory of symbols, where its own is an older, shorter one."""
    symbols: tuple[str, ...] = config.symbols  # type: ignore[attr-defined]
    longest = max(symbols, SYMBOLS, key=len)
    return dataclasses.replace(config, symbols=longest)  # type: ignore[type-var]


def load_further(
    folder: Path,
    name: str,
    kind: Callable[[Config], Model],
    config: type[Config],
    languages: tuple[str, ...],
) -> Model:
    """The predictor called `name`, to be trained further, and from then on to speak `languages`:
    its tables of symbols grow to the present inventory, new rows as they are initialised.

    Raises:
        MissingModelError: it is not in `folder`.
    """
    known = with_all_symbols(load_config(folder, name, config))
    model = kind(dataclasses.replace(known, languages=languages))  # type: ignore[type-var, call-arg]
    model.load_state_dict(grown(load_tensors(folder, name), model), strict=True)
    return model


def grown(known: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """The weights `known`, but tables of symbols as long as those of `model`, whose rows stand
    where the known ones end."""
    found = dict(known)
    for name, own in model.state_dict().items():
        old = known.get(name)
        longer = old is not None and len(own) > len(old) and own.shape[1:] == old.shape[1:]
        if old is not None and longer and name.endswith(_SYMBOL_TABLES):
            found[name] = torch.cat([old, own[len(old) :].to(old)])
    return found


@torch.no_grad()
def copy_what_fits(model: nn.Module, known: Mapping[str, Tensor]) -> list[str]:
    """Copies the weights of `known` that `model` has in the same shape, or that are `grown` to it;
    the names of those that stay as they are."""
    fresh = []
    known = grown(known, model)
    for name, parameter in model.named_parameters():
        if name in known and known[name].shape == parameter.shape:
            parameter.copy_(known[name])
        else:
            fresh.append(name)
    return fresh
