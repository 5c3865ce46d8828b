"""The symbol inventory is stored with the weights and is append-only."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from data.errors import InputError
from models.checkpoint import WEIGHTS, load_config, load_tensors, save_model
from models.predictors.flow_omni import FlowOmni, FlowOmniConfig
from models.predictors.gpt_talker import GPTTalker, GPTTalkerConfig
from models.predictors.ham_tts import HamTTS, HamTTSConfig
from models.predictors.units import no_text, units_of, units_of_text
from models.speaker import Speaker
from models.text import SYMBOLS, Phonemes
from models.text.symbols import FIRST_SYMBOLS, IDS, stored_inventory
from models.tokenizers.semantic import SemanticConfig
from models.training.corpus import Corpus
from models.training.gpt_talker import GPTTalkerRecipe, train_gpt_talker
from models.training.job import Job
from models.training.loop import Budget
from models.training.warm_start import copy_shared_weights, copy_what_fits, load_further
from models.vocoder.acoustic_decoder import AcousticDecoder, AcousticDecoderConfig
from models.vocoder.prior import Prior, PriorConfig
from tests.tiny import CONFIGS, save_tiny, tiny

FEW = SYMBOLS[:50]  # as if the last ten, among them ʃ, h, m and n, were newer
KINDS = {
    "semantic": SemanticConfig,
    "prior": PriorConfig,
    "acoustic-decoder": AcousticDecoderConfig,
    "gpt-talker": GPTTalkerConfig,
    "ham-tts": HamTTSConfig,
    "flow-omni": FlowOmniConfig,
}
PREDICTORS = {
    "gpt-talker": (GPTTalker, GPTTalkerConfig),
    "ham-tts": (HamTTS, HamTTSConfig),
    "flow-omni": (FlowOmni, FlowOmniConfig),
}


def with_few(name: str) -> torch.nn.Module:
    """A tiny model with the inventory `FEW`."""
    config = dataclasses.replace(CONFIGS[name], symbols=FEW)
    torch.manual_seed(3)
    if name == "acoustic-decoder":
        model = AcousticDecoder(config, tiny("acoustic"))
    else:
        model = type(tiny(name))(config)
    return model.eval().requires_grad_(False)


def folder_with_few(folder: Path, *names: str) -> Path:
    save_tiny(folder)
    for name in names:
        save_model(folder, name, with_few(name), with_few(name).config, half=False)
    return folder


@pytest.mark.parametrize("name", KINDS)
def test_bundled_weights_store_their_inventory(name: str) -> None:
    symbols = load_config(WEIGHTS, name, KINDS[name]).symbols
    assert len(symbols) >= len(FIRST_SYMBOLS) and symbols == SYMBOLS[: len(symbols)]


@pytest.mark.parametrize("name", KINDS)
def test_the_inventory_is_stored_with_the_weights(name: str, tmp_path: Path) -> None:
    save_model(tmp_path, name, with_few(name), with_few(name).config, half=True)
    assert json.loads((tmp_path / f"{name}.json").read_text())["symbols"] == list(FEW)
    assert load_config(tmp_path, name, KINDS[name]).symbols == FEW


@pytest.mark.parametrize(
    "symbols",
    [SYMBOLS[:1], SYMBOLS[:59], SYMBOLS, (*SYMBOLS, "ǀ"), (*SYMBOLS, "ǀ", "<xx>")],
    ids=len,
)
def test_shorter_and_longer_inventories_load(symbols: tuple[str, ...]) -> None:
    assert stored_inventory({"symbols": list(symbols)}) == symbols


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ({"symbols": [*SYMBOLS[:4], "<xx>", *SYMBOLS[4:]]}, "symbol 4 is '<xx>'; here it is ','"),
        ({"symbols": [SYMBOLS[1], SYMBOLS[0]]}, "symbol 0 is '<unk>'"),
        ({"symbols": [*SYMBOLS[:58], SYMBOLS[59], SYMBOLS[58]]}, "symbol 58"),
        ({"symbols": [*SYMBOLS[:20], *SYMBOLS[21:]]}, "symbol 20"),
        ({"symbols": "".join(SYMBOLS)}, "not a list"),
        ({"symbols": [1, 2]}, "not a list"),
        ({"num_symbols": 61}, "61 symbols"),
        ({"num_symbols": 12}, "12 symbols"),
        ({}, "None symbols"),
    ],
)
def test_an_inventory_with_other_ids_is_refused(stored: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        stored_inventory(stored)


def test_weights_with_another_inventory_are_refused(tmp_path: Path) -> None:
    save_model(tmp_path, "prior", with_few("prior"), with_few("prior").config, half=True)
    path = tmp_path / "prior.json"
    stored = json.loads(path.read_text())
    path.write_text(json.dumps({**stored, "symbols": stored["symbols"][::-1]}))
    with pytest.raises(InputError, match=r"prior\.json cannot be used.*symbol 0"):
        load_config(tmp_path, "prior", PriorConfig)


@pytest.mark.parametrize(
    ("short", "speaks", "named"),
    [
        ("gpt-talker", "gpt-talker", "gpt-talker"),
        ("ham-tts", "ham-tts", "ham-tts"),
        ("flow-omni", "flow-omni", "flow-omni"),
        ("prior", "gpt-talker", "the prior"),
        ("acoustic-decoder", "ham-tts", "the acoustic decoder"),
        ("semantic", "flow-omni", "the semantic tokenizer"),
    ],
)
def test_texts_outside_the_inventory_are_refused(
    short: str, speaks: str, named: str, tmp_path: Path
) -> None:
    speaker = Speaker.load(folder_with_few(tmp_path, short), predictor=speaks)
    voice = speaker.voices["one"]
    reply = speaker.speak(speaker.open_dialogue(), "Pick a cat.", voice)
    assert sum(map(len, reply)) > 0
    reply = speaker.speak(speaker.open_dialogue(), "Shut him in.", voice)
    with pytest.raises(InputError, match=f"{named} has not learnt: ʃ h m n .*first 50 of"):
        list(reply)
    if short not in ("prior", "acoustic-decoder"):  # not needed to encode audio
        sound = 0.1 * torch.randn(24_000, generator=torch.Generator().manual_seed(1)).numpy()
        with pytest.raises(InputError, match=f"{named} has not learnt: ʃ m"):
            speaker.add_turn(speaker.open_dialogue(), 0, "Shame.", sound)


def test_only_models_that_read_the_text_refuse_it(tmp_path: Path) -> None:
    folder = folder_with_few(tmp_path, "prior", "gpt-talker", "acoustic-decoder")
    speaker = Speaker.load(folder)
    reply = speaker.speak(speaker.open_dialogue("flow-omni"), "Shut him in.", speaker.voices["one"])
    assert sum(map(len, reply)) > 0


@pytest.mark.parametrize("name", PREDICTORS)
def test_a_longer_inventory_appends_rows(name: str, tmp_path: Path) -> None:
    kind, config = PREDICTORS[name]
    short = with_few(name)
    save_model(tmp_path, name, short, short.config, half=False)
    both = ("en-us", "zh")
    model = load_further(tmp_path, name, kind, config, both)
    assert model.config == dataclasses.replace(short.config, symbols=SYMBOLS, languages=both)
    grew = set()
    for key, old in short.state_dict().items():
        new = model.state_dict()[key]
        assert torch.equal(new[: len(old)], old) if old.dim() else torch.equal(new, old)
        if new.shape != old.shape:
            grew.add(key)
            assert len(new) * len(FEW) == len(old) * len(SYMBOLS)
            assert (new[len(old) :].std(1) > 0).all(), (
                "rows that are all alike cannot be told apart"
            )
    around = {"context.around.weight"} if name == "flow-omni" else set()
    assert grew == {"units.symbol.weight"} | around


@pytest.mark.parametrize("name", ["ham-tts", "flow-omni"])
def test_starting_from_a_gpt_talker_with_a_shorter_inventory(name: str) -> None:
    talker = with_few("gpt-talker")
    model = tiny(name)
    before = model.units.symbol.weight[len(FEW) :].clone()
    assert "units.symbol.weight" not in copy_shared_weights(model, talker)
    assert torch.equal(model.units.symbol.weight[: len(FEW)], talker.units.symbol.weight)
    assert torch.equal(model.units.symbol.weight[len(FEW) :], before)


def test_further_grows_the_symbol_table(root: Path, corpus: Corpus, tmp_path: Path) -> None:
    folder = folder_with_few(tmp_path / "weights", "gpt-talker")
    job = Job(root, corpus, folder, tmp_path / "work", 1, Budget(1))
    train_gpt_talker(job, GPTTalkerRecipe(), further=True)
    assert load_config(folder, "gpt-talker", GPTTalkerConfig).symbols == SYMBOLS
    table = load_tensors(folder, "gpt-talker")["units.symbol.weight"]
    assert len(table) == len(SYMBOLS)
    reply_in = Speaker.load(folder, predictor="gpt-talker")
    reply = reply_in.speak(reply_in.open_dialogue(), "Shut him in.", reply_in.voices["one"])
    assert sum(map(len, reply)) > 0


@pytest.mark.parametrize("kind", [Prior, AcousticDecoder])
def test_renderers_grow_too(kind: type) -> None:
    name = "prior" if kind is Prior else "acoustic-decoder"
    model, short = tiny(name), with_few(name)
    assert copy_what_fits(model, short.state_dict()) == []
    assert torch.equal(model.symbols.weight[: len(FEW)], short.symbols.weight)


def test_units_start_with_the_language_mark() -> None:
    assert units_of_text("Hello.").symbols[0] == IDS["<en-us>"]
    assert no_text().symbols == (IDS["<en-us>"],)
    switched = Phonemes(
        ["<en-us>", "h", "aɪ", "<en-us>", " ", "ˈ", "aɪ"], [("hi", 1, 3), ("I", 5, 7)]
    )
    units = units_of(switched)
    assert [SYMBOLS[s] for s in units.symbols] == ["<en-us>", "h", "aɪ", "<en-us>", "aɪ", "."]
    assert units.stress == (0, 0, 0, 0, 1, 0)
    assert units.starts == (0, 1, 0, 0, 1, 0)
    assert units.words == (("hi", 1, 3), ("I", 4, 5))
