"""Whatever stands in a file, a reader gives what it is for or says what is wrong with it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.batch_items import read_items
from app.library import read_voice_file
from data.dialogue import check_ncssd, read_dialogue, read_ncssd
from data.errors import InputError, RepError
from data.ncssd.config import read_config
from data.synthetic.texts import read_texts
from tests.properties import objects, quick, values, written

turn = objects(
    {
        "speaker": st.sampled_from(["user", "agent", "0", 0, 1]),
        "text": st.sampled_from(["hello", "", "a|b", "x" * 5000, "\u200b"]),
        "audio": st.sampled_from(["u0.wav", "../u0.wav", "", "/dev/null", "\x00"]),
    }
)
dialogue = objects({"turns": st.lists(turn, max_size=3), "id": st.sampled_from(["1", "a"])})
item = objects(
    {
        "id": st.sampled_from(["a", "b/c", "..", "x" * 300, "a\nb"]),
        "text": st.sampled_from(["hello", "", "\ud800"]),
        "voice": st.sampled_from(["one", ""]),
        "seed": st.integers(-1, 2**31),
        "dialogue": st.one_of(st.lists(turn, max_size=2), st.just("nowhere.json")),
    }
)
config = objects(
    {
        "turns": objects({"min_turns": st.integers(-1, 9), "merge_s": st.floats()}),
        "activity": objects({"threshold": st.floats(), "max_scene_s": st.integers()}),
        "recognise": objects({"recogniser": st.sampled_from(["none", "x"])}),
    }
)
utterance = objects(
    {
        "speaker": st.integers(-1, 2),
        "text": st.sampled_from(["hello", "a|b", ""]),
        "duration": st.floats(),
        "sample_rate": st.sampled_from([24_000, 0, -1, 2**40]),
        "emotion": st.text(max_size=3),
    }
)
metadata = objects(
    {
        "dialog": st.sampled_from(["0", 0, "1"]),
        "utterents": st.dictionaries(st.sampled_from(["0", "1", "x", "-1"]), utterance, max_size=3),
    }
)
lines = st.lists(written(item), max_size=3).map("\n".join)


def refusal(read: Callable[[], Any]) -> str:
    """What the reader says; empty where it could read. Any other error fails the test."""
    try:
        read()
    except RepError as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("read")


def put(path: Path, content: str | bytes) -> Path:
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    path.write_bytes(data)
    return path


@quick
@given(st.one_of(written(dialogue), written(values), st.binary(max_size=40)))
def test_a_dialogue(folder: Path, content: str | bytes) -> None:
    path = put(folder / "dialogue.json", content)
    said = refusal(lambda: read_dialogue(path))
    assert not said or "dialogue.json" in said


@quick
@given(st.one_of(lines, written(values), st.binary(max_size=40)))
def test_items(folder: Path, content: str | bytes) -> None:
    path = put(folder / "items.jsonl", content)
    said = refusal(lambda: read_items(path))
    assert not said or "items.jsonl" in said
    if not said:
        items = read_items(path)
        assert items and len({one.id for one in items}) == len(items)


@quick
@given(st.one_of(written(config), written(values), st.binary(max_size=40)))
def test_settings_of_the_builder(folder: Path, content: str | bytes) -> None:
    path = put(folder / "config.json", content)
    said = refusal(lambda: read_config(path))
    assert not said or "config.json" in said


@quick
@given(st.one_of(written(metadata), written(values), st.binary(max_size=40)))
def test_a_folder_in_ncssd_layout(folder: Path, content: str | bytes) -> None:
    (folder / "tree" / "0").mkdir(parents=True, exist_ok=True)
    put(folder / "tree" / "0" / "metadata.json", content)
    problems = check_ncssd(folder / "tree")
    assert problems  # there is no sound
    assert all(isinstance(line, str) and line for line in problems)
    refusal(lambda: list(read_ncssd(folder / "tree")))


@quick
@given(st.one_of(written(dialogue), written(values), st.binary(max_size=40)))
def test_texts_of_dialogues(folder: Path, content: str | bytes) -> None:
    path = put(folder / "texts.jsonl", content)
    said = refusal(lambda: list(read_texts([path])))
    assert not said or "texts.jsonl" in said


@quick
@given(st.one_of(st.binary(max_size=200), written(values).map(str.encode)))
def test_a_voice(folder: Path, content: bytes) -> None:
    framed = len(content).to_bytes(8, "little") + content  # as a safetensors header
    for data in (content, framed, framed + bytes(64)):
        path = put(folder / "anna.safetensors", data)
        with pytest.raises(InputError):
            read_voice_file(path)


def test_a_good_file_is_read(folder: Path) -> None:
    """The properties above would hold for a reader that refuses everything."""
    turns = [{"speaker": "user", "text": "hello"}]
    path = put(folder / "good.json", json.dumps({"turns": turns}))
    assert [turn.text for turn in read_dialogue(path).turns] == ["hello"]
    path = put(folder / "good.jsonl", json.dumps({"id": "a", "text": "hi", "dialogue": turns}))
    assert [item.text for item in read_items(path)] == ["hi"]
    path = put(folder / "config.json", json.dumps({"turns": {"min_turns": 7}}))
    assert read_config(path).turns.min_turns == 7
