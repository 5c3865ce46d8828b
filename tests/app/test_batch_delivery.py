"""`synth`: word timestamps as files, instructions, and several voices per line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app import batch
from app.batch_items import read_items
from app.cli import synth
from data.audio import read_audio
from data.errors import InputError
from models.speaker import SpeakOptions
from tests.tiny import save_tiny, tiny_speaker, tiny_voices


def items(folder: Path, *lines: dict[str, Any]) -> Path:
    path = folder / "items.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_timestamps_are_written_beside_the_audio(tmp_path: Path) -> None:
    weights = save_tiny(tmp_path / "weights")
    source = items(
        tmp_path,
        {"id": "a", "text": "The baker [pause 0.5s] is in."},
        {"id": "b", "text": [{"voice": "one", "text": "Yes."}, {"voice": "two", "text": "No."}]},
        {"id": "c", "text": "I see.", "instructions": "slow"},
    )
    out = tmp_path / "out"
    argv = [str(source), str(out), "--weights", str(weights), "--times", "srt", "vtt", "json"]
    assert synth.main(argv) == 0
    made = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    rows = {row["id"]: row for row in made}  # in the order in which they were finished
    assert [row["voice"] for row in made] == ["one"] * 3  # none was named: the first
    assert rows["b"]["voices"] == ["one", "two"]
    assert rows["c"]["understood"] == "manner=slow; rate=0.80"
    for row in made:
        seconds = len(read_audio(out / row["file_name"])) / 24_000
        told = json.loads((out / f"{row['id']}.json").read_text())
        assert told["duration_s"] == pytest.approx(seconds, abs=1e-3)
        assert [[w["word"], w["start"], w["end"]] for w in told["words"]] == row["words"]
        assert all(word["phones"] for word in told["words"])
        assert told["words"][-1]["end"] <= seconds + 1e-3
        assert (out / f"{row['id']}.vtt").read_text().startswith("WEBVTT\n\n00:00:0")
        assert (out / f"{row['id']}.srt").read_text().startswith("1\n00:00:0")
    assert "[pause" not in (out / "a.srt").read_text()


def test_each_voice_has_the_others_as_context(tmp_path: Path) -> None:
    speaker = tiny_speaker("gpt-talker")
    text = [
        {"voice": v, "text": t} for v, t in (("one", "Yes."), ("two", "No."), ("one", "I see."))
    ]
    [item] = read_items(items(tmp_path, {"id": "a", "text": text, "seed": 5}))
    opened: list[Any] = []
    open_dialogue = speaker.open_dialogue

    def opening(*args: Any) -> Any:
        opened.append(open_dialogue(*args))
        return opened[-1]

    speaker.open_dialogue = opening  # pyright: ignore[reportAttributeAccessIssue]
    voices = {**tiny_voices(), "": tiny_voices()["one"]}
    row = batch.speak_item(speaker, item, voices, tmp_path, SpeakOptions(seed=5))
    turns = [[(turn.who, turn.text) for turn in dialogue.turns] for dialogue in opened]
    assert turns == [[(1, "Yes."), (0, "No."), (1, "I see.")], [(0, "Yes."), (1, "No.")]]
    assert all(turn.samples is not None for dialogue in opened for turn in dialogue.turns)
    assert row["seed"] == 5
    assert np.isfinite(read_audio(tmp_path / "a.wav")).all()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ({"text": "Wait [pause soon]."}, "600ms"),
        ({"text": []}, "1 to 100"),
        ({"text": [{"voice": "one"}]}, "objects"),
        ({"text": [{"text": 5}]}, "objects"),
        ({"text": [{"text": "a", "tone": "b"}]}, "objects"),
        ({"text": "[slow]a", "instructions": "speed 0.4"}, "rate"),
        ({"text": "a", "instructions": 5}, "instructions"),
    ],
)
def test_invalid_lines_are_reported(tmp_path: Path, line: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=f"line 1: .*{complaint}"):
        read_items(items(tmp_path, {"id": "a", **line}))
