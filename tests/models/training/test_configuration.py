"""Recipe configurations: sizes of the presets, files, overrides, and refusals."""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import nn

from data.errors import InputError
from models.checkpoint import WEIGHTS, load_config
from models.predictors.flow_omni import FlowOmni
from models.predictors.gpt_talker import GPTTalker, GPTTalkerConfig
from models.predictors.ham_tts import HamTTS
from models.predictors.thinker import ThinkerConfig, build_thinker
from models.text.symbols import stored_inventory
from models.tokenizers.acoustic import AcousticTokenizer
from models.tokenizers.semantic import SemanticTokenizer
from models.training.configuration import (
    as_values,
    check_sizes,
    configured,
    describe,
    nested,
    parse_assignment,
    read_config,
    settings,
)
from models.training.gpt_talker import GPTTalkerRecipe
from models.training.recipes import RECIPES
from models.vocoder.acoustic_decoder import AcousticDecoder
from models.vocoder.decoder import Decoder
from models.vocoder.posterior import Posterior
from models.vocoder.prior import Prior
from models.vocoder.style import StyleEncoder

NAMES = tuple(RECIPES)
SETTINGS = [(name, key) for name in NAMES for key, _ in settings(RECIPES[name]())]


def preset(choice: str) -> dict[str, Any]:
    values = read_config(choice, NAMES)
    return {name: configured(RECIPES[name](), values.get(name, {}), name) for name in NAMES}


def models_of(recipes: dict[str, Any]) -> dict[str, nn.Module]:
    """All models of a folder of weights, with the bundle's inventory, on the meta device."""

    def sized(name: str, **derived: Any) -> Any:
        if hasattr(recipes[name].model, "symbols"):
            stored = WEIGHTS / f"{'semantic' if name == 'tokenizer' else name}.json"
            derived["symbols"] = stored_inventory(json.loads(stored.read_text()))
        return dataclasses.replace(recipes[name].model, **derived)

    vocoder = recipes["vocoder"]
    latents = {"latent_dim": vocoder.posterior.latent_dim}
    voice = {"style_dim": recipes["style"].model.style_dim}
    codes = {"levels": recipes["tokenizer"].model.levels}
    heard = {"feature_dim": recipes["tokenizer"].model.dim}
    words = {"words": load_config(WEIGHTS, "omni-thinker", ThinkerConfig).words}
    with torch.device("meta"):
        acoustic = AcousticTokenizer(sized("acoustic", **latents))
        first = {"num_codes": acoustic.config.num_codes, "num_refined": 0}
        return {
            "style": StyleEncoder(sized("style")),
            "semantic": SemanticTokenizer(sized("tokenizer")),
            "posterior": Posterior(vocoder.posterior),
            "decoder": Decoder(dataclasses.replace(vocoder.decoder, **latents, **voice)),
            "gpt-talker": GPTTalker(sized("gpt-talker", **voice, **codes)),
            "prior": Prior(sized("prior", **latents, **voice, **codes)),
            "flow-omni": FlowOmni(sized("flow-omni", **latents, **voice)),
            "acoustic": acoustic,
            "ham-tts": HamTTS(sized("ham-tts", **voice, **first)),
            "acoustic-decoder": AcousticDecoder(sized("acoustic-decoder", **voice), acoustic),
            "omni-thinker": build_thinker(sized("omni-thinker", **heard, **words), WEIGHTS),
        }


def num_parameters(models: dict[str, nn.Module]) -> int:
    return sum(value.numel() for model in models.values() for value in model.state_dict().values())


@pytest.mark.parametrize(("choice", "millions"), [("base", 120), ("large", 800)])
def test_presets_have_their_stated_size(choice: str, millions: int) -> None:
    assert num_parameters(models_of(preset(choice))) == pytest.approx(1e6 * millions, rel=0.05)


def test_small_is_the_bundle() -> None:
    for name, model in models_of(preset("small")).items():
        with safe_open(WEIGHTS / f"{name}.safetensors", "pt") as file:
            keys = [key for key in file.keys() if not key.endswith(".int8_scale")]  # noqa: SIM118
            stored = {key: tuple(file.get_slice(key).get_shape()) for key in keys}
        assert {key: tuple(value.shape) for key, value in model.state_dict().items()} == stored


def test_small_keeps_its_training_settings() -> None:
    """The settings of the bundle: another value here means another bundle."""
    small = preset("small")
    batches = {name: getattr(recipe, "batch", None) for name, recipe in small.items()}
    assert batches == {
        **{"style": 48, "tokenizer": 16, "vocoder": 5, "gpt-talker": 2560, "prior": 16},
        **{"flow-omni": 2560, "acoustic": None, "ham-tts": 2560, "acoustic-decoder": 16},
        **{"omni-thinker": 1200, "voices": None},
    }
    rates = {name: getattr(recipe, "rate", None) for name, recipe in small.items()}
    assert rates == {
        **{"style": 2e-3, "tokenizer": 1e-3, "vocoder": 1e-3, "gpt-talker": 1.2e-3},
        **{"prior": 1e-3, "flow-omni": 1e-3, "acoustic": None, "ham-tts": 1.2e-3},
        **{"acoustic-decoder": 1e-3, "omni-thinker": 1e-3, "voices": None},
    }


@pytest.mark.parametrize(("name", "key"), SETTINGS, ids=lambda part: part)
def test_every_setting_can_be_set_and_is_recorded(name: str, key: str) -> None:
    recipe = RECIPES[name]()
    before = dict(settings(recipe))[key]
    if isinstance(before, str):
        other: Any = "AABB"
    elif isinstance(before, tuple):
        other = (*before, 2)
    elif isinstance(before, bool):
        other = not before
    else:
        # doubling stays in range, except for shares
        other = 2 * before if 2 * before <= 1 or isinstance(before, int) else before / 2
    text = json.dumps(other)
    changed = configured(recipe, nested(*parse_assignment(f"{key}={text}")), name)
    assert dict(settings(changed)) == {**dict(settings(recipe)), key: other}
    stored = json.loads(json.dumps(as_values(changed)))
    assert configured(recipe, stored, name) == changed


@pytest.mark.parametrize("name", NAMES)
def test_description_lists_every_setting_with_its_default(name: str) -> None:
    lines = describe(RECIPES[name]()).splitlines()
    assert [line.split()[0] for line in lines] == [key for key, _ in settings(RECIPES[name]())]
    sizes = ("model.", "posterior.", "decoder.")  # described in their own docstrings
    own = [line for line in lines if not line.strip().startswith(sizes)]
    assert all(len(line.split()) > 2 for line in own), "without a meaning"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("prior", "bach=3", r"prior has no setting 'bach'; there are steps, rate, .*model\.dim"),
        ("prior", "model.width=3", r"no setting 'model\.width'"),
        ("prior", "batch.size=3", r"batch is \{'size': 3\}; it must be a whole number"),
        ("prior", "batch=many", "batch is 'many'; it must be a whole number"),
        ("prior", "batch=2.5", r"batch is 2\.5; it must be a whole number"),
        ("prior", "batch=true", "batch is True; it must be a whole number"),
        ("prior", "batch=0", "batch is 0; it must be at least 1"),
        ("prior", "batch=-4", "batch is -4; it must be at least 1"),
        ("prior", "rate=fast", "rate is 'fast'; it must be a number"),
        ("prior", "rate=nan", "rate is nan"),
        ("prior", "rate=-1e-3", r"rate is -0\.001; it must be at least 0"),
        ("prior", "drawn=1.5", r"drawn is 1\.5; it must be at least 0 and at most 1"),
        ("prior", "model=3", r"model is a group; set any of model\.symbol_dim"),
        ("prior", "model.latent_dim=3", r"model\.latent_dim cannot be set"),
        ("prior", "model.symbols=[]", r"model\.symbols cannot be set"),
        ("gpt-talker", "model.order=ABBA", "model.order is 'ABBA'; choose one of ABAB, AABB"),
        ("tokenizer", "model.levels=8", r"model\.levels is 8; it must be a list"),
        ("tokenizer", "model.levels=[8,0]", r"model\.levels is 0; it must be at least 1"),
        ("tokenizer", "model.levels=[8,'x']", r"model\.levels is 'x'; it must be a whole number"),
        ("flow-omni", "distillation.teacher_steps=6", "must be a multiple of 4"),
        ("flow-omni", "short_context.minutes=2", "at most 1"),
        ("vocoder", "kl.middle=1", r"vocoder has no setting 'kl\.middle'"),
        ("voices", "steps=3", r"voices has no setting 'steps'; there are utterances, voices"),
    ],
)
def test_wrong_settings_are_refused(name: str, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        configured(RECIPES[name](), nested(*parse_assignment(text)), name)


@pytest.mark.parametrize("text", ["batch", "=3", " = 3", ""])
def test_malformed_assignments_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="write NAME=VALUE"):
        parse_assignment(text)


def test_a_file_configures_the_recipes_it_has_tables_for(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[prior]\nbatch = 3\nmodel = { dim = 64 }\n[style]\nrate = 1\n")
    values = read_config(str(path), NAMES)
    prior = configured(RECIPES["prior"](), values["prior"], "prior")
    assert (prior.batch, prior.model.dim) == (3, 64)
    assert configured(RECIPES["style"](), values["style"], "style").rate == 1.0
    assert "tokenizer" not in values


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[priors]\nbatch = 3\n", "no recipe 'priors'.*table for any of style, tokenizer"),
        ("batch = 3\n", "no recipe 'batch'"),
        ("prior = 3\n", "no recipe 'prior'"),
        ("[prior\n", "no configuration|not a configuration in TOML"),
        ("\x00", "not a configuration in TOML"),
    ],
)
def test_wrong_files_are_refused(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(content)
    with pytest.raises(InputError, match=said):
        read_config(str(path), NAMES)


@pytest.mark.parametrize("choice", ["huge", "base.toml", "/nowhere/mine.toml", "Small"])
def test_a_missing_configuration_is_refused(choice: str) -> None:
    with pytest.raises(InputError, match="give one of small, base, large, or a TOML file"):
        read_config(choice, NAMES)


def test_sizes_other_than_those_of_the_weights_are_refused() -> None:
    known = GPTTalkerConfig(dim=512)

    def check(**sizes: Any) -> Callable[[], None]:
        recipe = GPTTalkerRecipe(model=GPTTalkerConfig(**sizes))
        return lambda: check_sizes(recipe, known, "gpt-talker")

    check()()  # nothing requested
    check(dim=512)()
    check(style_dim=3, levels=(2, 2))()  # derived from the data
    for sizes in ({"dim": 384}, {"dim": 512, "depth": 2}, {"order": "AABB"}):
        with pytest.raises(InputError, match="weights keep their sizes"):
            check(**sizes)()


@pytest.mark.parametrize(("dim", "num_heads"), [(256, 3), (10, 4), (6, 6), (255, 1)])
def test_dim_must_be_divisible_by_heads(dim: int, num_heads: int) -> None:
    recipe = GPTTalkerRecipe(model=GPTTalkerConfig(dim=dim, num_heads=num_heads))
    with torch.device("meta"), pytest.raises(InputError, match=f"dim is {dim}; .*multiple of"):
        GPTTalker(recipe.model)


def test_steps_of_a_preset_are_finite() -> None:
    for choice in ("small", "base", "large"):
        for recipe in preset(choice).values():
            assert all(math.isfinite(v) for _, v in settings(recipe) if isinstance(v, float))
