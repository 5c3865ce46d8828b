"""A Hugging Face language model as the thinker's backbone: a small random one."""

from pathlib import Path

import pytest
import torch
import transformers

from data.errors import InputError
from models.omni import load_thinker
from models.predictors.sampling import SamplingOptions
from models.predictors.thinker import AGENT, USER, Exchange, Thinker, ThinkerConfig, build_thinker
from models.training.thinker import BACKBONE_FOLDER, save_thinker

SENTENCES = ["Yes. The oven is in.", "No, the baker is not in the kitchen.", "I see."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    where = tmp_path_factory.mktemp("language-model")
    letters = Tokenizer(models.BPE())
    letters.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    letters.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    letters.train_from_iterator(
        SENTENCES, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet)
    )
    transformers.PreTrainedTokenizerFast(tokenizer_object=letters).save_pretrained(where)
    config = transformers.Qwen2Config(
        vocab_size=len(letters.get_vocab()), hidden_size=32, intermediate_size=48,
        num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.Qwen2ForCausalLM(config)
    for parameter in model.parameters():
        parameter.data *= 4.0
    model.save_pretrained(where)
    return where


@pytest.fixture
def thinker(folder: Path) -> Thinker:
    torch.manual_seed(1)
    config = ThinkerConfig(
        feature_dim=16, dim=16, listen_depth=1, num_heads=2, ffn_dim=32, backbone=str(folder)
    )
    return build_thinker(config, Path()).eval().requires_grad_(False)


def user_turn() -> Exchange:
    sound = torch.randn(14, 16, generator=torch.Generator().manual_seed(2))
    return Exchange(USER, sound=sound)


def agent_turn(thinker: Thinker, text: str) -> Exchange:
    return Exchange(AGENT, tokens=thinker.backbone.encode(text))


def answer(thinker: Thinker, turns: list[Exchange]) -> list[tuple[int | None, int]]:
    generator = torch.Generator().manual_seed(0)
    return list(thinker.answer(turns, SamplingOptions(temperature=0.0), generator))


def test_training_and_inference_build_the_same_sequence(thinker: Thinker) -> None:
    turns = [user_turn(), agent_turn(thinker, SENTENCES[0]), user_turn()]
    tokens = [token for token, _ in answer(thinker, turns) if token is not None]
    read = thinker.read([[*turns, Exchange(AGENT, tokens=tokens)]])
    last = thinker.backbone(read.vectors)[0][-len(tokens) - 1 : -1]
    assert thinker.backbone.logits(last).argmax(-1).tolist() == tokens


def test_backbone_uses_the_models_tokenizer(thinker: Thinker) -> None:
    for sentence in SENTENCES:
        assert thinker.backbone.decode(thinker.backbone.encode(sentence)) == sentence
    assert thinker.backbone.word("oven") == thinker.backbone.encode(" oven")[0]


@pytest.mark.parametrize("stage", [1, 2])
def test_stages_train_their_parameters_and_reload(
    thinker: Thinker, stage: int, tmp_path: Path
) -> None:
    """Stage 1 freezes the language model; stage 2 trains it and saves it alongside."""
    thinker.train().requires_grad_(True)
    if stage == 1:
        thinker.backbone.requires_grad_(False)
    rows = [[user_turn(), agent_turn(thinker, SENTENCES[1])]]
    before = {name: value.clone() for name, value in thinker.state_dict().items()}
    optimizer = torch.optim.Adam([p for p in thinker.parameters() if p.requires_grad], 1e-2)
    for _ in range(12):
        loss = sum(vars(thinker.losses(rows)).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    changed = {n.split(".")[0] for n, v in thinker.state_dict().items() if not v.equal(before[n])}
    assert changed == {"adapter", "who", "state_head"} | ({"backbone"} if stage == 2 else set())
    thinker.eval().requires_grad_(False)
    save_thinker(tmp_path, thinker, stage)
    assert (tmp_path / BACKBONE_FOLDER).is_dir() == (stage == 2)
    loaded = load_thinker(tmp_path)
    assert answer(loaded, [user_turn()])[:5] == answer(thinker, [user_turn()])[:5]


def test_a_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"config\.json"):
        build_thinker(ThinkerConfig(backbone=str(tmp_path)), Path())
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="no causal language model"):
        build_thinker(ThinkerConfig(backbone=str(tmp_path)), Path())
