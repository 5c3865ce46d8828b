"""Language detection by script, mixed languages, and unsupported scripts."""

import time

import pytest

from data.errors import InputError
from models.text import SYMBOLS, check_scripts, language_of, normalise, phonemize
from models.text.frontend import segment
from models.text.symbols import UNKNOWN


def written_words(text: str, language: str | None = None) -> list[str]:
    return [word for word, _, _ in phonemize([text], language)[0].words]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("你好，世界", "zh"),
        ("我喜欢Python和iPhone 15。", "zh"),
        ("我用Python写code", "zh"),
        ("He lives in 北京市 now, near 天安门.", "en-us"),
        ("I said 你好 to her.", "en-us"),
        ("Hello", "en-us"),
        ("42", "en-us"),
        ("", "en-us"),
    ],
)
def test_language_detection_by_script(text: str, language: str) -> None:
    assert language_of(text) == language
    assert "".join(stretch for _, stretch in segment(text, language)) == text


def test_each_stretch_is_read_in_its_language() -> None:
    assert written_words("我喜欢Python和iPhone 15。") == "我 喜欢 Python 和 iPhone 十五".split()
    assert written_words("I met 王小明 in 北京 today.")[:2] == ["I", "met"]
    phonemes = phonemize(["这个demo很cool！"], None)[0]
    spoken = {word: "".join(phonemes.symbols[a:b]) for word, a, b in phonemes.words}
    assert spoken["demo"] == "dˈɛmoʊ" and spoken["cool"] == "kˈuːl"
    assert phonemes.symbols[0] == "<zh>" and phonemes.symbols[-1] == "!"
    english = phonemize(["I said 你好 to her."], None)[0]
    assert "".join(english.symbols) == "<en-us>aɪ sˈɛd ni2xau3 tə hɜː."


def test_an_explicit_language_is_used() -> None:
    assert phonemize(["OK"], "zh")[0].symbols[0] == "<zh>"
    assert phonemize(["你好 OK"], "en-us")[0].words[0][0] == "OK"
    assert normalise("3个", "zh") == "三个"
    with pytest.raises(InputError, match="zh"):
        phonemize(["Bonjour"], "fr")


@pytest.mark.parametrize(
    "text",
    ["\u0301\u0302", "，。！", "你" * 3000, "龘靐齉", "〇", "嗯嗯呃", "你\u0301好", "الA你b"],
)
def test_odd_texts_give_phonemes_or_nothing(text: str) -> None:
    started = time.process_time()
    phonemes = phonemize([text], None)[0]
    assert set(phonemes.symbols) <= set(SYMBOLS) - {UNKNOWN}
    assert time.process_time() - started < 5


def test_an_unpunctuated_paragraph_is_read_whole() -> None:
    text = "今天天气很好我们一起去公园玩吧" * 200
    phonemes = phonemize([text], "zh")[0]
    assert "".join(word for word, _, _ in phonemes.words) == text


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("你好", "Chinese"),
        ("Hi 你好", "Chinese"),
        ("مرحبا بك", "Arabic"),
        ("Hello مرحبا there", "Arabic"),
        ("שלום", "Hebrew"),
        ("Привет", "Cyrillic"),
        ("こんにちは", "Hiragana"),
        ("안녕하세요", "Hangul"),
        ("नमस्ते", "Devanagari"),
    ],
)
def test_unsupported_scripts_are_named(text: str, script: str) -> None:
    with pytest.raises(InputError, match=f"{script}.*English"):
        check_scripts(text)


@pytest.mark.parametrize(
    "text", ["Hello", "naïve café", "π ≈ 3", "42 😀", "", "<think>你好</think>Hi"]
)
def test_english_texts_are_accepted(text: str) -> None:
    check_scripts(text)


@pytest.mark.parametrize("text", ["你好", "我用 Python 3。", "Hello", "π 约等于 3.14", "㐀"])
def test_voices_of_both_languages_accept_both_scripts(text: str) -> None:
    check_scripts(text, ("en-us", "zh"))


@pytest.mark.parametrize("text", ["مرحبا", "你好 привет", "こんにちは世界"])
def test_refusals_name_both_languages(text: str) -> None:
    with pytest.raises(InputError, match=r"English and Mandarin only.*Chinese characters"):
        check_scripts(text, ("en-us", "zh"))


def test_a_few_foreign_words_are_tolerated() -> None:
    check_scripts("The word 你好 means hello.", most=0.5)
    with pytest.raises(InputError, match="Chinese"):
        check_scripts("你好世界 hi", most=0.5)
