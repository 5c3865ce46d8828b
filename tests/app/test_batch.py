"""`synth`: validates first, loses nothing, resumes."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app import batch
from app.batch_items import Item, read_items
from app.cli import synth
from data.audio import read_audio, write_audio
from data.errors import InputError, OutputError
from data.files import folder_lock
from tests.app.voice_sound import espeak_voice
from tests.disk import files_of_at_most
from tests.tiny import save_tiny, tiny_voices

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("weights"))


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


ROWS = [
    {"id": "a", "text": "Good morning.", "voice": "one", "seed": 1},
    {"id": "b", "text": "The shop is closed.", "voice": "two",
     "dialogue": [{"speaker": "user", "text": "May I come in?"}]},
    {"id": "c", "text": "Good night\u2026", "voice": "slt"},
]  # fmt: skip


def digests(items: list[Item], **speaking: object) -> dict[str, str]:
    return {item.id: batch.made_from(item, [tiny_voices()[item.voice]], speaking) for item in items}


def manifest(out: Path) -> dict[str, dict]:
    lines = (out / "manifest.jsonl").read_text().splitlines()
    assert len(lines) == len({json.loads(line)["id"] for line in lines})
    return {row["id"]: row for row in map(json.loads, lines)}


@pytest.mark.parametrize(
    "at_once", [[], ["--jobs", "1"], ["--jobs", "3"], ["--slots", "1"], ["--jobs=2", "--slots=2"]]
)
def test_items_become_files_and_a_manifest(
    weights: Path, tmp_path: Path, at_once: list[str]
) -> None:
    items, out = write(tmp_path / "items.jsonl", ROWS), tmp_path / "out"
    assert synth.main([str(items), str(out), *at_once, "--weights", str(weights)]) == 0
    rows = manifest(out)
    assert set(rows) == {"a", "b", "c"}
    for row in rows.values():
        samples = read_audio(out / row["file_name"])
        assert row["duration_s"] == pytest.approx(len(samples) / 24_000, abs=0.01)


@pytest.mark.parametrize("name", ["jobs", "slots"])
def test_zero_slots_are_rejected(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"--{name} is 0; it must be 1 or more"):
        synth.main([str(tmp_path / "items.jsonl"), str(tmp_path / "out"), f"--{name}", "0"])


def test_all_invalid_lines_are_reported_before_anything_starts(tmp_path: Path) -> None:
    rows = [
        ROWS[0],
        {"id": "../up", "text": "x", "voice": "one"},
        {"id": "d", "text": "", "voice": "one"},
        {"id": "a", "text": "again", "voice": "one"},
        {"id": "e", "text": "x", "voice": "one", "sed": 1},
        {"id": "f", "text": "x", "voice": "one", "dialogue": "nowhere.json"},
        {"id": "g", "text": "x", "voice": "one", "dialogue": [{"speaker": "user", "audio": 5}]},
        {"id": "h", "text": "x", "voice": "one", "dialogue": [{"speaker": ["user"], "text": "x"}]},
        {"id": "i", "text": "x", "voice": "one", "dialogue": [{"speaker": "user"}]},
    ]
    items = write(tmp_path / "items.jsonl", rows)
    items.write_text(items.read_text() + "\n{not json")
    with pytest.raises(InputError) as caught:
        read_items(items)
    for number in range(2, 11):
        assert f"line {number}:" in str(caught.value)
    assert "line 1:" not in str(caught.value)


GOOD_IDS = (
    "你好", "Grüße", "a b", "scene 1, take 2", "привет", "😀", "e\u0301", "नमस्ते", "x" * 251,
    "语" * 83, "12:30", "100%", "-1", "a..b", "'quoted'", "a.wav", "#1 & more",
)  # fmt: skip
BAD_IDS = {
    "": "nothing", "../up": "'/'", "a/b": "'/'", "/etc/passwd": "'/'", "a\\b": r"'\\'",
    ".": "'.' first", "..": "'.' first", ".hidden": "'.' first", ".part-1": "'.' first",
    "a\0b": "U\\+0000", "a\nb": "U\\+000A", "a\tb": "U\\+0009", "\x1b[31m": "U\\+001B",
    "a\u202eb": "direction of writing", "\ud83d": "halves of characters", "a\u2028b": "U\\+2028",
    "x" * 252: "252 bytes", "语" * 84: "252 bytes", "x" * 100_000: "100000 bytes",
}  # fmt: skip


def test_ids_are_plain_file_names(tmp_path: Path) -> None:
    rows = [{"id": id, "text": "x", "voice": "one"} for id in GOOD_IDS]
    items = read_items(write(tmp_path / "items.jsonl", rows))
    assert [item.id for item in items] == list(GOOD_IDS)
    done, failures = batch.run_batch(items, digests(items), tmp_path / "out", 2, speaking(tmp_path))
    assert (done, failures) == (len(items), [])
    assert set(manifest(tmp_path / "out")) == set(GOOD_IDS)


@pytest.mark.parametrize("id", BAD_IDS, ids=lambda id: repr(id)[:12])
def test_invalid_ids_are_rejected_with_the_reason(id: str, tmp_path: Path) -> None:
    path = write(tmp_path / "items.jsonl", [{"id": id, "text": "x", "voice": "one"}])
    with pytest.raises(InputError, match=f"line 1: the id .* holds .*{BAD_IDS[id]}") as caught:
        read_items(path)
    assert "no '/', '\\' or control characters" in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("first", "second"),
    [("a", "a"), ("a", "A"), ("Grüße", "GRÜßE"), ("é", "e\u0301"), ("Привет", "привет")],
)
def test_ids_that_collide_on_some_file_systems_are_rejected(
    first: str, second: str, tmp_path: Path
) -> None:
    rows = [{"id": id, "text": "x", "voice": "one"} for id in (first, "other", second)]
    with pytest.raises(InputError, match=r"line 3: the id .* line 1"):
        read_items(write(tmp_path / "items.jsonl", rows))


@pytest.mark.parametrize(
    "line",
    ["[" * 100_000, '{"id": "a", "text": "x", "voice": "one", "seed": ' + "9" * 5000 + "}",
     '{"id": "a", "text": "x", "voice": "one", "seed": NaN}',
     '{"id": "a", "text": "x", "voice": "one", "dialogue": "' + "y" * 300 + '"}',
     '{"id": "a", "text": "x", "voice": "one", "dialogue": [{"speaker": "user", "audio": "'
     + "y" * 300 + '"}]}'],
    ids=["brackets", "digits", "NaN", "long path", "long sound"],
)  # fmt: skip
def test_malformed_lines_are_reported(line: str, tmp_path: Path) -> None:
    (tmp_path / "items.jsonl").write_text(line)
    with pytest.raises(InputError, match="line 1: "):
        read_items(tmp_path / "items.jsonl")


HALVES = (
    "Hi \ud83d there.", "\udc00 Good morning.", "Good \ud800\ud800 night.", "It is late.\udfff",
    "One \ude00\ud83d two.",
)  # fmt: skip


def test_lone_surrogates_are_removed(weights: Path, tmp_path: Path) -> None:
    """The audio was written but its row was not, so that every run repeated the item."""
    turns = [{"speaker": "user", "text": "Who \ud83d is it?"}]
    rows = [{"id": str(n), "text": text, "voice": "one"} for n, text in enumerate(HALVES)]
    rows.append({"id": "turns", "text": "It is me.", "voice": "one", "dialogue": turns})
    items, out = write(tmp_path / "items.jsonl", rows), tmp_path / "out"
    assert synth.main([str(items), str(out), "--weights", str(weights)]) == 0
    found = manifest(out)
    assert len(found) == len(rows) and found["0"]["text"] == "Hi  there."
    times = {path.name: path.stat().st_mtime_ns for path in out.glob("*.wav")}
    assert synth.main([str(items), str(out), "--weights", str(weights)]) == 0
    assert times == {path.name: path.stat().st_mtime_ns for path in out.glob("*.wav")}


def speaking(folder: Path) -> Callable[[Item], dict[str, object]]:
    """Writes one byte of audio to `folder/out`."""

    def speak(item: Item) -> dict[str, object]:
        name = f"{item.id}.wav"
        (folder / "out" / name).write_bytes(b"x")
        return {"id": item.id, "file_name": name, "text": item.text, "seed": item.seed}

    return speak


def test_audio_without_a_row_is_removed(tmp_path: Path) -> None:
    """The disk fills up while the manifest is written, with several items in progress."""
    rows = [{"id": f"{n:03}", "text": "x" * 100, "voice": "one"} for n in range(40)]
    items = read_items(write(tmp_path / "items.jsonl", rows))
    out = tmp_path / "out"
    with (
        files_of_at_most(4000),
        pytest.raises(OutputError, match=r"manifest\.jsonl: File too large"),
    ):
        batch.run_batch(items, digests(items), out, 3, speaking(tmp_path))
    assert 0 < len(manifest(out)) < 40
    assert {f"{id}.wav" for id in manifest(out)} == {path.name for path in out.glob("*.wav")}
    assert batch.run_batch(items, digests(items), out, 3, speaking(tmp_path)) == (40, [])


def test_unwritable_audio_ends_the_run(tmp_path: Path) -> None:
    items = read_items(write(tmp_path / "items.jsonl", ROWS))
    spoken = []

    def speak(item: Item) -> dict[str, object]:
        spoken.append(item.id)
        raise OutputError("cannot write it: No space left on device")

    with pytest.raises(OutputError):
        batch.run_batch(items, digests(items), tmp_path / "out", 1, speak)
    assert spoken == ["a"] and manifest(tmp_path / "out") == {}


def test_only_one_run_at_a_time_uses_a_folder(weights: Path, tmp_path: Path) -> None:
    items, out = write(tmp_path / "items.jsonl", ROWS), tmp_path / "out"
    out.mkdir()
    with folder_lock(out), pytest.raises(InputError, match="another synth is using"):
        synth.main([str(items), str(out), "--weights", str(weights)])


def test_a_killed_run_resumes(weights: Path, tmp_path: Path) -> None:
    """Killed by SIGKILL repeatedly; each time the output is intact, and nothing is duplicated."""
    rows = [{"id": str(n), "text": "Good morning.", "voice": "one"} for n in range(6)]
    items, out = write(tmp_path / "items.jsonl", rows), tmp_path / "out"
    arguments = [str(items), str(out), "--weights", str(weights), "--slots", "1"]
    program = (
        "import os, sys; from app.cli import synth\n"
        "speak, count = synth.speak_item, [0]\n"
        "def killed(*given):\n"
        "    count[0] += 1\n"
        "    row = speak(*given)\n"
        "    if count[0] == 3: os.kill(os.getpid(), 9)\n"
        "    return row\n"
        "synth.speak_item = killed; sys.exit(synth.main(sys.argv[1:]))\n"
    )
    for whole in (2, 4):
        done = subprocess.run([sys.executable, "-c", program, *arguments], cwd=ROOT)
        assert done.returncode == -9
        assert len(manifest(out)) == whole
        assert all(len(read_audio(path)) for path in out.glob("*.wav"))
    before = {id: (out / f"{id}.wav").stat().st_mtime_ns for id in manifest(out)}
    assert synth.main(arguments) == 0
    assert len(manifest(out)) == 6 and not list(out.glob(".part*"))
    assert before == {id: (out / f"{id}.wav").stat().st_mtime_ns for id in before}


def test_a_file_that_is_not_utf_8_is_rejected(tmp_path: Path) -> None:
    row = '{"id": "a", "text": "Grüße.", "voice": "one"}'
    (tmp_path / "items.jsonl").write_bytes(row.encode("latin-1"))
    with pytest.raises(InputError, match="not text in UTF-8"):
        read_items(tmp_path / "items.jsonl")
    (tmp_path / "items.jsonl").write_text(row, encoding="utf-8-sig")  # as Windows writes it
    assert read_items(tmp_path / "items.jsonl")[0].text == "Grüße."


def test_a_failing_item_does_not_stop_the_others(tmp_path: Path) -> None:
    items = read_items(write(tmp_path / "items.jsonl", ROWS))

    def speak(item: Item) -> dict[str, object]:
        if item.id == "b":
            raise RuntimeError("the disk is on fire")
        (tmp_path / "out" / f"{item.id}.wav").write_bytes(b"x")
        return {"id": item.id, "file_name": f"{item.id}.wav", "text": item.text, "seed": item.seed}

    done, failures = batch.run_batch(items, digests(items), tmp_path / "out", 2, speak)
    assert done == 2 and failures == [("b", "the disk is on fire")]
    assert set(manifest(tmp_path / "out")) == {"a", "c"}


def test_a_second_run_makes_only_missing_items(tmp_path: Path) -> None:
    """A kill can truncate the manifest's last line; only that item is repeated."""
    items = read_items(write(tmp_path / "items.jsonl", ROWS))
    out, spoken = tmp_path / "out", []

    def speak(item: Item) -> dict[str, object]:
        spoken.append(item.id)
        (out / f"{item.id}.wav").write_bytes(b"x")
        return {"id": item.id, "file_name": f"{item.id}.wav", "text": item.text, "seed": item.seed}

    batch.run_batch(items, digests(items), out, 1, speak)
    content = (out / "manifest.jsonl").read_bytes()
    (out / "manifest.jsonl").write_bytes(content[: content.index("\u2026".encode()) + 1])
    spoken.clear()
    batch.run_batch(items, digests(items), out, 1, speak)
    assert spoken == ["c"]
    assert set(manifest(out)) == {"a", "b", "c"}  # and no row is glued to the half one


def test_items_with_changed_inputs_are_redone(weights: Path, tmp_path: Path) -> None:
    """Only text and seed were compared: a changed voice, dialogue, option or model kept the old
    audio, and a changed text left two rows."""
    folder = tmp_path / "weights"
    shutil.copytree(weights, folder)
    write_audio(tmp_path / "u.wav", espeak_voice()[:24_000])
    asked = {"turns": [{"speaker": "user", "text": "May I come in?", "audio": "u.wav"}]}
    (tmp_path / "dialogue.json").write_text(json.dumps(asked))
    row = {"id": "a", "text": "Good morning.", "voice": "one", "dialogue": "dialogue.json"}
    out, path = tmp_path / "out", tmp_path / "items.jsonl"
    made: list[str] = []

    def again(*options: str, **changes: object) -> bool:
        row.update(changes)
        write(path, [row])
        assert synth.main([str(path), str(out), "--weights", str(folder), *options]) == 0
        made.append(str(manifest(out)["a"]["made_from"]))
        return made[-1] != "".join(made[-2:-1])

    assert again() and not again()
    assert again(text="Good night.") and manifest(out)["a"]["text"] == "Good night."
    assert again(voice="two") and manifest(out)["a"]["voice"] == "two"
    assert again(seed=3)
    assert again("--rate", "1.2") and again("--predictor", "flow-omni") and again()
    write_audio(tmp_path / "u.wav", espeak_voice()[24_000:48_000])
    assert again()
    asked["turns"][0]["text"] = "May I go?"
    (tmp_path / "dialogue.json").write_text(json.dumps(asked))
    assert again()
    (folder / "ham-tts.json").write_text("{}")
    assert not again()  # it does not speak here
    (folder / "prior.json").write_text("{}")
    assert batch.weights_of(folder, "gpt-talker") != batch.weights_of(weights, "gpt-talker")
    item, voices = read_items(path)[0], tiny_voices()
    assert batch.made_from(item, [voices["one"]], {}) != batch.made_from(item, [voices["two"]], {})


def test_rows_of_other_items_stay(tmp_path: Path) -> None:
    items = read_items(write(tmp_path / "items.jsonl", ROWS))
    out = tmp_path / "out"

    def speak(item: Item) -> dict[str, object]:
        (out / f"{item.id}.wav").write_bytes(b"x")
        return {"id": item.id, "file_name": f"{item.id}.wav", "text": item.text, "seed": item.seed}

    batch.run_batch(items[:1], digests(items), out, 1, speak)
    batch.run_batch(items[1:], digests(items[1:]), out, 1, speak)
    assert set(manifest(out)) == {"a", "b", "c"}
    (out / "b.wav").unlink()
    batch.run_batch(items[:1], digests(items[:1]), out, 1, speak)
    assert set(manifest(out)) == {"a", "c"}


def test_an_interruption_keeps_finished_items(tmp_path: Path) -> None:
    items = read_items(write(tmp_path / "items.jsonl", ROWS))
    out = tmp_path / "out"

    def speak(item: Item) -> dict[str, object]:
        if item.id == "b":
            raise KeyboardInterrupt
        (out / f"{item.id}.wav").write_bytes(b"x")
        return {"id": item.id, "file_name": f"{item.id}.wav", "text": item.text, "seed": item.seed}

    with pytest.raises(KeyboardInterrupt):
        batch.run_batch(items, digests(items), out, 1, speak)
    assert set(manifest(out)) == {"a"}


def test_finished_items_have_rows_while_earlier_ones_are_unfinished(tmp_path: Path) -> None:
    """Rows were written in the order of the items: a kill during the first one lost finished later
    ones."""
    items = read_items(write(tmp_path / "items.jsonl", ROWS))
    interrupted, found = threading.Event(), []
    speak_byte = speaking(tmp_path)

    def speak(item: Item) -> dict[str, object]:
        if item.id == "c":
            interrupted.set()
            raise KeyboardInterrupt
        interrupted.wait(10)
        until = time.monotonic() + 5
        while item.id == "a" and not found and time.monotonic() < until:
            found.extend(manifest(tmp_path / "out"))
            time.sleep(0.01)
        return speak_byte(item)

    with pytest.raises(KeyboardInterrupt):
        batch.run_batch(items, digests(items), tmp_path / "out", 3, speak)
    assert found == ["b"]
    assert set(manifest(tmp_path / "out")) == {"a", "b"}


def test_a_line_without_a_voice_takes_the_default(tmp_path: Path) -> None:
    path = write(tmp_path / "items.jsonl", [{"id": "a", "text": "Hello."}])
    assert [item.voice for item in read_items(path)] == [""]
    path = write(tmp_path / "items.jsonl", [{"id": "a", "text": "Hello.", "voice": 3}])
    with pytest.raises(InputError, match='"voice" must be a string'):
        read_items(path)
