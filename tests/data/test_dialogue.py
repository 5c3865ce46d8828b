"""Dialogues on disk: NCSSD, dialogue.json, and invalid ones."""

import json
from pathlib import Path

import numpy as np
import pytest

from data.audio import SAMPLE_RATE, write_audio
from data.dialogue import (
    Dialogue,
    Turn,
    check_ncssd,
    read_dialogue,
    read_ncssd,
    write_ncssd_dialogue,
)
from data.errors import InputError

SOUND = (0.1 * np.sin(np.arange(SAMPLE_RATE // 2) / 20)).astype(np.float32)


def dialogue(id: str = "12") -> Dialogue:
    turns = [
        Turn(0, "Where is the key | or the lock?", samples=SOUND, extra={"manner": "sad"}),
        Turn(1, "Über the\ndoor.", samples=SOUND[:9_600]),
    ]
    return Dialogue(id, turns, {"topic": "home"})


def edit(folder: Path, change) -> None:
    path = folder / "metadata.json"
    metadata = json.loads(path.read_text())
    change(metadata)
    path.write_text(json.dumps(metadata))


def test_ncssd_is_laid_out_as_its_readers_expect(tmp_path: Path) -> None:
    folder = write_ncssd_dialogue(tmp_path, dialogue())
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        ["metadata.json"]
        + [f"{stem}.{s}" for stem in ("0_0_d12", "1_1_d12") for s in ("wav", "lab", "txt")]
    )
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["dialog"] == 12
    first = metadata["utterents"]["0"]
    assert first == {
        "index": 0,
        "duration": 0.5,
        "speaker": 0,
        "text": "Where is the key , or the lock?",
        "sample_rate": SAMPLE_RATE,
        "manner": "sad",
    }
    assert (folder / "1_1_d12.lab").read_text(encoding="utf-8").strip() == "Über the door."


def test_dialogues_survive_a_round_trip(tmp_path: Path) -> None:
    folder = write_ncssd_dialogue(tmp_path, dialogue())
    read = read_dialogue(folder)
    assert (read.id, read.extra) == ("12", {"topic": "home"})
    assert [turn.speaker for turn in read.turns] == [0, 1]
    assert read.turns[0].extra["manner"] == "sad"
    sound = read.turns[1].load()
    assert sound is not None and np.abs(sound - SOUND[:9_600]).max() < 2 / 32768
    assert check_ncssd(tmp_path) == []
    again = write_ncssd_dialogue(tmp_path / "again", read)
    assert (again / "metadata.json").read_text() == (folder / "metadata.json").read_text()


def test_dialogues_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for id in ("10", "9", "100"):
        write_ncssd_dialogue(tmp_path, dialogue(id))
    (tmp_path / ".77.1.partial").mkdir()
    (tmp_path / "notes").mkdir()
    assert [d.id for d in read_ncssd(tmp_path)] == ["9", "10", "100"]


def test_more_than_ten_turns_keep_their_order(tmp_path: Path) -> None:
    turns = [Turn(i % 2, f"Turn {i}.", samples=SOUND[:2_400]) for i in range(12)]
    write_ncssd_dialogue(tmp_path, Dialogue("1", turns))
    assert [t.text for t in read_dialogue(tmp_path / "1").turns] == [t.text for t in turns]


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    broken = dialogue()
    broken.turns[1].samples = np.array([np.nan], np.float32)
    with pytest.raises(InputError, match="not all numbers"):
        write_ncssd_dialogue(tmp_path, broken)
    assert list(tmp_path.iterdir()) == []


def test_write_errors_give_the_reason(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="digits"):
        write_ncssd_dialogue(tmp_path, dialogue("a1"))
    with pytest.raises(InputError, match="no turns"):
        write_ncssd_dialogue(tmp_path, Dialogue("1", []))
    with pytest.raises(InputError, match="no audio"):
        write_ncssd_dialogue(tmp_path, Dialogue("1", [Turn(0, "Hello.")]))
    write_ncssd_dialogue(tmp_path, dialogue("1"))
    with pytest.raises(InputError, match="already exists"):
        write_ncssd_dialogue(tmp_path, dialogue("1"))


def test_real_ncssd_speakers_are_numbered_by_appearance(tmp_path: Path) -> None:
    """Recorded subsets number their speakers globally and are not at 24 kHz."""
    folder = tmp_path / "3"
    folder.mkdir()
    utterances = {}
    for index, speaker in enumerate((7, 4, 7)):
        write_audio(folder / f"{index}_{speaker}_d3.wav", SOUND, 16_000)
        (folder / f"{index}_{speaker}_d3.txt").write_text("Hello there.")
        utterances[str(index)] = {"index": index, "speaker": speaker, "duration": 0.75}
    (folder / "metadata.json").write_text(json.dumps({"dialog": 3, "utterents": utterances}))
    read = read_dialogue(folder)
    assert [turn.speaker for turn in read.turns] == [0, 1, 0]
    assert read.turns[0].extra["source_speaker"] == 7
    assert read.turns[0].text == "Hello there.", "from the .txt, where metadata has none"
    sound = read.turns[2].load()
    assert sound is not None and abs(sound.shape[0] / SAMPLE_RATE - 0.75) < 0.01


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m["utterents"].pop("0"), "not 0, 1, 2"),
        (lambda m: m.update(dialog=5), "names dialogue 5"),
        (lambda m: m["utterents"]["1"].pop("duration"), "lacks duration"),
        (lambda m: m["utterents"]["1"].update(duration=3.0), "lasts 0.40 s"),
        (lambda m: m["utterents"]["0"].update(text="a | b"), r"holds a '\|'"),
        (lambda m: m["utterents"]["0"].update(text="Other."), "differs"),
        (lambda m: m["utterents"]["0"].update(text=3), "wrong kind"),
        (lambda m: m["utterents"]["0"].update(speaker="A"), "not a number"),
        (lambda m: m["utterents"].update({"1": []}), "not an object"),
        (lambda m: m["utterents"]["0"].update(sample_rate=16_000), "metadata says 16000"),
        (lambda m: m.update(utterents=[1]), "cannot be used"),
        (lambda m: m.pop("utterents"), "cannot be used"),
    ],
)
def test_the_check_finds(tmp_path: Path, change, words: str) -> None:
    edit(write_ncssd_dialogue(tmp_path, dialogue()), change)
    problems = check_ncssd(tmp_path)
    assert problems
    with pytest.raises(AssertionError, match=words):
        raise AssertionError("\n".join(problems))


def test_the_check_finds_missing_files(tmp_path: Path) -> None:
    folder = write_ncssd_dialogue(tmp_path, dialogue())
    (folder / "0_0_d12.lab").unlink()
    (folder / "1_1_d12.wav").write_text("no sound")
    problems = "\n".join(check_ncssd(tmp_path))
    assert "0_0_d12.lab is missing" in problems
    assert "1_1_d12.wav is missing or not a WAV file" in problems
    assert check_ncssd(tmp_path / "nowhere") == [f"{tmp_path / 'nowhere'} is not a folder"]
    (tmp_path / "hollow").mkdir()
    assert "no NCSSD dialogue" in check_ncssd(tmp_path / "hollow")[0]


def test_a_text_that_is_not_utf8_is_one_problem_among_others(tmp_path: Path) -> None:
    folder = write_ncssd_dialogue(tmp_path, dialogue())
    (folder / "0_0_d12.lab").write_bytes("你好".encode("gbk"))
    (folder / "1_1_d12.wav").unlink()
    problems = check_ncssd(tmp_path)
    assert [problem.split(" is ")[1] for problem in problems] == [
        "not text in UTF-8",
        "missing or not a WAV file",
    ]
    edit(folder, lambda m: m["utterents"]["0"].pop("text"))
    with pytest.raises(InputError, match=r"0_0_d12\.lab is not text in UTF-8"):
        read_dialogue(folder)


def test_dialogue_json(tmp_path: Path) -> None:
    write_audio(tmp_path / "u0.wav", SOUND)
    turns = [
        {"speaker": "user", "text": "Hello.", "audio": "u0.wav"},
        {"speaker": "agent", "text": "Good day."},
        {"speaker": 0, "audio": "u0.wav", "manner": "calm"},
    ]
    path = tmp_path / "dialogue.json"
    path.write_text("\ufeff" + json.dumps({"id": "x", "turns": turns}), encoding="utf-8")
    for source in (path, tmp_path):
        read = read_dialogue(source)
        assert [turn.speaker for turn in read.turns] == [0, 1, 0]
        assert read.turns[0].load() is not None and read.turns[1].load() is None
        assert read.turns[2].extra == {"manner": "calm"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not JSON"),
        ("[]", "has no turns"),
        ('{"turns": []}', "has no turns"),
        ('{"turns": ["hi"]}', "turn 0: expected"),
        ('{"turns": [{"text": "hi"}]}', "turn 0: the speaker is None"),
        ('{"turns": [{"speaker": 2, "text": "hi"}]}', "the speaker is 2"),
        ('{"turns": [{"speaker": true, "text": "hi"}]}', "the speaker is True"),
        ('{"turns": [{"speaker": "user", "text": 5}]}', "must be strings"),
        ('{"turns": [{"speaker": "user", "text": " "}]}', "neither text nor audio"),
        ('{"turns": [{"speaker": "user", "audio": "no.wav"}]}', "does not exist"),
    ],
)
def test_a_bad_dialogue_json_is_explained(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "d.json"
    path.write_text(content)
    with pytest.raises(InputError, match=words):
        read_dialogue(path)


def test_other_files_are_rejected_with_an_explanation(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_dialogue(tmp_path / "nowhere")
    with pytest.raises(InputError, match="neither"):
        read_dialogue(tmp_path)
    (tmp_path / "x.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not JSON"):
        read_dialogue(tmp_path / "x.json")
    with pytest.raises(InputError, match="holds no NCSSD dialogue"):
        list(read_ncssd(tmp_path))
    with pytest.raises(InputError, match="not a folder"):
        list(read_ncssd(tmp_path / "x.json"))


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["utterents"]["0"].pop("speaker"),
        lambda m: m["utterents"]["0"].update(speaker=[1]),
        lambda m: m.update(utterents={}),
        lambda m: m.update(utterents=7),
    ],
)
def test_damaged_metadata_is_an_input_error(tmp_path: Path, change) -> None:
    folder = write_ncssd_dialogue(tmp_path, dialogue())
    edit(folder, change)
    with pytest.raises(InputError):
        read_dialogue(folder)
