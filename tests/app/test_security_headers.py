"""Security headers of all responses."""

import json
from collections.abc import Iterator

import httpx
import pytest

from app.access import AccessSettings
from app.library import Library
from app.server import ServerSettings
from tests.app.live import engines, serving

WANTED = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "no-referrer",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    library = Library(tmp_path_factory.mktemp("voices"))
    with serving(engines(library=library), ServerSettings(page=True)) as (where, _):
        yield f"http://{where}"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"), ("GET", "/repartee/chat.js"), ("GET", "/theme.css"), ("GET", "/v1/nothing"),
        ("GET", "/v1/conversation"), ("GET", "/healthz"), ("GET", "/v1/audio/voices"),
        ("POST", "/v1/audio/speech"), ("DELETE", "/v1/audio/voices/nobody"), ("GET", "/nowhere"),
    ],
)  # fmt: skip
def test_every_response_has_them(place: str, method: str, path: str) -> None:
    headers = httpx.request(method, place + path).headers
    assert {name: headers[name] for name in WANTED} == WANTED
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'self'" in policy and "object-src 'none'" in policy
    assert "http:" not in policy and "*" not in policy, "nothing is loaded from elsewhere"
    assert all(len(headers.get_list(name)) == 1 for name in (*WANTED, "content-security-policy"))


def test_uploaded_files_cannot_run_scripts(place: str) -> None:
    """Otherwise scripts in an uploaded SVG or page would run with the server's origin."""
    markup = b"<script>alert(1)</script>"
    for name in ("a.html", "a.svg", "a.xhtml", "a.js", "a"):
        sent = httpx.post(f"{place}/gradio_api/upload", files={"files": (name, markup)})
        (path,) = sent.raise_for_status().json()
        answer = httpx.get(f"{place}/gradio_api/file={path}")
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert "sandbox" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_errors_have_them_too() -> None:
    access = AccessSettings(token="t0psecret", hosts=("127.0.0.1",))
    with serving(engines(), ServerSettings(access=access, page=False)) as (where, _):
        for headers, status in (({}, 401), ({"Host": "evil.example"}, 421)):
            answer = httpx.get(f"http://{where}/v1/audio/voices", headers=headers)
            assert answer.status_code == status
            assert {name: answer.headers[name] for name in WANTED} == WANTED


# Gradio's routes

NOT_NEEDED = (
    "/gradio_api/proxy=http://127.0.0.1:1/", "/gradio_api/api/clone", "/gradio_api/run/clone",
    "/gradio_api/call/clone", "/gradio_api/call/v2/clone", "/gradio_api/process_recording",
    "/gradio_api/vibe-edit", "/gradio_api/component_server", "/gradio_api/runs", "/monitoring",
    "/gradio_api/stream/x", "/gradio_api/dev/reload", "/gradio_api/openapi.json",
    "/login", "/gradio_api/custom_component/a/b/c/d", "/gradio_api/file/etc/passwd", "/x" * 3000,
)  # fmt: skip


@pytest.mark.parametrize("path", NOT_NEEDED, ids=lambda path: path[:30])
def test_unused_gradio_routes_are_blocked(place: str, path: str) -> None:
    for method in ("GET", "POST"):
        assert httpx.request(method, place + path, json={"data": []}).status_code == 404


BODIES: dict[str, bytes] = {
    "nothing": b"", "half": b"{", "null": b"null", "list": b"[]", "number": b"5",
    "bytes": b"\xff\x00",
    "deep": b"[" * 50_000, "digits": b'{"data":' + b"9" * 5000 + b"}",
    "half a character": b'{"data":["\\ud83d"],"fn_index":0,"session_hash":"\\ud83d"}',
    "no such event": b'{"data":[],"fn_index":99999,"session_hash":"x"}',
    "negative event": b'{"data":[],"fn_index":-1,"session_hash":"x"}',
    "odd session": b'{"data":[],"fn_index":0,"session_hash":{"a":1}}',
}  # fmt: skip
FORMS = {
    "no boundary": ("multipart/form-data", b""),
    "empty boundary": ("multipart/form-data; boundary=", b"x"),
    "half a part": ("multipart/form-data; boundary=X", b"--X\r\n"),
    "no name": ("multipart/form-data; boundary=X",
                b"--X\r\nContent-Disposition: form-data\r\n\r\nabc\r\n--X--"),
    "not UTF-8": ("multipart/form-data; boundary=X", b'--X\r\nContent-Disposition: form-data; '
                  b'name="files"; filename="\xff"\r\n\r\nabc\r\n--X--\r\n'),
    "no form": ("application/json", b"{}"),
}  # fmt: skip
ROUTES = ("queue/join", "upload", "cancel", "reset")


@pytest.mark.parametrize("route", ROUTES)
def test_garbage_gets_a_4xx(place: str, route: str) -> None:
    """It once got a traceback and 500."""
    sent = [("application/json", body) for body in BODIES.values()] + list(FORMS.values())
    for kind, body in sent:
        answer = httpx.post(
            f"{place}/gradio_api/{route}", content=body, headers={"Content-Type": kind}
        )
        assert answer.status_code < 500, (kind, body[:60])
        assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd", "/gradio_api/file=" + "a" * 3000, "/gradio_api/file=%00",
        "/gradio_api/file=..%2f..%2fetc%2fpasswd", "/gradio_api/file=http://127.0.0.1:1/",
        "/gradio_api/file=data:text/html,x", "/gradio_api/file=%F0%9F", "/assets/..%2f..%2fx",
        "/static/%00", "/svelte/" + "b" * 3000, "/gradio_api/queue/data",
        "/gradio_api/upload_progress", "/gradio_api/upload_progress?upload_id=%00",
    ],
)  # fmt: skip
def test_invalid_paths_get_a_4xx(place: str, path: str) -> None:
    assert 400 <= httpx.get(place + path).status_code < 500


@pytest.mark.parametrize("host", ["[::", "a b", "\x7f", "evil/../x", "x" * 5000])
def test_invalid_proxy_headers_get_no_500(place: str, host: str) -> None:
    headers = {"X-Forwarded-Host": host, "X-Forwarded-Proto": host}
    assert httpx.get(place + "/", headers=headers).status_code < 500


def test_the_page_still_works(place: str) -> None:
    config = httpx.get(place + "/config").raise_for_status().json()
    assert config["components"]
    sent = {"data": [None, False, "x"], "fn_index": config["dependencies"][0]["id"],
            "session_hash": "abc"}  # fmt: skip
    joined = httpx.post(f"{place}/gradio_api/queue/join", json=sent)
    assert joined.is_success and "event_id" in json.loads(joined.text)
