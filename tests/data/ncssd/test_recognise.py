"""What was said: the bundled recogniser, an endpoint, and what is counted in which language."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from data.audio import resample
from data.errors import MissingModelError
from data.ncssd import recognise
from data.ncssd.config import BuildConfig, RecogniseConfig
from data.ncssd.stage import Context
from data.ncssd.store import Store
from tests.data.ncssd import made


def test_words_are_counted_and_in_chinese_characters():
    assert recognise.units("well, I never", "en") == ["well,", "I", "never"]
    assert recognise.units("我 不知道。", "zh-CN") == list("我不知道。")


def test_pocketsphinx_hears_words_and_says_how_sure_it_is():
    recogniser = recognise.load(RecogniseConfig())
    samples = resample(made.line(0, 5), 24_000, 16_000)
    text, confidence = recogniser(samples)
    assert {"that", "the", "kitchen", "table", "morning"} & set(text.split())
    assert confidence is not None and 0.0 <= confidence <= 1.0
    recogniser(resample(made.line(1, 1), 24_000, 16_000))
    assert recogniser(samples) == (text, confidence), "a turn must not depend on the one before"
    assert recogniser(np.zeros(1600, np.float32))[0] == ""


@pytest.fixture
def endpoint():
    """A server that answers each file with its size; yields its address and what it was sent."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, self.headers["Authorization"], body))
            answer = json.dumps({"text": " Hello there. "}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1", seen
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_endpoint_gets_each_turn_and_its_text_is_kept(endpoint, tmp_path, monkeypatch):
    address, seen = endpoint
    monkeypatch.setenv("ASR_API_KEY", "a key")
    made.write(tmp_path / "a.wav", made.conversation(2), 24_000)
    config = BuildConfig().replace(
        "recognise", recogniser="endpoint", endpoint=address, language="zh", model="large"
    )
    turns = [{"start": 1.0, "end": 2.0, "speaker": 0}, {"start": 3.0, "end": 4.0, "speaker": 1}]
    (row,) = recognise.run(
        {"audio": "a.wav", "turns": turns}, Context(config, Store(tmp_path)), "key"
    )
    assert row["language"] == "zh"
    assert [turn["text"] for turn in row["turns"]] == ["Hello there."] * 2
    assert [turn["confidence"] for turn in row["turns"]] == [None, None]
    path, key, body = seen[0]
    assert path == "/v1/audio/transcriptions" and key == "Bearer a key"
    assert b"large" in body and b"zh" in body and b"RIFF" in body


def test_what_is_not_there_is_named_with_its_place(tmp_path):
    config = RecogniseConfig(recogniser="faster-whisper", model=str(tmp_path / "large"))
    with pytest.raises(MissingModelError, match=r"not installed|large/model\.bin"):
        recognise.load(config)
    assert "empty" in (recognise.check(RecogniseConfig(recogniser="endpoint"), False) or "")


def test_faster_whisper_is_asked_in_the_language_and_its_parts_are_joined(tmp_path, monkeypatch):
    asked = []

    class WhisperModel:
        def __init__(self, folder, **options):
            assert options["local_files_only"], "it must not reach for the network"

        def transcribe(self, samples, language, beam_size):
            asked.append((samples.shape, language))
            parts = [("你好。", -0.1), (" 再见。", -0.3)]
            return (SimpleNamespace(text=t, avg_logprob=p) for t, p in parts), None

    fake = ModuleType("faster_whisper")
    fake.__spec__ = ModuleSpec("faster_whisper", None)
    fake.WhisperModel = WhisperModel
    monkeypatch.setitem(sys.modules, "faster_whisper", fake)
    (tmp_path / "model.bin").touch()
    config = RecogniseConfig(recogniser="faster-whisper", language="zh", model=str(tmp_path))
    text, confidence = recognise.load(config)(np.zeros(1600, np.float32))
    assert text == "你好。 再见。" and asked == [((1600,), "zh")]
    assert confidence == pytest.approx(np.exp(-0.2))
