"""`reply`: one answer into a file, with exactly one line of JSON."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from app.cli import reply
from data.audio import read_audio, write_audio
from data.errors import InputError
from models.checkpoint import WEIGHTS
from models.named_voices import NAMED
from models.voice import load_voices, save_voices
from tests.app.voice_sound import espeak_voice
from tests.tiny import save_tiny


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def dialogue(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    write_audio(tmp_path / "u0.wav", 0.1 * generator.standard_normal(24_000).astype(np.float32))
    turns = [
        {"speaker": "user", "text": "Is it late?", "audio": "u0.wav"},
        {"speaker": "agent", "text": "Not yet."},
        {"speaker": "user", "text": "Good."},
    ]
    path = tmp_path / "dialogue.json"
    path.write_text(json.dumps({"turns": turns}))
    return path


def call(weights: Path, out: Path, *more: str) -> int:
    words = ["--text", "We have an hour left.", "--out", str(out), "--weights", str(weights)]
    return reply.main([*words, *more])


def test_json_is_the_only_line(
    weights: Path, dialogue: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.wav"
    assert call(weights, out, "--dialogue", str(dialogue), "--seed", "5", "--json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    result = json.loads(lines[0])
    assert result["seed"] == 5 and result["sample_rate"] == 24_000
    assert result["duration_s"] == pytest.approx(len(read_audio(out)) / 24_000, abs=0.01)
    assert next(word for word, _, _ in result["words"]) == "We"


def test_the_default_voice_is_the_folders_first(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was always "slt", which other models may not have."""
    voices = load_voices(weights)
    del voices["slt"]
    folder = shutil.copytree(weights, tmp_path / "weights")
    save_voices(folder, voices)
    assert call(folder, tmp_path / "out.wav", "--json") == 0
    assert json.loads(capsys.readouterr().out)["voice"] == "one"
    with pytest.raises(InputError, match="'slt'; the voices are one, two"):
        call(folder, tmp_path / "out.wav", "--voice", "slt")


def test_the_bundle_has_all_named_voices() -> None:
    assert list(load_voices(WEIGHTS)) == [name for name, _ in NAMED.values()]


def test_the_dialogue_matters(weights: Path, dialogue: Path, tmp_path: Path) -> None:
    call(weights, tmp_path / "a.wav", "--seed", "5")
    call(weights, tmp_path / "b.wav", "--seed", "5", "--dialogue", str(dialogue))
    first, second = read_audio(tmp_path / "a.wav"), read_audio(tmp_path / "b.wav")
    assert len(first) != len(second) or not np.allclose(first, second, atol=1e-3)


def test_a_file_is_a_voice(weights: Path, tmp_path: Path) -> None:
    sample = tmp_path / "me.wav"
    write_audio(sample, espeak_voice())
    assert call(weights, tmp_path / "out.wav", "--voice", str(sample)) == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--voice", "nobody"], "no voice and no file is named 'nobody'"),
        (["--text", ""], "empty"),
        (["--text", "a" * 10_000], "at most 4096"),
        (["--text", "🙂🙂"], "nothing to speak"),
        (["--dialogue", "missing.json"], "missing.json"),
        (["--pitch", "90"], "pitch"),
        (["--top-p", "0"], "top_p"),
        (["--out", "speech.xyz"], "xyz"),
    ],
)
def test_bad_input_is_reported(
    weights: Path, tmp_path: Path, more: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        call(weights, tmp_path / "out.wav", *more)


def test_an_empty_wav_in_the_dialogue_is_reported(
    weights: Path, dialogue: Path, tmp_path: Path
) -> None:
    (tmp_path / "u0.wav").write_bytes(b"")
    with pytest.raises(InputError, match=r"u0\.wav"):
        call(weights, tmp_path / "out.wav", "--dialogue", str(dialogue))


def test_speech_to_speech_answers_audio(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model's text is printed; the transcript beside the audio is not used."""
    sound = 0.1 * np.random.default_rng(1).standard_normal(30_000).astype(np.float32)
    write_audio(tmp_path / "u.wav", sound)
    told = []
    for text in ("Is the baker in?", ""):
        turns = [{"speaker": "user", "text": text, "audio": "u.wav"}]
        (tmp_path / "dialogue.json").write_text(json.dumps({"turns": turns}))
        out = tmp_path / "out.wav"
        options = ["--dialogue", str(tmp_path / "dialogue.json"), "--weights", str(weights)]
        options += ["--seed", "3", "--predictor", "flow-omni", "--out", str(out)]
        assert reply.main(["--speech-to-speech", "--json", *options]) == 0
        told.append(json.loads(capsys.readouterr().out))
        assert len(read_audio(out)) > 0
    assert told[0]["text"] == told[1]["text"] != ""
    assert reply.main(["--speech-to-speech", *options]) == 0
    assert capsys.readouterr().out.splitlines()[0] == told[0]["text"]


def test_speech_to_speech_needs_a_turn_to_answer(weights: Path, tmp_path: Path) -> None:
    options = ["--speech-to-speech", "--weights", str(weights), "--out", str(tmp_path / "o.wav")]
    with pytest.raises(InputError, match="user's"):
        reply.main(options)
    with pytest.raises(SystemExit):
        reply.main([*options, "--text", "No."])
