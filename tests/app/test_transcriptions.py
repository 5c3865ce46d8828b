"""Transcription over HTTP with the chat's recogniser."""

import io
import json
import socket
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from app.library import Library
from data.errors import RepError
from data.recognition.sphinx import SphinxRecognizer
from tests.app.live import engines, serving
from tests.app.stage import FakeRecognizer
from tests.app.user_sound import speechlike, spoken
from tests.app.voice_sound import TEXTS, espeak_voice


def wav(samples: np.ndarray, rate: int = 24_000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV")
    return buffer.getvalue()


def post(place: str, content: bytes, **fields: Any) -> httpx.Response:
    return httpx.post(
        f"http://{place}/v1/audio/transcriptions",
        files={"file": ("turn.wav", content)},
        data={"model": "whisper-1", **fields},
        timeout=120,
    )


def test_a_recording_is_transcribed(tmp_path: Path) -> None:
    recognizer = SphinxRecognizer()
    content = wav(spoken("What do you think about the weather?", tmp_path))
    try:
        with serving(engines(recognizer=recognizer)) as (place, _):
            answer = post(
                place,
                content,
                response_format="verbose_json",
                **{"timestamp_granularities[]": ["word", "segment"]},
            ).json()
            assert answer["text"] == "what do you think about the weather"
            assert " ".join(word["word"] for word in answer["words"]) == answer["text"]
            times = [at for word in answer["words"] for at in (word["start"], word["end"])]
            assert times == sorted(times) and 0 <= times[0] < times[-1] <= answer["duration"]
    finally:
        recognizer.close()


def test_response_formats() -> None:
    told: Any = FakeRecognizer("one", "two", "three")
    with serving(engines(recognizer=told)) as (place, _):
        content = wav(speechlike(1.3))
        plain = post(place, content).json()
        assert plain == {"text": "one", "usage": {"type": "duration", "seconds": 1.3}}
        assert post(place, content, response_format="text").text == "two\n"
        whole = post(place, content, response_format="verbose_json").json()
        assert (whole["text"], whole["duration"]) == ("three", 1.3)
        # all of the sound, once
        assert [one.num_samples for one in told.opened] == [31_200] * 3


WORDS = (("how", 0.2, 0.4), ("are", 0.4, 0.6), ("you", 0.65, 0.9), ("today", 1.8, 2.25))


def timed(place: str, recognizer: Any, **fields: Any) -> httpx.Response:
    recognizer.texts, recognizer.words = ["how are you today"], WORDS
    return post(place, wav(speechlike(2.5)), **fields)


def test_timestamps_match_the_words() -> None:
    told: Any = FakeRecognizer()
    with serving(engines(recognizer=told)) as (place, _):
        assert timed(place, told, response_format="srt").text == (
            "1\n00:00:00,200 --> 00:00:00,900\nhow are you\n\n"
            "2\n00:00:01,800 --> 00:00:02,250\ntoday\n\n"
        )
        vtt = timed(place, told, response_format="vtt")
        assert vtt.headers["content-type"].startswith("text/vtt")
        assert vtt.text.startswith("WEBVTT\n\n00:00:00.200 --> 00:00:00.900\nhow are you\n\n")
        fields: dict[str, Any] = {"response_format": "verbose_json"}
        segments = timed(place, told, **fields).json()
        assert "words" not in segments
        assert [(one["start"], one["text"]) for one in segments["segments"]] == [
            (0.2, "how are you"),
            (1.8, "today"),
        ]
        words = timed(place, told, **fields, **{"timestamp_granularities[]": "word"}).json()
        assert "segments" not in words
        assert words["words"][-1] == {"word": "today", "start": 1.8, "end": 2.25}
        both = {"timestamp_granularities[]": ["word", "segment"]}
        assert {"words", "segments"} <= timed(place, told, **fields, **both).json().keys()


def test_without_word_timestamps_there_is_one_segment() -> None:
    with serving(engines("how are you", "how are you")) as (place, _):
        content = wav(speechlike(1.5))
        srt = post(place, content, response_format="srt").text
        assert srt == "1\n00:00:00,000 --> 00:00:01,500\nhow are you\n\n"
        fields = {"response_format": "verbose_json", "timestamp_granularities[]": "word"}
        refused = post(place, content, **fields)
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == "timestamp_granularities"


@pytest.mark.parametrize("stream", ["true", "True", "1"])
def test_a_transcript_is_streamed(stream: str) -> None:
    told: Any = FakeRecognizer()
    with serving(engines(recognizer=told)) as (place, _):
        answer = timed(place, told, stream=stream)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line[6:]) for line in answer.text.split("\n") if line]
    deltas = [event["delta"] for event in events if event["type"] == "transcript.text.delta"]
    assert "".join(deltas) == events[-1]["text"] == "how are you today"
    assert events[-1]["type"] == "transcript.text.done"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "mp3"}, "response_format"),
        ({"stream": "true", "response_format": "srt"}, "response_format"),
        ({"stream": "yes please"}, "stream"),
        ({"language": "de"}, "language"),
        ({"language": "x" * 5000}, "language"),
        ({"temperature": "0.7"}, "temperature"),
        ({"temperature": "nan"}, "temperature"),
        ({"temperature": "warm"}, "temperature"),
        ({"temperature": "9" * 4000}, "temperature"),
        ({"include[]": "tokens"}, "include"),
        ({"include[]": "logprobs", "response_format": "text"}, "include"),
        ({"timestamp_granularities[]": "word"}, "timestamp_granularities"),
        (
            {"response_format": "verbose_json", "timestamp_granularities[]": "phone"},
            "timestamp_granularities",
        ),
        ({"chunking_strategy": '{"type": "server_vad"}'}, "chunking_strategy"),
        ({"known_speaker_names[]": "anna"}, "known_speaker_names"),
        ({"diarise": "true"}, "diarise"),
    ],
)
def test_unsupported_options_are_rejected_by_name(fields: dict[str, str], param: str) -> None:
    with serving(engines("hello")) as (place, _):
        answer = post(place, wav(speechlike(0.5)), **fields)
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert error["param"] == param and error["type"] == "invalid_request_error"
        assert len(error["message"]) < 300


@pytest.mark.parametrize(
    "fields",
    [
        {"language": "en"},
        {"language": "en-US"},
        {"prompt": ""},
        {"temperature": "0"},
        {"chunking_strategy": "auto"},
        {"stream": "false"},
    ],
)
def test_options_that_match_the_behaviour_are_accepted(fields: dict[str, str]) -> None:
    with serving(engines("hello")) as (place, _):
        assert post(place, wav(speechlike(0.5)), **fields).json()["text"] == "hello"


def test_a_recogniser_is_asked_for_nothing_that_it_lacks() -> None:
    told: Any = FakeRecognizer(*["hello"] * 3)
    told.biasable = False
    asked = {"prompt": "Gradio"}, {"include[]": "logprobs"}, {"response_format": "diarized_json"}
    with serving(engines(recognizer=told)) as (place, _):
        for fields, param in zip(asked, ("prompt", "include", "response_format"), strict=True):
            answer = post(place, wav(speechlike(1.0)), **fields)
            assert answer.status_code == 400
            assert answer.json()["error"]["param"] == param


def test_a_prompt_biases_recognition() -> None:
    told: Any = FakeRecognizer("hello")
    with serving(engines(recognizer=told)) as (place, _):
        assert post(place, wav(speechlike(0.5)), prompt=" Repartee, Gradio ").status_code == 200
    assert told.names == ("Repartee, Gradio",)


@pytest.mark.parametrize("stream", [False, True])
def test_log_probabilities_are_those_of_the_text(stream: bool) -> None:
    told: Any = FakeRecognizer()
    told.confidences = (0.5, 0.25, 1.0, 0.0)
    with serving(engines(recognizer=told)) as (place, _):
        answer = timed(place, told, **{"include[]": "logprobs", "stream": str(stream).lower()})
    events = [json.loads(line[6:]) for line in answer.text.split("\n") if line] if stream else []
    found = events[-1] if stream else answer.json()
    tokens = [one["token"] for one in found["logprobs"]]
    assert tokens == ["how", " are", " you", " today"] and "".join(tokens) == found["text"]
    assert [one["logprob"] for one in found["logprobs"][:3]] == [-0.6931, -1.3863, 0.0]
    assert found["logprobs"][3]["logprob"] < -20
    assert bytes(found["logprobs"][1]["bytes"]) == b" are"
    if stream:
        assert [one for event in events[:-1] for one in event["logprobs"]] == found["logprobs"]


def test_a_long_recording_is_cut_at_its_pauses() -> None:
    """It used to be refused from 120 s on."""
    told: Any = FakeRecognizer(*[f"part {n}" for n in range(20)])
    rng = np.random.default_rng(0)
    sound = 0.3 * rng.standard_normal(8_000 * 150)
    pauses = [20, 41, 60, 78, 97, 120, 138]
    for at in pauses:
        sound[at * 8_000 : at * 8_000 + 4_000] = 0
    with serving(engines(recognizer=told)) as (place, _):
        answer = post(place, wav(sound, 8_000), response_format="verbose_json").json()
    cuts = np.cumsum([one.num_samples / 24_000 for one in told.opened])
    assert np.abs(cuts - [*(at + 0.25 for at in pauses), 150]).max() < 0.2
    assert answer["duration"] == 150
    assert answer["text"] == " ".join(f"part {n}" for n in range(8))
    assert [one["start"] for one in answer["segments"][1:]] == pytest.approx(cuts[:-1], abs=1e-3)


def test_a_failure_after_the_first_words_is_an_event() -> None:
    told: Any = FakeRecognizer("part one")

    class Fails(FakeRecognizer):
        def open(self, *args: Any, **kwargs: Any) -> Any:
            if self.opened:
                self.error = RepError("the recogniser's process has ended")
            return super().open(*args, **kwargs)

    told = Fails("part one")
    with serving(engines(recognizer=told)) as (place, _):
        answer = post(place, wav(speechlike(40.0)), stream="true")
    events = [json.loads(line[6:]) for line in answer.text.split("\n") if line]
    assert [event["type"] for event in events] == ["transcript.text.delta", "error"]
    assert "has ended" in events[-1]["error"]["message"]


def test_speakers_are_told_apart(tmp_path: Path) -> None:
    """Two voices in turn; each word goes to who speaks during it."""
    first, second = (spoken(" ".join(TEXTS), tmp_path, voice) for voice in ("slt", "rms"))
    parts = [first, second, first, second]
    told: Any = FakeRecognizer("a b c d")
    ends = np.cumsum([len(part) / 24_000 for part in parts])
    told.words = tuple(
        (name, end - len(part) / 24_000 + 0.2, end - 0.2)
        for name, end, part in zip("abcd", ends, parts, strict=True)
    )
    with serving(engines(recognizer=told)) as (place, _):
        content = wav(np.concatenate(parts))
        found = post(place, content, response_format="diarized_json").json()
        assert found["text"] == "a b c d"
        told.texts = ["a b c d"]
        streamed = post(place, content, response_format="diarized_json", stream="true")
    assert [(one["speaker"], one["text"]) for one in found["segments"]] == [
        ("A", "a"), ("B", "b"), ("A", "c"), ("B", "d")
    ]  # fmt: skip
    events = [json.loads(line[6:]) for line in streamed.text.split("\n") if line]
    assert [one for one in events if one["type"] == "transcript.text.segment"] == found["segments"]
    assert events[-1]["text"] == "a b c d"


def test_the_openai_package_gets_its_transcript() -> None:
    from openai import OpenAI

    told: Any = FakeRecognizer()
    with serving(engines(recognizer=told)) as (place, _):
        client = OpenAI(api_key="none", base_url=f"http://{place}/v1", max_retries=0)
        file = ("turn.wav", wav(speechlike(2.5)))

        def create(**fields: Any) -> Any:
            told.texts, told.words = ["how are you today"], WORDS
            return client.audio.transcriptions.create(model="whisper-1", file=file, **fields)

        assert create().text == "how are you today"
        assert create(response_format="text").strip() == "how are you today"
        kinds = [event.type for event in create(stream=True)]
        assert kinds == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
        verbose = create(response_format="verbose_json", timestamp_granularities=["word"])
        assert [word.word for word in verbose.words] == "how are you today".split()
        assert create(response_format="vtt").startswith("WEBVTT")


class SlowRecognizer(FakeRecognizer):
    """Its results come when released."""

    def __init__(self) -> None:
        super().__init__()
        self.futures: list[Future[str]] = []

    def open(self, *args: Any, **kwargs: Any) -> Any:
        utterance = super().open()

        def finish() -> "Future[str]":
            self.futures.append(Future())
            return self.futures[-1]

        utterance.finish = finish
        return utterance


def waiting(place: str) -> socket.socket:
    """A client whose recording is being transcribed."""
    request = httpx.Request(
        "POST",
        f"http://{place}/v1/audio/transcriptions",
        files={"file": ("turn.wav", wav(speechlike(0.5)))},
    )
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    host, port = place.split(":")
    connection = socket.create_connection((host, int(port)))
    line = "POST /v1/audio/transcriptions HTTP/1.1\r\n"
    connection.sendall(f"{line}{head}\r\n".encode() + request.read())
    return connection


def test_many_transcriptions_do_not_delay_speech_and_end_with_their_clients() -> None:
    """Seven at once used all threads, and speech waited 26 s for its first byte."""
    slow = SlowRecognizer()
    with serving(engines(recognizer=slow)) as (place, _):
        senders = [waiting(place) for _ in range(7)]
        deadline = time.monotonic() + 30  # the decoders' processes start
        while len(slow.futures) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        started = time.perf_counter()
        spoken = httpx.post(f"http://{place}/v1/audio/speech", json={"input": "one"})
        assert spoken.status_code == 200 and time.perf_counter() - started < 10
        assert len(slow.futures) == 2  # the others wait for a place
        for sender in senders:
            sender.close()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and any(
            thread.name == "production" for thread in threading.enumerate()
        ):
            time.sleep(0.02)
        assert not any(thread.name == "production" for thread in threading.enumerate())
        assert all(utterance.aborted for utterance in slow.opened)


@pytest.mark.parametrize(
    ("content", "fields", "status"),
    [
        (b"", {}, 400),
        (b"no sound at all", {}, 400),
        (wav(np.zeros(4_000 * 1801, np.int16), 4_000), {"response_format": "diarized_json"}, 400),
        (wav(speechlike(0.5)), {"response_format": "exe"}, 400),
        (wav(speechlike(0.5)), {"model": "x" * 300}, 400),
    ],
)
def test_unusable_recordings_are_rejected(
    content: bytes, fields: dict[str, str], status: int
) -> None:
    with serving(engines("hello")) as (place, _):
        assert post(place, content, **fields).status_code == status


def test_a_failing_recogniser_is_a_server_error() -> None:
    told: Any = FakeRecognizer()
    told.error = RepError("the recogniser's process has ended")
    with serving(engines(recognizer=told)) as (place, _):
        answer = post(place, wav(speechlike(0.5)))
        assert answer.status_code == 503
        assert "has ended" in answer.json()["error"]["message"]


def test_cloning_without_recognition_needs_a_transcript(tmp_path: Path) -> None:
    told: Any = FakeRecognizer()
    told.error = RepError("the recogniser's process has ended")
    shared = engines(recognizer=told, library=Library(tmp_path))
    with serving(shared) as (place, _):

        def clone(name: str = "anna", **more: str) -> httpx.Response:
            return httpx.post(
                f"http://{place}/v1/audio/voices",
                data={"name": name, "consent": "she said so", **more},
                files={"audio_sample": ("sample.wav", wav(espeak_voice()))},
                timeout=60,
            )

        assert clone("../anna").status_code == clone("slt").status_code == 400  # at once
        refused = clone()
        assert refused.status_code == 503 and "transcript" in refused.text
        assert shared.voices.library.names() == []
        assert clone(transcript="one two").status_code == 200
    assert shared.voices.library.load("anna")[1].transcript == "one two"
