"""Phonemes: inventory, word spans, cache, threads."""

import hashlib
import random
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pocketsphinx
import pytest

from data.errors import InputError
from models.text import SYMBOLS, Phonemes, phonemize, symbol_ids
from models.text.symbols import UNKNOWN, split_phone

COMMON = "the of and a in to is was it for with he be on i that by at you had to of the".split()


def spoken(phonemes: Phonemes) -> list[tuple[str, str]]:
    return [(word, "".join(phonemes.symbols[a:b])) for word, a, b in phonemes.words]


@pytest.fixture(scope="module")
def words() -> list[str]:
    """Plain English words, sampled from the recogniser's dictionary."""
    path = Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict"))
    found = [line.split()[0] for line in path.read_text(encoding="utf-8").splitlines()]
    plain = [word for word in found if re.fullmatch(r"[a-z]+('[a-z]+)?", word) and len(word) > 2]
    return random.Random(7).sample(plain, 6000)


def test_the_inventory_is_append_only() -> None:
    """Ids index trained embeddings: symbols may be appended, never moved."""
    assert len(set(SYMBOLS)) == len(SYMBOLS)
    assert SYMBOLS[:4] == ("<pad>", "<unk>", "<en-us>", " ")
    digest = hashlib.sha256("\n".join(SYMBOLS[:60]).encode()).hexdigest()
    assert digest.startswith("27745d17a7a363d9")


def test_ids() -> None:
    assert symbol_ids(SYMBOLS) == list(range(len(SYMBOLS)))
    assert symbol_ids(["ʘ"]) == [SYMBOLS.index("<unk>")]


def test_english_words_have_no_unknown_phones(words: list[str]) -> None:
    for word, phonemes in zip(words, phonemize(words), strict=True):
        assert set(phonemes.symbols) <= set(SYMBOLS)
        assert UNKNOWN not in phonemes.symbols, word
        assert len(phonemes.words) == 1, word


@pytest.mark.parametrize(
    ("phone", "symbols"),
    [
        ("ˈɑːɹ", ("ˈ", "ɑː", "ɹ")),
        ("tʃ", ("tʃ",)),
        ("aɪɚ", ("aɪ", "ɚ")),
        ("n̩", ("ə", "n")),
        ("ɑ̃", ("ɑː",)),
        ("iːː", ("iː",)),
        ("x", ("k",)),
        ("ʘ", (UNKNOWN,)),
    ],
)
def test_phones_map_to_the_inventory(phone: str, symbols: tuple[str, ...]) -> None:
    assert split_phone(phone) == symbols


def test_letters_are_read_by_name() -> None:
    names = "biː siː diː iː ɛf dʒiː eɪtʃ dʒeɪ keɪ ɛl ɛm ɛn oʊ piː kjuː ɑːɹ ɛs tiː juː viː".split()
    for letter, name in zip("BCDEFGHJKLMNOPQRSTUV", names, strict=True):
        letters = "".join(phonemize([f"{letter}{letter}QZT"])[0].symbols[1:]).split()
        assert letters[0].replace("ˈ", "").replace("ˌ", "") == name, letter
    assert spoken(phonemize(["the USA at 5 a.m."])[0])[1][1].endswith("ˈeɪ")


def test_structure_of_phonemes() -> None:
    phonemes = phonemize(["Hello there, you: go!"])[0]
    assert phonemes.symbols[0] == "<en-us>"
    assert "".join(phonemes.symbols[1:]) == "həlˈoʊ ðˈɛɹ, juː: ɡˈoʊ!"


def test_a_number_is_one_written_word() -> None:
    found = dict(spoken(phonemize(["I have 42 of the cars."])[0]))
    assert found["42"] == "fˈɔːɹɾi tˈuː"


def test_words_that_run_together_are_separated() -> None:
    found = spoken(phonemize(["One of the men had to go, of a kind, in the lunchroom."])[0])
    assert [word for word, _ in found[:6]] == ["One", "of", "the", "men", "had", "to"]
    sounds = [sound for _, sound in found]
    assert sounds[1:3] == ["ʌv", "ðə"] and sounds[4:6] == ["hæd", "tə"]
    assert found[-1] == ("lunchroom", "lˈʌntʃɹuːm")


def test_spans_cover_all_but_boundaries_and_marks(words: list[str]) -> None:
    draw = random.Random(3)
    for _ in range(300):
        chosen = [draw.choice(COMMON if draw.random() < 0.6 else words) for _ in range(9)]
        phonemes = phonemize([f"{' '.join(chosen)}, {draw.randrange(10_000)} times."])[0]
        assert [word for word, _, _ in phonemes.words][:9] == chosen
        inside: set[int] = set()
        for word, start, end in phonemes.words:
            span = phonemes.symbols[start:end]
            assert span and not set(span) & set(",."), word
            assert span[0] != " " != span[-1]
            assert not inside & set(range(start, end))
            inside |= set(range(start, end))
        outside = [s for i, s in enumerate(phonemes.symbols) if i not in inside]
        assert set(outside) <= {"<en-us>", " ", ",", "."}


def test_cache_and_batches_do_not_change_phonemes() -> None:
    texts = ["A first text.", "A second one!", "A first text."]
    together = phonemize(texts)
    assert together[0] is together[2] is phonemize(["A first text."])[0]
    fresh = subprocess.run(
        [
            *(sys.executable, "-c"),
            "from models.text import phonemize\n"
            "print(''.join(phonemize(['A second one!'])[0].symbols))",
        ],
        capture_output=True,
        text=True,
        cwd=Path(__file__).resolve().parents[3],
        check=True,
    )
    assert fresh.stdout.strip() == "".join(together[1].symbols)
    assert fresh.stderr == ""


def test_empty_texts_are_only_the_mark() -> None:
    assert phonemize(["😀", ""]) == [Phonemes(["<en-us>"], [])] * 2
    assert phonemize([]) == []


def test_an_unknown_language_is_an_error() -> None:
    with pytest.raises(InputError, match="en-us"):
        phonemize(["Bonjour"], "fr")


def test_threads_do_not_mix_texts(words: list[str]) -> None:
    texts = [f"We thought of {word} and went to the river." for word in words[:400]]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: phonemize([text])[0], texts))
    for word, phonemes in zip(words, found, strict=False):
        assert phonemes.words[3][0] == word


def test_long_texts_and_large_batches_are_fast(words: list[str]) -> None:
    draw = random.Random(5)
    started = time.perf_counter()
    long = " ".join(draw.choice(words) for _ in range(2000))
    assert len(phonemize([long])[0].words) == 2000
    phonemize([" ".join(draw.choice(COMMON + words[:900]) for _ in range(9)) for _ in range(2000)])
    # 40,000 sentences in a few minutes on one core; this allows for a busy one.
    assert time.perf_counter() - started < 30


@pytest.mark.parametrize(
    ("written", "plain"),
    [("Nguyễn", "Nguyen"), ("Phở", "Pho"), ("Kṛṣṇa", "Krsna"), ("Ḥasan", "Hasan"), ("Ẽ", "E")],
)
def test_letters_with_several_marks_are_read_as_letters(written: str, plain: str) -> None:
    assert phonemize([written])[0].symbols == phonemize([plain])[0].symbols
