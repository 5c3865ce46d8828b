"""The predictors by name, and loading them."""

from pathlib import Path

from data.errors import InputError
from models.checkpoint import load_config, load_model
from models.predictors.dialogue_model import DialogueConfig, DialogueModel
from models.predictors.flow_omni import FlowOmni, FlowOmniConfig
from models.predictors.gpt_talker import GPTTalker, GPTTalkerConfig
from models.predictors.ham_tts import HamTTS, HamTTSConfig

_PREDICTORS: dict[str, tuple[type[DialogueModel], type]] = {
    "gpt-talker": (GPTTalker, GPTTalkerConfig),
    "ham-tts": (HamTTS, HamTTSConfig),
    "flow-omni": (FlowOmni, FlowOmniConfig),
}
PREDICTORS = tuple(_PREDICTORS)


def predictor_config(folder: Path, name: str) -> DialogueConfig:
    """Reads the configuration beside a predictor's weights without loading the weights."""
    return load_config(folder, name, _PREDICTORS[name][1])


def load_predictors(folder: Path, only: str | None = None) -> list[DialogueModel]:
    """Loads the predictors in `folder`, or only the one named.

    Raises:
        InputError: `only` is not a predictor.
        MissingModelError: it, or every predictor, is missing.
    """
    if only is not None and only not in _PREDICTORS:
        raise InputError(f"the predictor {only!r} is none of {', '.join(PREDICTORS)}")
    there = [name for name in PREDICTORS if (folder / f"{name}.safetensors").is_file()]
    loaded = []
    for name in [only] if only else there or PREDICTORS[:1]:
        kind, config = _PREDICTORS[name]
        loaded.append(load_model(folder, name, kind, config))
    return loaded
