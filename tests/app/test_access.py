"""Access control by passwords, tokens, origins and host names, over real sockets."""

import base64
import json
import re
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

import app
from app.access import AccessSettings
from app.api.response_headers import EXPOSED
from app.server import ServerSettings
from data.errors import InputError
from tests.app.live import engines, serving

START = {"type": "start", "protocol": 1, "sample_rate": 24_000}


@pytest.mark.parametrize(
    "access", [AccessSettings(auth="ann:secret"), AccessSettings(token="t0psecret")]
)
def test_page_http_and_websocket_require_the_same_credentials(access: AccessSettings) -> None:
    with serving(engines(), ServerSettings(access=access, page=False)) as (place, _):
        assert httpx.get(f"http://{place}/healthz").status_code == 200
        for path in ("/", "/metrics", "/v1/audio/voices", "/repartee/chat.js"):
            assert httpx.get(f"http://{place}{path}").status_code == 401
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic !!"}):
            with pytest.raises(InvalidStatus) as refused:
                connect(f"ws://{place}/v1/conversation", additional_headers=headers)
            assert refused.value.response.status_code == 403
        basic = "Basic " + base64.b64encode(b"ann:secret").decode()
        good = {"Authorization": basic if access.auth else "Bearer t0psecret"}
        answer = httpx.get(f"http://{place}/v1/audio/voices", headers=good)
        assert answer.status_code == 200
        cookie = answer.headers["set-cookie"].partition(";")[0]
        assert "HttpOnly" in answer.headers["set-cookie"]
        for headers in (good, {"Cookie": cookie}):
            with connect(f"ws://{place}/v1/conversation", additional_headers=headers) as socket:
                socket.send(json.dumps(START))
                assert json.loads(socket.recv(60))["type"] == "session"


def test_a_token_in_the_url_becomes_a_cookie() -> None:
    access = AccessSettings(token="t0psecret")
    with serving(engines(), ServerSettings(access=access, page=False)) as (place, _):
        answer = httpx.get(f"http://{place}/?token=t0psecret&x=1")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/?x=1"
        assert "t0psecret" not in answer.headers["set-cookie"]


def test_foreign_origins_and_host_names_are_rejected() -> None:
    access = AccessSettings(hosts=("127.0.0.1",), origins=("https://good.example",))
    with serving(engines(), ServerSettings(access=access, page=False)) as (place, _):
        url = f"ws://{place}/v1/conversation"
        for origin in ("https://evil.example", "null", "http://127.0.0.1.evil.example", "http://["):
            with pytest.raises(InvalidStatus):
                connect(url, additional_headers={"Origin": origin})
        for origin in (f"http://{place}", "https://good.example"):
            with connect(url, additional_headers={"Origin": origin}):
                pass
        renamed = httpx.get(f"http://{place}/healthz", headers={"Host": "evil.example"})
        assert renamed.status_code == 421
        posted = httpx.post(
            f"http://{place}/v1/audio/speech",
            json={"input": "hi"},
            headers={"Origin": "https://evil.example"},
        )
        assert posted.status_code == 403


def test_allowed_origins_get_cors_headers() -> None:
    """Without them, browsers withheld all HTTP responses, though WebSockets worked."""
    access = AccessSettings(token="t0psecret", origins=("https://good.example",))
    asks = {
        "Access-Control-Request-Private-Network": "true",  # Chromium's, of a page on the Internet
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    allowed = "access-control-allow-origin"
    with serving(engines(), ServerSettings(access=access, page=False)) as (place, _):
        speech = f"http://{place}/v1/audio/speech"
        for origin, of_it in (("https://good.example", True), ("https://evil.example", False)):
            told = {"Origin": origin}
            asked = httpx.options(speech, headers={**told, **asks})  # without the token
            assert asked.is_success is of_it
            refused = httpx.post(speech, json={"input": "one"}, headers=told)
            assert refused.status_code == (401 if of_it else 403)
            known = {**told, "Authorization": "Bearer t0psecret"}
            listed = httpx.get(f"http://{place}/v1/audio/voices", headers=known)
            spoken = httpx.post(speech, json={"input": "one"}, headers=known)
            assert spoken.status_code == (200 if of_it else 403)
            if of_it:
                readable = spoken.headers["access-control-expose-headers"].split(", ")
                assert set(readable) == set(EXPOSED)
                assert "x-synthetic-speech" in spoken.headers
            for answer in (asked, refused, listed, spoken):
                assert answer.headers.get(allowed) == (origin if of_it else None)


def test_pages_may_read_all_headers_that_the_api_sends() -> None:
    names = re.compile(r'"((?:X|Retry)-[A-Z][A-Za-z-]+|Location|Content-Disposition)"')
    root = Path(app.__file__).parent
    written = {
        path.relative_to(root).as_posix(): found
        for path in root.rglob("*.py")
        if (found := names.findall(path.read_text())) and "ui" not in path.parts
    }
    assert list(written) == ["api/response_headers.py"], "name other headers there too"
    assert {*written["api/response_headers.py"], "X-Synthetic-Speech"} == set(EXPOSED)


@pytest.mark.parametrize("origin", ["*", "null", "https://good.example/", "good.example", ""])
def test_invalid_origins_are_rejected(origin: str) -> None:
    with pytest.raises(InputError, match="--allow-origin"):
        AccessSettings(origins=(origin,))
