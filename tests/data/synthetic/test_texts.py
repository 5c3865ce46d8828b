"""Dialogue texts: reading with errors by line, cutting into stretches, and splits."""

import gzip
import importlib.util
import json
from pathlib import Path

import pytest

from data.errors import InputError
from data.synthetic.grammar import Line
from data.synthetic.spelling import doubtful
from data.synthetic.splits import SPLITS, split_of, split_of_words
from data.synthetic.texts import (
    MOST_TURNS,
    TextDialogue,
    held_out_turns,
    read_texts,
    spoken_pieces,
)

needs_spelling = pytest.mark.skipif(
    importlib.util.find_spec("spellchecker") is None,
    reason="pyspellchecker is not installed (python3 launch.py data teacher)",
)
SPEAKERS = ("user", "agent")


def written(id: str, texts: list[str], language: str = "en") -> str:
    turns = [{"speaker": SPEAKERS[i % 2], "text": text} for i, text in enumerate(texts)]
    return json.dumps({"id": id, "language": language, "turns": turns}, ensure_ascii=False)


def dialogue(number: int, num_turns: int = 12, language: str = "en") -> TextDialogue:
    say = "We need {} more chairs for party number {}." if language == "en" else "第{}次见到{}个人"
    lines = tuple(Line(i % 2, say.format(i, number)) for i in range(num_turns))
    return TextDialogue(str(number), language, lines)


def test_plain_and_compressed_files_are_read_alike(tmp_path: Path) -> None:
    content = "\n".join(
        [written("a", ["Hello there.", "Hi."]), "", written("b", ["你好", "嗯"], "zh")]
    )
    (tmp_path / "one.jsonl").write_text(content, encoding="utf-8")
    (tmp_path / "two.jsonl.gz").write_bytes(gzip.compress(content.encode()))
    plain, packed = (list(read_texts([tmp_path / name])) for name in ("one.jsonl", "two.jsonl.gz"))
    assert plain == packed and [d.language for d in plain] == ["en", "zh"]
    assert plain[0].lines == (Line(0, "Hello there."), Line(1, "Hi."))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 2 is not JSON"),
        ("[]", "line 2: expected"),
        ('{"language": "en", "turns": []}', "line 2: expected"),
        ('{"language": "fr", "turns": [{"speaker": "user", "text": "Oui"}]}', "must be en or zh"),
        ('{"turns": [{"speaker": "user", "text": "Yes"}]}', "language is None"),
        ('{"language": "en", "turns": [{"speaker": "me", "text": "Yes"}]}', "turn 0: the speaker"),
        ('{"language": "en", "turns": [{"speaker": "user", "text": " "}]}', "turn 0: the text"),
        ('{"language": "en", "turns": ["Yes"]}', "turn 0: the speaker is None"),
    ],
)
def test_unreadable_lines_are_named(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text(written("a", ["Hello.", "Hi."]) + "\n" + line + "\n")
    with pytest.raises(InputError, match=words):
        list(read_texts([path]))


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        list(read_texts([tmp_path / "nowhere.jsonl"]))
    (tmp_path / "damaged.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match="cannot be read"):
        list(read_texts([tmp_path / "damaged.jsonl.gz"]))
    (tmp_path / "latin.jsonl").write_bytes(b'{"id": "\xe9"}')
    with pytest.raises(InputError, match="UTF-8"):
        list(read_texts([tmp_path / "latin.jsonl"]))


@needs_spelling
@pytest.mark.parametrize(
    "text",
    ["I'mm looking for it.", "the avergae price", "a reservtion for two", "Thats it, thats all",
     "do you hav a table", "I would liek that", "We'lll see"],
)  # fmt: skip
def test_typing_errors_are_detected(text: str) -> None:
    assert doubtful(text)


@needs_spelling
@pytest.mark.parametrize(
    "text",
    ["I'm looking for a flight to Raghavpur.", "They've booked it, haven't they?",
     "It's ten o'clock.", "Is there wifi?", "Don't you think O'Hare is too far?", "Yes, ma’am."],
)  # fmt: skip
def test_names_and_contractions_pass(text: str) -> None:
    assert not doubtful(text)


@needs_spelling
def test_pieces_are_usable_stretches_that_start_with_the_user() -> None:
    dialogues = [dialogue(number) for number in range(200)]
    pieces = [piece for split in SPLITS for piece in spoken_pieces(dialogues, split)]
    for piece in pieces:
        assert 2 <= len(piece.lines) <= MOST_TURNS
        assert [line.speaker for line in piece.lines] == [i % 2 for i in range(len(piece.lines))]
    assert len({piece.id for piece in pieces}) == len(pieces)
    spoken = sorted(line.text for piece in pieces for line in piece.lines)
    assert spoken == sorted(line.text for d in dialogues for line in d.lines)


@needs_spelling
def test_a_doubtful_turn_ends_a_stretch() -> None:
    texts = ["Hi there.", "Hello.", "I wnat a tabel.", "Sure.", "For two.", "When?", "At noon."]
    lines = tuple(Line(i % 2, text) for i, text in enumerate(texts))
    whole = TextDialogue("d", "en", lines)
    pieces = spoken_pieces([whole], whole.split)
    assert [[line.text for line in piece.lines] for piece in pieces] == [
        ["Hi there.", "Hello."],
        ["For two.", "When?", "At noon."],
    ]


@needs_spelling
def test_splits_divide_dialogues_by_their_words() -> None:
    dialogues = [dialogue(number) for number in range(2_000)]
    shares = {split: sum(d.split == split for d in dialogues) / 2_000 for split in SPLITS}
    assert 0.03 < shares["test"] < 0.07 and 0.03 < shares["validation"] < 0.07
    spoken = {s: {p.id.split("/")[0] for p in spoken_pieces(dialogues, s)} for s in SPLITS}
    assert sum(map(len, spoken.values())) == len(set.union(*spoken.values())) == 2_000


@needs_spelling
@pytest.mark.parametrize("language", ["en", "zh"])
def test_held_out_turns_do_not_occur_in_training(language: str) -> None:
    dialogues = [dialogue(number, 4, language) for number in range(400)]
    shared = Line(1, "That is quite all right." if language == "en" else "没关系的")
    dialogues = [TextDialogue(d.id, d.language, (*d.lines, shared)) for d in dialogues]
    found = held_out_turns(dialogues, language)
    trained = {line.text for d in dialogues if d.split == "train" for line in d.lines}
    assert found and not set(found) & trained and shared.text not in found
    assert held_out_turns(dialogues, "en" if language == "zh" else "zh") == []


def test_mandarin_is_divided_by_its_characters() -> None:
    texts = [f"我昨天在车站见到了{chr(0x4E00 + i)}先生" for i in range(2_000)]
    assert 0.03 < sum(split_of_words(text) == "test" for text in texts) / 2_000 < 0.07
    assert split_of_words("at 5") == split_of_words("at 5!") and len(
        {split_of_words(f"I will come at {hour}") for hour in range(300)}
    ) == len(SPLITS), "numbers count"
    assert split_of("好的") is None and split_of(texts[0]) in SPLITS
    assert split_of(texts[5]) == split_of(texts[5] + "。！")
