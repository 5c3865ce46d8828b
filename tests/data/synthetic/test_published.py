"""Conversion of public corpora to files of dialogue texts."""

import json
from pathlib import Path

import pytest

from app.cli.data import main
from data.errors import InputError
from data.synthetic.published import convert
from data.synthetic.texts import read_texts

DOMAINS = ("film", "music", "travel")


def guided(folder: Path) -> Path:
    """Two files of Schema-Guided Dialogue."""
    (folder / "train").mkdir(parents=True)
    for file in (1, 2):
        dialogues = []
        for number in range(5):
            texts = ["Hello  there. ", "Hi.\n", f"For {number}?", "Sure."]
            texts = texts[: 2 if number == 4 else 4] if file == 1 else [*texts, "Café"]
            turns = [
                {"speaker": ("USER", "SYSTEM")[i % 2], "utterance": text, "frames": []}
                for i, text in enumerate(texts if number else texts[:4])
            ]
            dialogues.append(
                {"dialogue_id": f"{file}_{number:05d}", "services": ["Food_1"], "turns": turns}
            )
        (folder / "train" / f"dialogues_00{file}.json").write_text(json.dumps(dialogues))
    (folder / "train" / "schema.json").write_text("[]")
    return folder


def kdconv(folder: Path) -> Path:
    for domain in DOMAINS:
        (folder / "data" / domain).mkdir(parents=True)
        messages = [{"message": text} for text in (f"你喜欢{domain}吗？", "喜欢啊。", "我也是")]
        content = [{"messages": messages, "name": "x"}] * 2
        path = folder / "data" / domain / "dev.json"
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return folder


def test_schema_guided_dialogues(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "en.jsonl.gz"
    assert main(["texts", str(guided(tmp_path / "sgd")), "--out", str(out)]) == 0
    assert "5 dialogues" in capsys.readouterr().out
    found = {dialogue.id: dialogue for dialogue in read_texts([out])}
    # too short and not Latin ones are left out
    assert sorted(found) == [f"sgd-train-1_0000{n}" for n in range(4)] + ["sgd-train-2_00000"]
    lines = found["sgd-train-1_00003"].lines
    assert [line.text for line in lines] == ["Hello there.", "Hi.", "For 3?", "Sure."]
    assert [line.speaker for line in lines] == [0, 1, 0, 1]


def test_kdconv(tmp_path: Path) -> None:
    assert convert(kdconv(tmp_path / "kdconv"), tmp_path / "zh.jsonl") == 6
    found = list(read_texts([tmp_path / "zh.jsonl"]))
    assert {d.id for d in found} == {f"kdconv-{name}-dev-{n}" for name in DOMAINS for n in (0, 1)}
    assert {d.language for d in found} == {"zh"}


def test_a_seed_repeats_and_a_count_draws(tmp_path: Path) -> None:
    folder = guided(tmp_path / "sgd")
    for name, count, seed in (("a", 3, 1), ("b", 3, 1), ("c", 3, 2)):
        assert convert(folder, tmp_path / f"{name}.jsonl.gz", count, seed) == 3
    first, again, other = ((tmp_path / f"{name}.jsonl.gz").read_bytes() for name in "abc")
    assert first == again != other


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("readme.txt", "x", "holds neither"),
        ("data/film/dev.json", "[]", "holds neither"),
        ("train/dialogues_001.json", "[", "not as published"),
        ("train/dialogues_001.json", '[{"turns": 5}]', "not as published"),
        ("train/dialogues_001.json", '{"a": 1}', "not as published"),
        ("train/dialogues_001.json", '[{"turns": [{"speaker": "X"}]}]', "KeyError"),
    ],
)  # fmt: skip
def test_other_folders_are_rejected(tmp_path: Path, file: str, content: str, words: str) -> None:
    path = tmp_path / "clone" / file
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(InputError, match=words):
        convert(tmp_path / "clone", tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_an_invalid_count_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--count is 0"):
        convert(kdconv(tmp_path / "kdconv"), tmp_path / "zh.jsonl", count=0)
