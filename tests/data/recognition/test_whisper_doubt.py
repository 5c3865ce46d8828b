"""A short window may make Whisper repeat itself or stop early; then longer ones are used."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from data.recognition import whisper as module
from data.recognition.whisper import Whisper
from data.recognition.whisper_doubt import is_believed, is_doubtful, repeats

SPOKEN_S = 3.0


def segment(text: str, confidence: float = 0.9) -> Any:
    return SimpleNamespace(
        text=text, avg_logprob=float(np.log(confidence)), compression_ratio=1.1, start=0.0, end=3.0,
        tokens=text.split(), words=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "Thank you, I also need a cab. Thank you, I also need a cab.",
        "No, that's all for now. No, that's all for now.",
        "There is a place called Chat. There is a place called Chat. There is",
        "at the bank at the bank",
        "Yes Yes Yes That",
        "I need it. I need it. I need it.",
        "我想去北京我想去北京",
        "这张专辑我知道，这张专辑我知道。",
        "好好好好",
        "2001年成立于校园2001年成立于校园2001年",
        "我们去KTV，我们去KTV。",
    ],
)
def test_loops_are_doubted(text: str) -> None:
    assert repeats(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "No, no.", "It is very, very far.", "Can you find me a place to eat, please?",
        "I had had enough of it.", "One of them is a nice restaurant, it is in San Francisco.",
        "What it is is a mystery.", "对对对", "好的好的", "我觉得这个餐厅的菜比那个餐厅的菜好吃。",
        "看看", "13800138000", "一共要123123块。",
    ],
)  # fmt: skip
def test_natural_repetitions_are_not_doubted(text: str) -> None:
    assert not repeats(text)


@pytest.mark.parametrize(
    ("text", "language", "confidence", "doubted"),
    [
        ("Can you try to get the tickets for it", "en", 0.9, False),
        ("Where are you going now", "en", 0.9, False),  # few words are spoken slowly
        ("Can you try", "en", 0.9, True),  # in three seconds people say more
        ("Can you try to get the tickets for it", "en", 0.5, True),
        ("我想去北京的动物园", "zh", 0.9, False),
        ("我想", "zh", 0.9, True),
        ("", "en", 0.9, True),
    ],
)
def test_few_or_unsure_words_are_doubted(
    text: str, language: str, confidence: float, doubted: bool
) -> None:
    assert is_doubtful([segment(text, confidence)], SPOKEN_S, language) is doubted


class Windows:
    """Gives a transcript for each window, in seconds."""

    window_frames = 0

    def __init__(self, texts: dict[int, tuple[str, float]]) -> None:
        self.texts, self.windows = texts, []

    def transcribe(self, samples: np.ndarray, **options: Any) -> tuple[list[Any], None]:
        self.windows.append(self.window_frames // 100)
        return [segment(*self.texts[self.windows[-1]])], None


def hearing(
    monkeypatch: pytest.MonkeyPatch, *texts: str, confidences: tuple[float, ...] = (0.9, 0.9, 0.9)
) -> tuple[Whisper, Windows]:
    found = zip(texts, confidences, strict=False)
    model = Windows(dict(zip((6, 12, 30), found, strict=False)))
    monkeypatch.setattr(module, "_short_window_model", lambda: lambda *_, **__: model)
    monkeypatch.setattr(module, "_speech_s", lambda samples: SPOKEN_S)
    return Whisper(module.Path("weights")), model


SOUND = np.zeros(4 * module.WHISPER_HZ, np.float32)
GOOD = "I would like to find an apartment"


@pytest.mark.parametrize(
    ("second", "windows"), [(f"{GOOD}.", [6, 12]), (f"{GOOD}. {GOOD}.", [6, 12, 30])]
)
def test_longer_windows_correct_a_repeated_sentence(
    second: str, windows: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    whisper, model = hearing(monkeypatch, f"{GOOD}. {GOOD}.", second, f"{GOOD}.")
    drafts: list[str] = []
    assert whisper.transcribe(SOUND, "en", drafted=drafts.append).text == f"{GOOD}."
    assert model.windows == windows
    assert drafts == [f"{GOOD}. {GOOD}."]


@pytest.mark.parametrize(
    ("confidences", "windows"), [((0.6, 0.6), [6, 12]), ((0.6, 0.4, 0.5), [6, 12, 30])]
)
def test_unsure_words_are_sought_again_until_they_are_no_less_sure(
    confidences: tuple[float, ...], windows: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ("something else", GOOD if len(windows) == 2 else "Sh Sh", GOOD)
    whisper, model = hearing(monkeypatch, *texts, confidences=confidences)
    assert whisper.transcribe(SOUND, "en").text == GOOD
    assert model.windows == windows


def test_a_long_utterance_is_repeated_in_the_full_window(monkeypatch: pytest.MonkeyPatch) -> None:
    whisper, model = hearing(monkeypatch, "", "", GOOD)
    model.texts[14] = ("", 0.9)
    whisper.transcribe(np.zeros(12 * module.WHISPER_HZ, np.float32), "en")
    assert model.windows == [14, 30]


def test_confident_transcripts_are_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    whisper, model = hearing(monkeypatch, GOOD)
    assert whisper.transcribe(SOUND, "en").text == GOOD
    assert model.windows == [6]


def test_partial_transcripts_are_not_doubted(monkeypatch: pytest.MonkeyPatch) -> None:
    whisper, model = hearing(monkeypatch, f"{GOOD} {GOOD}")
    assert whisper.transcribe(SOUND, "en", hastily=True).text == f"{GOOD} {GOOD}"
    assert model.windows == [6]


def test_what_nobody_waits_for_is_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    whisper, model = hearing(monkeypatch, f"{GOOD}. {GOOD}.")
    assert whisper.transcribe(SOUND, "en", given_up=lambda: True).text == ""
    assert model.windows == []
    given_up = iter((False, True))  # while the short window was searched
    whisper.transcribe(SOUND, "en", given_up=lambda: next(given_up))
    assert model.windows == [6]


@pytest.mark.parametrize(
    ("text", "seconds", "language", "believed"),
    [
        ("我也不知道。", 0.8, "zh", True),
        ("不用客气。我认认认认认认认", 0.8, "zh", False),
        ("Not at all, I am happy to help.", 1.5, "en", True),
        ("Not at all, I am happy to help you.", 0.5, "en", False),
        ("这首歌设计设计设计设\ufffd", 3.0, "zh", False),
        ("以下是普通话的句子。", 2.0, "zh", False),
        (" 以下是普通話的。", 2.0, "zh", False),
        ("以下是普通话的。", 2.0, "zh", False),
        ("以下是今天的新闻。", 2.0, "zh", True),
        ("以下", 2.0, "zh", True),
        ("", 2.0, "zh", True),
    ],
)
def test_loops_and_the_prompt_are_no_transcript(
    text: str, seconds: float, language: str, believed: bool
) -> None:
    one = segment(text)
    one.end = seconds
    assert is_believed(one, language) is believed


def test_mandarin_is_written_in_simplified_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its words too; numbers stay as Whisper writes them."""
    whisper, _ = hearing(monkeypatch, "這個景點是1997年開放的，OK?")
    heard = whisper.transcribe(SOUND, "zh")
    assert heard.text == "这个景点是1997年开放的，OK?"
    assert whisper.transcribe(SOUND, "ja").text == "這個景點是1997年開放的，OK?"
