"""WebSocket subprotocols, and keys in them."""

import json
import logging
import time

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from app.access import AccessSettings
from app.server import ServerSettings
from tests.app.live import engines, serving

TOKEN = "t0psecret"
KEY = f"openai-insecure-api-key.{TOKEN}"
START = {"type": "start", "protocol": 1, "sample_rate": 24_000}


def subprotocols(*names: str) -> list[Subprotocol]:
    return [Subprotocol(name) for name in names]


@pytest.mark.parametrize(
    ("path", "offered", "chosen"),
    [
        ("/v1/realtime", ["realtime"], "realtime"),
        ("/v1/realtime", ["realtime", "openai-insecure-api-key.sk-x"], "realtime"),
        ("/v1/realtime", ["openai-insecure-api-key.sk-x", "realtime"], "realtime"),
        (
            "/v1/realtime",
            ["realtime", "openai-insecure-api-key.sk-x", "openai-beta.realtime-v1"],
            "realtime",
        ),
        (
            "/v1/realtime",
            ["realtime", "openai-organization.o", "openai-project.p", "openai-insecure-api-key.k"],
            "realtime",
        ),
        ("/v1/realtime", ["openai-beta.realtime-v1"], "openai-beta.realtime-v1"),
        ("/v1/realtime", ["chat", "superchat"], None),
        ("/v1/realtime", [], None),
        ("/v1/conversation", ["repartee"], "repartee"),
        ("/v1/conversation", ["repartee", "openai-insecure-api-key.sk-x"], "repartee"),
        ("/v1/conversation", ["realtime"], None),
    ],
)
def test_a_subprotocol_is_selected(path: str, offered: list[str], chosen: str | None) -> None:
    """Chromium closes a WebSocket (1006) if none of the offered ones is selected."""
    with serving(engines()) as (place, _):
        names = subprotocols(*offered) or None
        with connect(f"ws://{place}{path}", subprotocols=names) as socket:
            assert socket.subprotocol == chosen
            if path == "/v1/conversation":
                socket.send(json.dumps(START))
            assert json.loads(socket.recv(60))["type"] in ("session.created", "session")


@pytest.mark.parametrize("path", ["/v1/realtime", "/v1/conversation"])
@pytest.mark.parametrize(
    ("offered", "is_let_in"),
    [
        (["realtime", KEY], True),
        ([KEY, "openai-beta.realtime-v1", "realtime"], True),
        (["openai-insecure-api-key.wrong", KEY], True),
        (["realtime", "openai-insecure-api-key.wrong"], False),
        (["realtime", "openai-insecure-api-key."], False),
        (["realtime", TOKEN], False),
        (["realtime", KEY + "x"], False),
        (["realtime"], False),
    ],
)
def test_the_key_is_the_token(path: str, offered: list[str], is_let_in: bool) -> None:
    settings = ServerSettings(access=AccessSettings(token=TOKEN), page=False)
    with serving(engines(), settings) as (place, _):
        url = f"ws://{place}{path}"
        if is_let_in:
            with connect(url, subprotocols=subprotocols(*offered)):
                return
        with pytest.raises(InvalidStatus) as refused:
            connect(url, subprotocols=subprotocols(*offered))
        assert refused.value.response.status_code == 403


@pytest.mark.parametrize("path", ["/v1/realtime", "/v1/conversation", "/no/such/path"])
@pytest.mark.parametrize(
    ("query", "offered"),
    [
        (f"?token={TOKEN}", []),
        (f"?model=x&token={TOKEN}&y=1", []),
        (f"?token={TOKEN}&token={TOKEN}", []),
        (f"?t%6Fken={TOKEN}", []),
        (f"?token={TOKEN}x", []),  # refused, and still nobody's business
        ("", [KEY]),
        ("?model=x", ["realtime", KEY]),
        ("", ["realtime", KEY + "x"]),
    ],
)
def test_tokens_are_not_logged(
    path: str, query: str, offered: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    settings = ServerSettings(access=AccessSettings(token=TOKEN), page=False)
    with caplog.at_level(logging.INFO), serving(engines(), settings) as (place, _):
        try:
            names = subprotocols(*offered) or None
            with connect(f"ws://{place}{path}{query}", subprotocols=names, close_timeout=1):
                pass
        except (InvalidStatus, ConnectionClosed):
            pass
        began = time.monotonic()
        while path not in caplog.text and time.monotonic() - began < 5:
            time.sleep(0.01)
    assert f"WebSocket {path}" in caplog.text
    assert TOKEN not in caplog.text
    if "model=x" in query:
        assert "model=x" in caplog.text
