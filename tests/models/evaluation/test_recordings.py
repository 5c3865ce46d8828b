"""Folders of human speech: speakers, texts, and references for cloning."""

from pathlib import Path

import numpy as np
import pytest

from app.cli import eval as command
from data.audio import write_audio
from data.errors import InputError
from models.evaluation import recordings
from models.evaluation.panel import Panel
from models.evaluation.recordings import find_recordings, recordings_set
from models.evaluation.seed_tts import seed_tts_set
from models.evaluation.transcripts import read_transcripts


def noise(path: Path, seconds: float = 3.5, seed: int = 0) -> Path:
    sound = np.random.default_rng(seed).uniform(-0.2, 0.2, int(24_000 * seconds))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_audio(path, sound.astype(np.float32))
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "The first of them.\n"),
        ("a.lab", "The first of them."),
        ("1-2.trans.txt", "a The first of them.\nb Another."),
        ("metadata.csv", "a|the 1st of them.|The first of them.\nb|x|y"),
        ("transcripts.txt", "; a list\n\na: The first of them.\n"),
        ("transcripts.tsv", "a.wav\tThe first of them. [laughs]\n"),
    ],
)
def test_texts_are_found_where_data_sets_keep_them(tmp_path: Path, name: str, content: str) -> None:
    sound = noise(tmp_path / "a.wav")
    (tmp_path / name).write_text(content)
    assert read_transcripts(tmp_path, [sound]) == {sound: "The first of them."}


def test_an_explicit_list_takes_precedence(tmp_path: Path) -> None:
    sounds = [noise(tmp_path / "in" / who / "1.wav") for who in ("anna", "ben")]
    (tmp_path / "in" / "transcripts.txt").write_text("1: Neither of them.")
    listed = tmp_path / "list"
    listed.write_text("anna/1 | Anna says this.\nben/1 | Ben says that.")
    found = read_transcripts(tmp_path / "in", sounds, listed)
    assert list(found.values()) == ["Anna says this.", "Ben says that."]
    with pytest.raises(InputError, match="cannot be read"):
        read_transcripts(tmp_path, sounds, tmp_path / "nowhere")


def test_speakers_are_folders_and_references_other_utterances(tmp_path: Path) -> None:
    for number, who in enumerate(("anna", "anna", "ben", "ben", "carl")):
        noise(tmp_path / who / f"{number}.wav", seed=number)
        (tmp_path / who / f"{number}.txt").write_text(f"This is text number {number}.")
    noise(tmp_path / "anna" / "short.wav", 1.0)
    found = find_recordings(tmp_path)
    assert [one.speaker for one in found] == ["anna"] * 3 + ["ben"] * 2 + ["carl"]
    copied, cloned, num_heard = recordings_set(tmp_path, 10, "en", Panel(1))
    assert len(copied.items) == 5 and num_heard == 0
    assert all(item.held_out is None for item in copied.items)
    assert sorted(item.voice.split()[0] for item in cloned.items) == ["anna"] * 2 + ["ben"] * 2
    for item in cloned.items:
        (prompt,) = cloned.others[item.voice]
        assert not np.array_equal(prompt, item.samples)


def test_whisper_transcribes_where_a_text_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hears(samples: np.ndarray, language: str) -> str:
        return f"heard in {language} indeed"

    monkeypatch.setattr(recordings, "transcribe", hears)
    noise(tmp_path / "a.wav")
    copied, _, num_heard = recordings_set(tmp_path, 1, "en", Panel(1))
    assert num_heard == 1 and copied.items[0].text == "heard in en indeed"


def test_folders_without_speech_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a folder"):
        find_recordings(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no recording under"):
        find_recordings(tmp_path)
    noise(tmp_path / "a.wav", 1.0)
    with pytest.raises(InputError, match="lasts 2 to 20 s"):
        recordings_set(tmp_path, 1, "en", Panel(1))


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """English and Mandarin lists in the published format; one text has its recording."""
    for language, texts in (("en", ("Say one thing.", "Say two.")), ("zh", ("说一句话。",))):
        folder = tmp_path / language
        noise(folder / "prompt-wavs" / "p.wav")
        lines = [f"u{n}|Prompt.|prompt-wavs/p.wav|{text}" for n, text in enumerate(texts)]
        (folder / "meta.lst").write_text("\n".join(lines) + "\n", encoding="utf-8")
    noise(tmp_path / "en" / "wavs" / "u0.wav", 2.0, seed=1)
    return tmp_path


def test_a_list_of_seed_tts_eval_is_read(lists: Path) -> None:
    found = seed_tts_set(lists, 10)
    assert [item.text for item in found.items] == ["Say one thing.", "Say two.", "说一句话。"]
    assert [item.language for item in found.items] == ["en", "en", "zh"]
    assert [len(item.samples) > 0 for item in found.items] == [True, False, False]
    assert all(len(found.others[item.voice][0]) == 84_000 for item in found.items)
    assert len(seed_tts_set(lists, 10, "zh").items) == 1
    assert len(seed_tts_set(lists / "en", 10).items) == 2
    assert len(seed_tts_set(lists / "en" / "meta.lst", 1).items) == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("u|Prompt.|prompt-wavs/p.wav", "line 1: expected id"),
        ("u|Prompt.|prompt-wavs/none.wav|Say.", "prompt prompt-wavs/none.wav is missing"),
        ("u||prompt-wavs/p.wav|Say.", "line 1: expected id"),
        ("u|Prompt.|prompt-wavs/p.wav|Say.|wavs/none.wav", "none.wav is missing"),
        ("", "no text to be said"),
    ],
)
def test_errors_name_the_line_of_a_list(lists: Path, line: str, said: str) -> None:
    (lists / "en" / "meta.lst").write_text(line + "\n")
    with pytest.raises(InputError, match=said):
        seed_tts_set(lists / "en", 10)


def test_a_folder_without_a_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"neither meta\.lst nor"):
        seed_tts_set(tmp_path, 10)


def test_seed_tts_is_a_measure_and_an_option(tmp_path: Path) -> None:
    for spelled in ("seed-tts", "--seed-tts"):
        with pytest.raises(InputError, match=r"meta\.lst"):
            command.main([spelled, str(tmp_path), "--no-cache"])
