"""Audio is marked as synthetic, and carries the consent of cloned voices."""

import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from websockets.sync.client import connect

from app.batch import speak_item
from app.batch_items import Item
from app.cli import reply, synth
from app.library import Library
from data.audio import SYNTHETIC_HEADERS, mark_of, read_audio
from data.errors import MissingModelError
from models.speaker import SpeakOptions
from tests.app.fake_speaker import FakeSpeaker
from tests.app.live import engines, serving
from tests.tiny import tiny_speaker


def comment_of(content: bytes) -> str:
    with av.open(io.BytesIO(content)) as file:
        tags = {**file.metadata, **file.streams[0].metadata}
    return next(value for name, value in tags.items() if name.lower() == "comment")


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "opus", "aac", "pcm"])
def test_responses_are_marked(kind: str) -> None:
    speaker = FakeSpeaker()
    speaker.voices["anna"] = replace(speaker.voices["kal"], name="anna", consent="Anna, 3 May")
    with serving(engines(speaker=speaker)) as (place, _):
        for voice, consent in (("kal", ""), ("anna", "Anna, 3 May")):
            asked = {"input": "one two three", "voice": voice, "response_format": kind}
            answer = httpx.post(f"http://{place}/v1/audio/speech", json=asked)
            assert (
                SYNTHETIC_HEADERS.items()
                <= {"X-Synthetic-Speech": answer.headers["x-synthetic-speech"]}.items()
            )
            if kind != "pcm":
                assert comment_of(answer.content) == mark_of(consent)


def test_marking_can_be_disabled() -> None:
    with serving(engines(marked=False)) as (place, _):
        asked = {"input": "one two three", "voice": "kal", "response_format": "wav"}
        answer = httpx.post(f"http://{place}/v1/audio/speech", json=asked)
        assert "x-synthetic-speech" not in answer.headers
        assert b"ynthetic" not in answer.content
        sample = httpx.get(f"http://{place}/v1/audio/voices/kal/sample")
        assert "x-synthetic-speech" not in sample.headers


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("path", ["realtime", "conversation", "audio/speech/stream"])
def test_streams_are_marked(path: str, marked: bool) -> None:
    """Their messages have no place for it."""
    with (
        serving(engines(marked=marked)) as (place, _),
        connect(f"ws://{place}/v1/{path}") as connection,
    ):
        assert connection.response is not None
        assert ("x-synthetic-speech" in connection.response.headers) is marked


@pytest.mark.parametrize("marked", [True, False])
def test_marking_of_a_batch_can_be_disabled(tmp_path, marked: bool) -> None:
    speaker = tiny_speaker("gpt-talker")
    voice = next(iter(speaker.voices.values()))
    item, options = Item("a", "Good morning.", voice.name), SpeakOptions(seed=1)
    row = speak_item(speaker, item, {voice.name: voice}, tmp_path, options, marked=marked)
    assert row["synthetic"] is True  # the manifest says it in any case
    assert (b"ynthetic" in (tmp_path / "a.wav").read_bytes()) is marked


@pytest.mark.parametrize("consent", ["", "Anna allowed it on 3 May"])
def test_a_manifest_and_its_files_are_marked(tmp_path, consent: str) -> None:
    speaker = tiny_speaker("gpt-talker")
    voice = replace(next(iter(speaker.voices.values())), consent=consent)
    item = Item("a", "Good morning.", voice.name)
    row = speak_item(speaker, item, {voice.name: voice}, tmp_path, SpeakOptions(seed=1))
    assert row["synthetic"] is True
    assert row.get("consent", "") == consent
    assert comment_of((tmp_path / "a.wav").read_bytes()) == mark_of(consent)


def test_consent_is_stored_with_the_voice(tmp_path) -> None:
    from app.voice_sample import clean_sample
    from tests.app.user_sound import speechlike

    speaker = tiny_speaker("gpt-talker")
    samples = speechlike(6.0)
    voice = replace(speaker.clone(samples), name="anna")
    sample = replace(clean_sample([samples]), samples=samples)
    library = Library(tmp_path)
    library.keep(voice, sample, "Anna allowed it", "", "en")
    assert library.load("anna")[0].consent == "Anna allowed it"


class Doubles:
    """A watermark of which a test can see that it is there."""

    name = "audioseal"

    def mark(self, samples: np.ndarray) -> np.ndarray:
        return np.clip(2 * samples, -1, 1).astype(np.float32)


def test_files_are_watermarked_by_option(tmp_path: Path) -> None:
    speaker: Any = FakeSpeaker()
    item = Item(id="a", text="one two three", voice="kal")
    voices: Any = speaker.voices
    sounds = []
    for number, mark in enumerate((None, Doubles())):
        out = tmp_path / str(number)
        out.mkdir()
        given: Any = mark
        row = speak_item(speaker, item, voices, out, SpeakOptions(seed=1), watermark=given)
        assert row.get("watermark") == (None if mark is None else "audioseal")
        sounds.append(read_audio(out / "a.wav"))
    assert np.allclose(2 * sounds[0], sounds[1], atol=1e-3) and np.abs(sounds[0]).max() > 0.01


@pytest.mark.parametrize("command", [reply, synth])
def test_nothing_is_written_without_the_requested_watermark(
    command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "audioseal.loader", None)
    (tmp_path / "items.jsonl").write_text('{"id": "a", "text": "Hello."}')
    out = tmp_path / "out"
    given = {
        reply: ["--text", "Hello.", "--out", f"{out}.wav"],
        synth: [str(tmp_path / "items.jsonl"), str(out)],
    }[command]
    with pytest.raises(MissingModelError, match="pip install audioseal"):
        command.main([*given, "--watermark"])
    assert not list(tmp_path.rglob("*.wav"))
