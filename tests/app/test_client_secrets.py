"""`POST /v1/realtime/client_secrets`, with OpenAI's client."""

import json
from typing import Any

import httpx
import openai
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from app.access import AccessSettings
from app.api.client_secrets import ClientSecrets
from app.api.realtime_settings import RealtimeSettings
from app.server import ServerSettings
from app.settings import SessionSettings
from tests.app.live import engines, serving

TOKEN = "t0psecret"


def client(place: str) -> openai.OpenAI:
    return openai.OpenAI(api_key=TOKEN, base_url=f"http://{place}/v1", max_retries=0)


def created(url: str, key: str) -> dict[str, Any]:
    names = [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{key}")]
    with connect(url, subprotocols=names) as socket:
        return json.loads(socket.recv(60))["session"]


def test_a_key_opens_a_session_with_its_settings() -> None:
    settings = ServerSettings(access=AccessSettings(token=TOKEN), page=False)
    with serving(engines(), settings) as (place, _):
        wanted: Any = {"type": "realtime", "audio": {"output": {"voice": "kal", "speed": 1.2}}}
        made = client(place).realtime.client_secrets.create(session=wanted)
        assert made.value.startswith("ek_")
        assert made.session.audio is not None
        url = f"ws://{place}/v1/realtime"
        for _ in range(2):
            sound = created(url, made.value)["audio"]["output"]
            assert (sound["voice"], sound["speed"]) == ("kal", 1.2)
        header = {"Authorization": f"Bearer {made.value}"}
        with connect(url, additional_headers=header) as socket:
            assert json.loads(socket.recv(60))["session"]["audio"]["output"]["voice"] == "kal"
        # it opens nothing else
        for path in ("/v1/models", "/v1/realtime/client_secrets"):
            method = "POST" if path.endswith("secrets") else "GET"
            answer = httpx.request(method, f"http://{place}{path}", headers=header, json={})
            assert answer.status_code == 401
        with pytest.raises(InvalidStatus):
            created(f"ws://{place}/v1/conversation", made.value)
        with pytest.raises(InvalidStatus):
            created(url, "ek_wrong")
        assert created(url, TOKEN)["audio"]["output"]["voice"] == "slt"


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"expires_after": {"seconds": "60"}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": True}}, "expires_after.seconds"),
        ({"session": {"parallel_tool_calls": "yes"}}, "session.parallel_tool_calls"),
        ({"session": {"audio": {"output": {"speed": True}}}}, "session.audio.output.speed"),
        ({"session": {"max_output_tokens": "5"}}, "session.max_output_tokens"),
        ({"session": {"audio": {"input": {"turn_detection": {"threshold": "0.5"}}}}}, None),
        ({"session": {"type": 1}}, "session.type"),
    ],
)
def test_no_type_is_converted(given: dict[str, Any], param: str | None) -> None:
    with serving(engines()) as (place, _):
        answer = httpx.post(f"http://{place}/v1/realtime/client_secrets", json=given)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "code", "param"}
    assert error["param"] == (param or "session.audio.input.turn_detection.threshold")


def test_a_key_may_be_for_a_transcription_session() -> None:
    with serving(engines()) as (place, _):
        wanted: Any = {"type": "transcription", "audio": {"input": {"turn_detection": None}}}
        made = client(place).realtime.client_secrets.create(session=wanted)
        session = created(f"ws://{place}/v1/realtime", made.value)
        assert (session["type"], session["audio"]["input"]["turn_detection"]) == (
            "transcription",
            None,
        )


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"session": {"audio": {"output": {"voice": "nobody"}}}}, "session.audio.output.voice"),
        ({"session": {"no_such": 1}}, "session.no_such"),
        ({"session": 3}, "session"),
        ({"expires_after": {"seconds": 5}}, "expires_after.seconds"),
        ({"expires_after": {"anchor": "now"}}, "expires_after.anchor"),
        ({"other": 1}, "other"),
    ],
)
def test_invalid_requests_are_rejected_in_openais_form(body: Any, param: str) -> None:
    with serving(engines()) as (place, _):
        url = f"http://{place}/v1/realtime/client_secrets"
        answer = httpx.post(url, json=body)
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert error["param"] == param and error["message"]


def test_keys_expire_and_the_oldest_are_dropped() -> None:
    now = 1000.0
    secrets = ClientSecrets(lambda: now)
    settings = RealtimeSettings(SessionSettings())

    def opens(key: str) -> bool:
        header = (b"authorization", f"Bearer {key}".encode())
        scope = {"path": "/v1/realtime", "headers": [header]}
        return secrets.settings_of(scope) is not None

    key, expires_at = secrets.make(settings, 10)
    assert expires_at == 1010 and opens(key)
    now = 1010.0
    assert not opens(key)
    first, _ = secrets.make(settings, 600)
    for _ in range(1000):
        last, _ = secrets.make(settings, 600)
    assert opens(last) and not opens(first)
