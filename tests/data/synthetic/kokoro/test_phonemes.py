"""Text to Kokoro's alphabet."""

import importlib.util
import string

import pytest

from data.errors import InputError, MissingModelError
from data.synthetic.kokoro import phonemes as module
from data.synthetic.kokoro.phonemes import phonemes

needs_misaki = pytest.mark.skipif(
    importlib.util.find_spec("misaki") is None or importlib.util.find_spec("jieba") is None,
    reason="misaki and jieba are not installed (python3 launch.py data teacher)",
)


@pytest.mark.parametrize(
    ("word", "letter"),
    [("price", "I"), ("mouth", "W"), ("face", "A"), ("choice", "Y"), ("goat", "O"),
     ("church", "ʧ"), ("judge", "ʤ"), ("better", "T"), ("nurse", "ɜɹ")],
)  # fmt: skip
def test_american_sounds_have_their_own_letters(word: str, letter: str) -> None:
    assert letter in phonemes(word)


@pytest.mark.parametrize("text", ["ay em", "Plan Ay", "you ess ay", "ay tee em", "an ay"])
def test_the_letter_a_is_not_the_letter_i(text: str) -> None:
    assert "A" in phonemes(text) and "I" not in phonemes(text)


@pytest.mark.parametrize("text", ["a letter a day", "her own", "for all", "the car is", "far away"])
def test_a_linking_r_is_said_once(text: str) -> None:
    assert "ɹɹ" not in phonemes(text)


def test_british_english_is_another_accent() -> None:
    assert "Q" in phonemes("goat", "en-gb") and "O" not in phonemes("goat", "en-gb")
    assert phonemes("a bath in the park", "en-gb") != phonemes("a bath in the park")


def test_all_letters_are_in_kokoros_alphabet() -> None:
    text = "Well, I thought the measure of beige jewels was nothing unusual; wasn't it? Oh!"
    for accent in module.ACCENTS:
        allowed = set("bdfhijklmnpstuvwzðŋɑɒɔəɛɜɡɪɹʃʊʌʒʤʧˈˌːθᵊᵻæaATIOQWY ,.;:?!")
        assert set(phonemes(text, accent)) <= allowed


def test_punctuation_is_kept_for_its_pauses() -> None:
    assert [c for c in phonemes("Oh, no! What happened? I see.") if c in string.punctuation] == [
        *",!?."
    ]


@pytest.mark.parametrize("text", ["I have 5.", "in 1999", "9th", "第3次"])
def test_digits_are_rejected(text: str) -> None:
    with pytest.raises(InputError, match="numbers as words"):
        phonemes(text)


@needs_misaki
@pytest.mark.parametrize(
    "text", ["你好吗？", "我喜欢北京，你呢？", "他在银行工作。", "那儿真漂亮！"]
)
def test_mandarin_has_tones_and_its_marks(text: str) -> None:
    read = phonemes(text)
    assert any(tone in read for tone in "→↗↓↘")
    assert read[-1] in ".?!" and not any("\u3400" <= c <= "\u9fff" for c in read)


@needs_misaki
def test_english_words_in_mandarin_are_read_as_english() -> None:
    read = phonemes("我们去吃 pizza 吧。")
    assert phonemes("pizza") in read and "↘" in read


def test_missing_misaki_is_reported_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    module._misaki.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "misaki", None)
    with pytest.raises(MissingModelError, match=r"launch\.py data teacher"):
        phonemes("你好")
    module._misaki.cache_clear()
