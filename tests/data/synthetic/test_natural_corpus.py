"""A corpus spoken by the teacher through the command, with a tiny teacher in the cache."""

import json
from pathlib import Path

import pytest

from app.cli.data import SPELL, main
from data.dialogue import check_ncssd, read_ncssd
from data.synthetic.kokoro.store import default_store
from data.synthetic.kokoro.voices import kokoro_voices
from tests.data.synthetic.kokoro.tiny_teacher import fill

pytest.importorskip("spellchecker", reason="pyspellchecker is missing (launch.py data teacher)")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fill(default_store())
    turns = [
        {"speaker": ("user", "agent")[i % 2], "text": text}
        for i, text in enumerate(["Is it 7 yet?", "Nearly, yes.", "Good, then go.", "See you."])
    ]
    lines = [
        json.dumps(
            {"id": f"d{name}", "language": "en", "turns": [*turns, {**turns[0], "text": name}]}
        )
        for name in ("Anna", "Bert", "Cora", "Dora", "Emil", "Fritz", "Gerd", "Hans")
    ]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines))
    return [
        *("synthetic", "--hours", "0.002", "--seed", "1", "--engines", "teacher"),
        *("--texts", str(tmp_path / "texts.jsonl"), "--workers", "1", "--device", "cpu"),
    ]


def test_the_teacher_speaks_a_corpus_in_batches(tmp_path: Path, command: list[str]) -> None:
    for name, batch in (("one", "1"), ("four", "4")):
        assert main([*command, "--batch", batch, "--out", str(tmp_path / name)]) == 0
        assert check_ncssd(tmp_path / name) == []
    one, four = (list(read_ncssd(tmp_path / name)) for name in ("one", "four"))
    assert len(one) == len(four)
    for single, batched in zip(one, four, strict=True):
        assert single.extra == batched.extra and single.extra["language"] == "en"
        for turn, other in zip(single.turns, batched.turns, strict=True):
            assert turn.text == other.text
            assert turn.extra["phones"] == other.extra["phones"]
            assert turn.extra["synthesizer"] == "kokoro"
            assert not kokoro_voices()[turn.extra["voice"]].held_out
            if "7" in turn.text:
                assert turn.extra["spoken"] == SPELL(turn.text) == "Is it seven yet?"
    summary = json.loads((tmp_path / "one" / "corpus.json").read_text())
    assert (summary["engines"], summary["cast"]) == ("teacher", "all")
    assert len(summary["texts"]) == 1 and "kokoro-" in summary["voices"][0]


def test_a_corpus_is_not_continued_with_other_texts(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture
) -> None:
    assert main([*command, "--out", str(tmp_path / "one")]) == 0
    path = tmp_path / "texts.jsonl"
    path.write_text(path.read_text() + "\n" + path.read_text().splitlines()[0])
    with pytest.raises(ValueError, match="holds a corpus of texts"):
        main([*command, "--out", str(tmp_path / "one")])
