"""OpenAI's stock clients: their fields are honoured, or rejected in OpenAI's form."""

import base64
import io
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import soundfile

from app.access import AccessSettings
from app.api.admission import AdmissionSettings
from app.server import ServerSettings
from app.voice_store import OPENAI_VOICES
from data.audio import read_audio
from tests.app.fake_speaker import FakeSpeaker
from tests.app.live import engines, serving

PAGE = "https://app.example"
STAINLESS = (
    "authorization,content-type,x-stainless-os,x-stainless-lang,x-stainless-arch,"
    "x-stainless-retry-count,x-stainless-timeout,x-stainless-runtime,openai-organization,"
    "openai-project,openai-beta,x-something-new"
)


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    settings = ServerSettings(page=False, access=AccessSettings(origins=(PAGE,)))
    shared = engines(aliases={"narrator": "rms", "alloy": "awb"})
    with serving(shared, settings) as (place, _):
        yield place


@pytest.fixture(scope="module")
def client(place: str) -> openai.OpenAI:
    return openai.OpenAI(api_key="none", base_url=f"http://{place}/v1", max_retries=0)


def speak(place: str, **fields: Any) -> httpx.Response:
    asked = {"input": "one two three", "response_format": "pcm", **fields}
    return httpx.post(f"http://{place}/v1/audio/speech", json=asked, timeout=20)


def hz_of(pcm: bytes) -> int:
    samples = np.frombuffer(pcm, "<i2")
    return round(np.argmax(np.abs(np.fft.rfft(samples))) * 24_000 / len(samples))


@pytest.mark.parametrize("kind", ["mp3", "opus", "aac", "flac", "wav", "pcm"])
def test_deltas_have_the_requested_format(client: openai.OpenAI, kind: Any) -> None:
    """They always had raw PCM, which was noise when saved as .mp3."""
    asked: dict[str, Any] = {"model": "tts-1", "voice": "kal", "input": "one two three four five"}
    whole = client.audio.speech.create(**asked, response_format=kind).content
    with client.audio.speech.with_streaming_response.create(
        **asked, response_format=kind, stream_format="sse"
    ) as response:
        events = [json.loads(line[6:]) for line in response.iter_lines() if line]
    deltas = [event for event in events if event["type"] == "speech.audio.delta"]
    assert b"".join(base64.b64decode(event["audio"]) for event in deltas) == whole or kind == "opus"
    done = events[-1]
    assert done["type"] == "speech.audio.done" and done["seconds"] == 1.0
    assert done["usage"] == {"input_tokens": 19, "output_tokens": 25, "total_tokens": 44}
    if kind == "pcm":
        assert hz_of(whole) == 220
    else:
        samples = read_audio(io.BytesIO(whole))
        assert abs(len(samples) / 24_000 - 1.0) < 0.15


@pytest.mark.parametrize(
    "name",
    [
        "model", "voice", "instructions", "response_format", "speed", "stream_format", "history",
        "seed", "something_new",
    ],
)  # fmt: skip
def test_null_means_absent(place: str, name: str) -> None:
    for nothing in (None, ""):
        answer = speak(place, **{name: nothing})
        assert answer.status_code == 200, answer.text
        assert speak(place, voice={"id": nothing}).status_code == 200


@pytest.mark.parametrize("text", [None, "", " \n", []])
def test_missing_text_is_rejected(place: str, text: Any) -> None:
    assert speak(place, input=text).status_code == 400


@pytest.mark.parametrize("speed", [0.25, 0.4, 1.0, 2.5, 4.0])
def test_the_requested_speed_is_reached(speed: float) -> None:
    """Speeds beyond the models' range are reached by time stretching."""

    class Obeying(FakeSpeaker):
        def speak(self, dialogue: Any, text: Any, voice: Any, options: Any = None) -> Any:
            self.rate = options.rate
            return super().speak(dialogue, text, voice, options)

    speaker = Obeying()
    with serving(engines(speaker=speaker)) as (place, _):
        content = speak(
            place, input="one two three four five six", voice="slt", speed=speed
        ).content
    assert 0.4 <= speaker.rate <= 2.5
    seconds = len(content) / 2 / 24_000 / speaker.rate  # the fake one knows no rate
    assert abs(seconds * speed - 1.2) < 0.06
    assert abs(hz_of(content) - 440) < 8


BAD_TEXTS = ["Hi \ud83d there", "\udc00Hello", "a\ud800", "\ud83d \ud83d words", "\udfff\ud800 hm"]


@pytest.mark.parametrize("text", BAD_TEXTS)
@pytest.mark.parametrize("field", ["input", "instructions", "voice", "model", "history", "key"])
def test_a_lone_surrogate_is_removed_or_rejected(place: str, field: str, text: str) -> None:
    asked: dict[str, Any] = {"input": "one two"}
    if field == "history":
        asked["history"] = [{"speaker": "user", "text": text}]
    elif field == "key":
        asked[text] = text
    else:
        asked[field] = text
    answer = httpx.post(
        f"http://{place}/v1/audio/speech",
        content=json.dumps(asked),  # escaped, as a client sends it
        headers={"Content-Type": "application/json"},
        timeout=20,
    )
    assert answer.status_code == (400 if field == "voice" else 200), answer.text


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"input": "one", "seed": ' + b"9" * 4000 + b"}", "seed"),
        (b'{"input": "one", "seed": ' + b"9" * 5000 + b"}", None),
        (b'{"input": "one", "seed": -1}', "seed"),
        (b'{"input": "one", "seed": 1.5}', "seed"),
        (b'{"input": "one", "speed": true}', "speed"),
        (b'{"input": "one", "speed": "1"}', "speed"),
        (b'{"input": "one", "seed": "1"}', "seed"),
        (b'{"input": "one", "seed": true}', "seed"),
        (b'{"input": "one", "seed": 1.0}', "seed"),
        (b'{"input": "one", "speed": NaN}', "speed"),
        (b'{"input": "one", "speed": Infinity}', "speed"),
        (b'{"input": "one", "speed": 1e999}', "speed"),
        (b'{"input": "one", "speed": 0.2}', "speed"),
        (b'{"input": "one", "history": ' + b"[" * 900 + b"]" * 900 + b"}", "history[0]"),
        (b"[" * 100_000, None),
        (b'{"a":' * 50_000, None),
        (b'{"input": {"text": "one"}}', "input"),
        (b'{"input": "one", "history": [{"speaker": "god", "text": "x"}]}', "history[0].speaker"),
        (b'{"input": "one", "history": [{"speaker": "user"}]}', "history[0].text"),
        (
            b'{"input": "one", "history": [{"speaker": "user", "text": "x", "Mood": 1}]}',
            "history[0].Mood",
        ),
        (b'{"input": [{"text": "one", "voice": {"id": 5}}]}', "input[0].voice.id"),
        (b'{"input": [{"voice": "kal"}]}', "input[0].text"),
        (b'{"input": "one", "response_format": "exe"}', "response_format"),
        (b'{"input": "one", "stream_format": "sses"}', "stream_format"),
        (b'{"input": "\xff\xfe"}', None),
        (b"", None),
        (b"\x00", None),
    ],
)
def test_errors_have_openais_form(place: str, body: bytes, param: str | None) -> None:
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(f"http://{place}/v1/audio/speech", content=body, headers=headers)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "code", "param"}
    assert error["type"] == "invalid_request_error" and 0 < len(error["message"]) < 2000
    assert param is None or error["param"] == param


def test_text_and_context_are_limited(place: str) -> None:
    turn = {"speaker": "user", "text": "I see. " * 278}
    assert speak(place, history=[turn] * 8).status_code == 200
    refused = speak(place, history=[turn] * 20)
    assert refused.status_code == 400
    assert "38920 characters in total" in refused.json()["error"]["message"]
    assert speak(place, history=[{"speaker": "user", "text": "x"}] * 21).status_code == 400


def test_the_clients_own_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.audio.speech.create(model="tts-1", voice="nobody", input="one")
    assert "unknown voice" in caught.value.message
    with pytest.raises(openai.BadRequestError) as caught:
        client.audio.speech.create(model="tts-1", voice="kal", input="x" * 5000)
    assert caught.value.param == "input"
    with pytest.raises(openai.NotFoundError) as missing:
        client.models.retrieve("gpt-9")
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="x", messages=[{"role": "user", "content": "hm"}])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("POST", "/v1/embeddings", 404),
        ("GET", "/v1/audio/speech", 405),
        ("PUT", "/v1/audio/transcriptions", 405),
        ("PATCH", "/v1/models", 405),
        ("GET", "/v1/conversation/x/turns/0.wav", 404),
        ("GET", "/v1/models/%ff%00", 404),
    ],
)
def test_missing_resources_are_reported_in_openais_form(
    place: str, method: str, path: str, status: int
) -> None:
    answer = httpx.request(method, f"http://{place}{path}")
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "code", "param"}


@pytest.mark.parametrize("path", ["/v1/models", "/v1/audio/models", "/v1/audio/voices"])
def test_head_is_get_without_its_body(place: str, path: str) -> None:
    head = httpx.head(f"http://{place}{path}")
    assert (head.status_code, head.content) == (200, b"")
    assert httpx.get(f"http://{place}{path}").json()["object"] == "list"


def test_models_and_voices_are_found(place: str, client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert {"repartee", "gpt-talker", "flow-omni", "told"} <= set(names)
    assert all(client.models.retrieve(name).id == name for name in names)
    voices = httpx.get(f"http://{place}/v1/audio/voices").json()
    assert voices["voices"] == voices["data"]
    assert {"id", "name"} <= voices["voices"][0].keys()
    assert voices["aliases"]["narrator"] == "rms"


@pytest.mark.parametrize("name", [*OPENAI_VOICES, "narrator"])
def test_openais_voice_names_are_aliases(place: str, name: str) -> None:
    said = httpx.get(f"http://{place}/v1/audio/voices").json()["aliases"][name]
    hz = {"slt": 440, "kal": 220, "rms": 330, "awb": 550}[said]
    assert abs(hz_of(speak(place, voice=name).content) - hz) < 3
    assert abs(hz_of(speak(place, voice={"id": name}).content) - hz) < 3


def test_a_configured_alias_overrides_the_default(place: str) -> None:
    assert abs(hz_of(speak(place, voice="alloy").content) - 550) < 3


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE", "HEAD"])
def test_a_stock_clients_preflight_is_allowed(place: str, method: str) -> None:
    asked = {
        "Origin": PAGE,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": STAINLESS,
    }
    answer = httpx.options(f"http://{place}/v1/audio/speech", headers=asked)
    assert answer.status_code == 200
    allowed = answer.headers["access-control-allow-headers"].replace(" ", "").split(",")
    assert set(STAINLESS.split(",")) <= set(allowed)
    foreign = httpx.options(
        f"http://{place}/v1/audio/speech", headers={**asked, "Origin": "https://evil.example"}
    )
    assert foreign.status_code == 400


def test_excess_requests_wait_or_get_retry_after() -> None:
    speaker = FakeSpeaker(rtf=0.3)
    admission = AdmissionSettings(places=2, queue=3, wait_s=20)
    settings = ServerSettings(page=False, admission=admission)
    answers: list[httpx.Response] = []
    with serving(engines(speaker=speaker), settings) as (place, _):
        asking = [
            threading.Thread(target=lambda: answers.append(speak(place, input="one two " * 6)))
            for _ in range(8)
        ]
        for thread in asking:
            thread.start()
        most = 0
        while any(thread.is_alive() for thread in asking):
            running = [one.name for one in threading.enumerate() if one.name == "production"]
            most = max(most, len(running))
            time.sleep(0.01)
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] * 5 + [429] * 3
    assert most == 2
    for answer in answers:
        if answer.status_code == 429:
            assert int(answer.headers["retry-after"]) > 0
            assert answer.json()["error"]["type"] == "rate_limit_error"
        else:
            assert len(answer.content) == 12 * 2 * 4800


def test_waiting_for_a_place_times_out() -> None:
    speaker = FakeSpeaker()
    speaker.gate.clear()
    admission = AdmissionSettings(places=1, queue=3, wait_s=0.3)
    with serving(engines(speaker=speaker), ServerSettings(page=False, admission=admission)) as (
        place,
        _,
    ):
        first = threading.Thread(target=speak, args=(place,))
        first.start()
        time.sleep(0.1)
        assert speak(place).status_code == 429
        speaker.gate.set()
        first.join(10)
        assert speak(place).status_code == 200


def test_a_failing_reply_is_an_error() -> None:
    speaker = FakeSpeaker()
    speaker.poison = "break"
    with serving(engines(speaker=speaker)) as (place, _):
        at_once = speak(place, input="break")
        assert at_once.status_code == 500
        assert at_once.json()["error"]["type"] == "server_error"
        later = speak(place, input="one break", stream_format="sse")
        assert json.loads(later.text.split("\n\n")[-2][6:])["type"] == "error"
        with pytest.raises(httpx.RemoteProtocolError):
            speak(place, input="one break")
        assert speak(place).status_code == 200


def test_wav_responses_are_readable_by_common_libraries(place: str) -> None:
    samples, rate = soundfile.read(io.BytesIO(speak(place, response_format="wav").content))
    assert (rate, len(samples)) == (24_000, 3 * 4800)
