"""Transcription: pocketsphinx, Whisper, an endpoint, and units by language."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
import soundfile

from data.audio import resample
from data.errors import InputError, MissingModelError
from data.ncssd import recognise
from data.ncssd.config import BuildConfig, RecogniseConfig
from data.ncssd.stage import Context
from data.ncssd.store import Store
from data.recognition.whisper import Transcript, Word
from tests.data.ncssd import made


def test_words_are_counted_and_in_chinese_characters():
    assert recognise.units("well, I never", "en") == ["well,", "I", "never"]
    assert recognise.units("我 不知道。", "zh-CN") == list("我不知道。")


def test_pocketsphinx_returns_words_with_confidence():
    recogniser = recognise.load(RecogniseConfig("pocketsphinx"))
    samples = resample(made.line(0, 5), 24_000, 16_000)
    heard = recogniser(samples, "en")
    text, confidence = heard.text, heard.confidence
    assert {"that", "the", "kitchen", "table", "morning"} & set(text.split())
    assert confidence is not None and 0.0 <= confidence <= 1.0
    recogniser(resample(made.line(1, 1), 24_000, 16_000), "en")
    assert recogniser(samples, "en") == heard, "a turn must not depend on the one before"
    assert recogniser(np.zeros(1600, np.float32), "en").text == ""


@pytest.fixture
def endpoint():
    """A server that answers each file with its size; yields its address and the requests."""
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


def test_an_endpoint_transcribes_each_turn(endpoint, tmp_path, monkeypatch):
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


def test_missing_recognisers_are_named_with_their_location(tmp_path):
    config = RecogniseConfig(recogniser="whisper", model=str(tmp_path / "large"))
    with pytest.raises((MissingModelError, InputError), match="large"):
        recognise.load(config)
    endpoint = RecogniseConfig(recogniser="endpoint", language="en")
    assert "empty" in (recognise.check(endpoint, False) or "")
    with pytest.raises(InputError, match="--language"):
        recognise.check(RecogniseConfig(recogniser="endpoint"), False)


class FakeWhisper:
    """Transcribes everything as two words, and detects Mandarin in loud audio."""

    def __init__(self, folder, device, num_threads):
        assert num_threads == 1, "results must not depend on the machine"
        self.asked = []

    def find_language(self, samples):
        return "zh" if np.abs(samples).max() > 0.5 else "fr"

    def transcribe(self, samples, language, word_times):
        self.asked.append(language)
        words = (Word("你", 0.25, 0.5, 0.9), Word("好。", 0.5, 0.75, 0.7))
        return Transcript("你好。", language, 0.8, words)


@pytest.fixture
def whisper(monkeypatch):
    monkeypatch.setattr(recognise, "Whisper", FakeWhisper)
    monkeypatch.setattr(recognise, "find_whisper", lambda model, download=False: "folder")
    recognise.load.cache_clear()
    yield
    recognise.load.cache_clear()


@pytest.mark.parametrize(
    ("asked", "known", "loud", "language"),
    [
        ("auto", None, True, "zh"),
        ("auto", None, False, "fr"),
        ("auto", "de", True, "de"),
        ("en", None, True, "en"),
        ("zh", "zh-CN", False, "zh-CN"),
    ],
)
def test_whisper_is_asked_in_the_language_of_the_dialogue(
    tmp_path, whisper, asked, known, loud, language
):
    samples = (0.9 if loud else 0.1) * np.ones(72_000, np.float32)
    soundfile.write(tmp_path / "a.wav", samples, 24_000, "PCM_24")
    config = BuildConfig().replace("recognise", recogniser="whisper", language=asked)
    turns = [{"start": 0.0, "end": 1.0, "speaker": 0}, {"start": 2.0, "end": 2.9, "speaker": 1}]
    row = {"audio": "a.wav", "turns": turns} | ({"language": known} if known else {})
    (made,) = recognise.run(row, Context(config, Store(tmp_path)), "key")
    assert made["language"] == language
    assert recognise.load(config.recognise)._whisper.asked == [language] * 2
    assert [turn["text"] for turn in made["turns"]] == ["你好。"] * 2
    assert made["turns"][1]["confidence"] == 0.8
    assert made["turns"][0]["words"][0] == ["你", 0.25, 0.5, 0.9], "nothing lies before the start"
    assert made["turns"][1]["words"] == [["你", 2.1, 2.35, 0.9], ["好。", 2.35, 2.6, 0.7]]


def without_whisper(model, download=False):
    raise MissingModelError("its weights lie nowhere")


@pytest.mark.parametrize("recogniser", ["none", "pocketsphinx", "endpoint", "whisper"])
def test_a_named_recogniser_is_used(recogniser):
    config = BuildConfig().replace("recognise", recogniser=recogniser)
    assert recognise.resolve(config) == config


def test_without_whisper_pocketsphinx_is_used_with_a_warning(monkeypatch, caplog):
    monkeypatch.setattr(recognise, "find_whisper", without_whisper)
    for language in ("auto", "en", "en-GB"):
        config = BuildConfig().replace("recognise", language=language)
        assert recognise.resolve(config).recognise.recogniser == "pocketsphinx"
        assert "not fit for training" in caplog.text and "lie nowhere" in caplog.text
        caplog.clear()
    for asked in ({"language": "zh"}, {"model": "large-v3"}):
        with pytest.raises(MissingModelError, match="lie nowhere"):
            recognise.resolve(BuildConfig().replace("recognise", **asked))


def rows_of(*turns):
    return [{"turns": [{"text": text, "confidence": chance} for text, chance in turns]}]


@pytest.mark.parametrize(
    ("recogniser", "rows", "why"),
    [
        ("whisper", rows_of(("yes", 0.9), ("no", 0.8)), ""),
        ("whisper", rows_of(("yes", 0.9), ("", 0.0)), "50 % of the turns"),
        ("whisper", rows_of(("yes", 0.4), ("no", 0.3)), "mean confidence is only 0.35"),
        ("endpoint", rows_of(("yes", None)), ""),
        ("pocketsphinx", rows_of(("yes", 1.0)), "half of the words"),
        ("none", rows_of(("", None)), "none"),
        ("none", [], ""),
    ],
)
def test_transcripts_not_fit_for_training_are_reported(recogniser, rows, why):
    found = recognise.doubts(RecogniseConfig(recogniser), rows)
    assert why in found and bool(why) == bool(found)
