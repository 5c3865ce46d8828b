"""A dialogue's script follows from the recipe and its number."""

import itertools
import json
import random
from collections import Counter
from pathlib import Path

import pytest

from data.errors import InputError, MissingModelError
from data.synthetic import corpus as corpus_module
from data.synthetic.kokoro.store import Store
from data.synthetic.kokoro.voices import kokoro_voices
from data.synthetic.recipe import Recipe, cast_of, dialogue_seed, is_classic, scripts

pytest.importorskip("spellchecker", reason="pyspellchecker is missing (launch.py data teacher)")
CHINESE = "今天明天昨天上午下午早上晚上星期"


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Two hundred dialogues per language."""
    folder = tmp_path_factory.mktemp("texts")
    for language, say in (
        ("en", "We saw a big tree and a dog, number"),
        ("zh", "我们看见了一棵大树"),
    ):
        lines = []
        for number in range(200):
            name = "".join(chr(97 + int(c)) for c in str(number)).capitalize()
            end = f" {name}" if language == "en" else "".join(CHINESE[int(c)] for c in str(number))
            turns = [
                {"speaker": ("user", "agent")[i % 2], "text": f"{say}{end}{' ok' * i}"}
                for i in range(4)
            ]
            lines.append(json.dumps({"id": str(number), "language": language, "turns": turns}))
        (folder / f"{language}.jsonl").write_text("\n".join(lines))
    return str(folder / "en.jsonl"), str(folder / "zh.jsonl")


def first(recipe: Recipe, index: int):
    return next(scripts(recipe, index))


def test_a_fifth_is_classic_and_a_fifth_of_the_rest_mandarin(texts: tuple[str, ...]) -> None:
    recipe = Recipe(1, engines="all", texts=texts)
    kinds = Counter((is_classic(recipe, i), first(recipe, i).language) for i in range(500))
    assert kinds == {(True, "en"): 100, (False, "en"): 320, (False, "zh"): 80}
    alone = Recipe(1, engines="teacher", texts=texts)
    assert Counter(first(alone, i).language for i in range(500)) == {"en": 400, "zh": 100}


def test_the_grammar_writes_both_languages() -> None:
    recipe = Recipe(1, engines="all")
    assert Counter(first(recipe, i).language for i in range(100)) == {"en": 84, "zh": 16}
    classic = Recipe(1, engines="classic")
    assert {first(classic, i).language for i in range(100)} == {"en"}


def test_all_texts_are_used_before_any_is_repeated(texts: tuple[str, ...]) -> None:
    recipe = Recipe(1, engines="teacher", texts=texts)
    sources = [(s.language, s.source) for s in (first(recipe, i) for i in range(150))]
    assert len(set(sources)) == len(sources)
    other = Recipe(2, engines="teacher", texts=texts)
    assert [(s.language, s.source) for s in (first(other, i) for i in range(150))] != sources


def test_a_dialogue_has_alternative_texts(texts: tuple[str, ...]) -> None:
    several = list(itertools.islice(scripts(Recipe(1, engines="teacher", texts=texts), 3), 10))
    assert len({script.source for script in several}) == 10


def test_voices_speak_their_language_and_their_split(texts: tuple[str, ...]) -> None:
    for split in ("train", "validation", "test"):
        recipe = Recipe(3, split, "teacher", texts=texts)
        cast, at_home = {}, Counter()
        for index, language in itertools.product(range(300), ("en", "zh")):
            pair = cast_of(recipe, index, language, random.Random(index))
            assert pair[0].id != pair[1].id
            cast |= {voice.id: voice for voice in pair}
            assert len({voice.language for voice in pair}) == 1
            at_home[language] += pair[0].language == language
        assert any(voice.held_out for voice in cast.values()) == (split == "test")
        assert 240 < at_home["en"] < 300 and 150 < at_home["zh"] < 240
    assert sum(voice.held_out for voice in cast.values()) > 25


def test_base_voices_speak_equally_often() -> None:
    recipe = Recipe(1, engines="teacher", cast="base")
    drawn = Counter(
        voice.id for i in range(210) for voice in cast_of(recipe, i, "en", random.Random(i))
    )
    trained = [v for v in kokoro_voices().values() if v.base and not v.held_out]
    assert drawn.keys() == {voice.id for voice in trained if voice.language == "en"}
    assert max(drawn.values()) - min(drawn.values()) <= 4


def test_a_cast_of_voices_held_out_has_no_trained_one() -> None:
    recipe = Recipe(1, "test", engines="teacher", cast="held-out")
    drawn = Counter(
        voice for i in range(200) for voice in cast_of(recipe, i, "en", random.Random(i))
    )
    assert all(voice.held_out for voice in drawn) and len(drawn) > 15
    assert max(drawn.values()) - min(drawn.values()) <= 4


def test_seeds_of_three_splits_never_meet() -> None:
    seeds = {
        split: {dialogue_seed(Recipe(seed, split), i) for seed in range(5) for i in range(200)}
        for split in ("train", "test", "validation")
    }
    assert max(seeds["train"]) < 1 << 62 <= min(seeds["test"])
    assert max(seeds["test"]) < 1 << 63 <= min(seeds["validation"]) < 3 << 62


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"split": "dev"}, "--split is 'dev'"),
        ({"engines": "siri"}, "--engines is 'siri'"),
        ({"cast": "none"}, "--cast is 'none'"),
        ({"cast": "held-out"}, "--cast held-out needs --split test"),
        ({"texts": ("nowhere.jsonl",)}, "nowhere.jsonl does not exist"),
    ],
)
def test_invalid_recipes_are_explained(change: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Recipe(1, **change).check()


def test_missing_engines_are_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_module, "default_store", lambda: Store(tmp_path / "nowhere"))
    for engines in ("all", "teacher"):
        with pytest.raises(MissingModelError, match=r"data teacher.*--engines classic"):
            corpus_module.make_corpus(tmp_path / "new", 1.0, Recipe(1, engines=engines))
    complete = Store(tmp_path)
    for name in ("model.safetensors", "voices.safetensors", "config.json"):
        (tmp_path / name).touch()
    monkeypatch.setattr(corpus_module, "default_store", lambda: complete)
    monkeypatch.setattr(corpus_module, "missing_synthesizers", lambda: "flite is not installed")
    with pytest.raises(MissingModelError, match=r"flite is not installed.*--engines teacher"):
        corpus_module.make_corpus(tmp_path / "new", 1.0, Recipe(1, engines="all"))
    assert not (tmp_path / "new").exists()
