"""Starts a predictor from GPT-Talker's weights.

The predictors share everything that reads a dialogue (`DialogueModel`): pronunciation, the
pointer's motion, how prosody follows from the context. Only the frames differ, so the rest can be
transferred, as Flow-Omni starts from a language model (arXiv 2412.04917, section 2.1).
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

# Sizes and plan bins that a predictor takes over.
_SHARED = (
    *("style_dim", "dim", "depth", "num_heads", "ffn_dim", "unit_depth"),
    *("plan_low", "plan_high"),
)
# Tables with one row per symbol, or per symbol and stress.
_SYMBOL_TABLES = ("units.symbol.weight", "context.around.weight", "symbols.weight")

Config = TypeVar("Config")
Model = TypeVar("Model", bound=nn.Module)


def trained_talker(folder: Path) -> GPTTalker | None:
    """Loads the GPT-Talker in `folder`; None if there is none."""
    if not (folder / "gpt-talker.safetensors").is_file():
        logger.info("no gpt-talker in %s: training without it", folder)
        return None
    return load_model(folder, "gpt-talker", GPTTalker, GPTTalkerConfig)


@dataclass(frozen=True)
class Start:
    """Starting point of a predictor: weights to start from, if any, peak learning rate and
    positions per batch."""

    talker: GPTTalker | None
    rate: float
    batch: int

    def sizes(self, dialogues: Dialogues, recipe: DialogueRecipe) -> dict[str, Any]:
        """Known fields of the configuration beyond those of `recipe`.

        Raises:
            InputError: the weights to start from have sizes other than those requested.
        """
        if self.talker is None:
            return dialogues.sizes
        check_sizes(recipe, self.talker.config, "gpt-talker", names=_SHARED)
        return dialogues.sizes | shared_sizes(self.talker)

    def fill(self, model: DialogueModel) -> None:
        """Copies the weights to start from into a new model."""
        if self.talker is not None:
            copy_shared_weights(model, self.talker)


def start_further(recipe: DialogueRecipe) -> Start:
    """For fine-tuning a model of the same kind."""
    return Start(None, recipe.warm_rate, recipe.warm_batch)


def start_from(talker: GPTTalker | None, recipe: DialogueRecipe) -> Start:
    """For training with the weights of `talker`, or from scratch."""
    if talker is None:
        return Start(None, recipe.rate, recipe.batch)
    return Start(talker, recipe.warm_rate, recipe.warm_batch)


def shared_sizes(talker: GPTTalker) -> dict[str, Any]:
    """The configuration fields taken over from `talker`."""
    return {name: getattr(talker.config, name) for name in _SHARED}


def copy_shared_weights(model: DialogueModel, talker: GPTTalker) -> list[str]:
    """Copies the shared weights; returns the names of the parameters left as initialised."""
    fresh = copy_what_fits(model, dict(talker.named_parameters()))
    logger.info("%s starts from gpt-talker; %d parameters are new", model.name, len(fresh))
    return fresh


def with_all_symbols(config: Config) -> Config:
    """`config` with the current symbol inventory, if its own is an older, shorter one."""
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
    """Loads the predictor called `name` for fine-tuning in `languages`; symbol tables grow to the
    current inventory, with freshly initialised rows.

    Raises:
        MissingModelError: it is missing from `folder`.
    """
    known = with_all_symbols(load_config(folder, name, config))
    model = kind(dataclasses.replace(known, languages=languages))  # type: ignore[type-var, call-arg]
    model.load_state_dict(grown(load_tensors(folder, name), model), strict=True)
    return model


def grown(known: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """The weights `known`, with symbol tables extended to the length of `model`'s by its rows."""
    found = dict(known)
    for name, own in model.state_dict().items():
        old = known.get(name)
        longer = old is not None and len(own) > len(old) and own.shape[1:] == old.shape[1:]
        if old is not None and longer and name.endswith(_SYMBOL_TABLES):
            found[name] = torch.cat([old, own[len(old) :].to(old)])
    return found


@torch.no_grad()
def copy_what_fits(model: nn.Module, known: Mapping[str, Tensor]) -> list[str]:
    """Copies the weights of `known` whose shape, after `grown`, matches; returns the names of the
    other parameters."""
    fresh = []
    known = grown(known, model)
    for name, parameter in model.named_parameters():
        if name in known and known[name].shape == parameter.shape:
            parameter.copy_(known[name])
        else:
            fresh.append(name)
    return fresh
