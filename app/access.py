"""Access control for page, HTTP and WebSocket: authentication, hosts, origins and body size."""

import base64
import binascii
import hashlib
import hmac
import ipaddress
import json
import re
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, unquote_to_bytes, urlencode, urlsplit

from app.metrics import Metrics
from data.errors import InputError

_COOKIE = "repartee"
_KEY = "openai-insecure-api-key."
_OPEN_PATHS = ("/healthz",)
_MAX_HEADERS = 16_384
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@*\s]+")


@dataclass(frozen=True)
class AccessSettings:
    """Access control settings.

    Attributes:
        auth: "user:password" for HTTP Basic, or empty.
        token: a bearer token; also accepted as `?token=`, and in the subprotocol
            `openai-insecure-api-key.TOKEN` of a WebSocket. Or empty.
        hosts: accepted host names; empty: any. Prevents DNS rebinding: a foreign page reaching a
            loopback server under its own name.
        origins: additional origins allowed to connect and read responses.
        max_body: maximum bytes of a request body.
    """

    auth: str = ""
    token: str = ""
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    max_body: int = 26_300_000  # OpenAI's 25 MiB of audio and the rest of the form

    def __post_init__(self) -> None:
        if self.auth and not all(self.auth.partition(":")):
            raise InputError("--auth must be user:password, both not empty")
        if self.token and len(self.token) < 8:
            raise InputError("--token is shorter than 8 characters; give a longer one")
        for origin in self.origins:
            if not _ORIGIN.fullmatch(origin):
                raise InputError(
                    f"--allow-origin is {origin!r}; give scheme, host and, if it has one, port, as "
                    "https://example.org:8443"
                )

    @property
    def guarded(self) -> bool:
        return bool(self.auth or self.token)


class Access:
    """ASGI middleware. Rejects with 4xx, or by closing a WebSocket before accepting it.

    Args:
        app: the wrapped application.
        settings: access control settings.
        metrics: counts rejected requests.
        has_ticket: whether a request's scope carries a valid client secret.
    """

    def __init__(
        self,
        app: Any,
        settings: AccessSettings,
        metrics: Metrics,
        has_ticket: Callable[[Any], bool] = lambda _: False,
    ) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics
        self._has_ticket = has_ticket
        self._cookie = hmac.new(
            secrets.token_bytes(32), (settings.auth + settings.token).encode(), hashlib.sha256
        ).hexdigest()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = _headers(scope)
        refusal = self._refusal(scope, headers)
        if scope["type"] == "websocket":  # uvicorn logs the address of every WebSocket
            scope["query_string"] = _without_token(scope["query_string"])
        if refusal is not None:
            await self._refuse(scope, send, *refusal)
            return
        if scope["type"] == "http":
            if self._settings.guarded and scope["path"] not in _OPEN_PATHS:
                if await self._logged_in_by_link(scope, send):
                    return
                send = self._with_cookie(send, headers)
            receive = _limited(receive, self._settings.max_body)
        try:
            await self._app(scope, receive, send)
        except _TooLargeError:
            await self._refuse(scope, send, 413, "too_large", self._size_message())

    def _refusal(
        self, scope: dict[str, Any], headers: dict[str, str]
    ) -> tuple[int, str, str] | None:
        settings = self._settings
        host = _host_name(headers.get("host", ""))
        if settings.hosts and host not in settings.hosts:
            return 421, "wrong_host", "the host name is not accepted by this server"
        if sum(len(k) + len(v) for k, v in scope["headers"]) > _MAX_HEADERS:
            return 431, "too_large", "the request's headers are too large"
        origin = headers.get("origin", "")
        changes = scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD", "OPTIONS")
        if origin and changes and not self._same_origin(origin, headers.get("host", "")):
            return 403, "wrong_origin", "requests from pages of another site are not accepted"
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > settings.max_body:
            return 413, "too_large", self._size_message()
        closed = settings.guarded and scope["path"] not in _OPEN_PATHS
        if closed and not self._is_known(scope, headers):
            return 401, "unauthorised", "give the token or the user and password"
        return None

    def _same_origin(self, origin: str, host: str) -> bool:
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return origin in self._settings.origins or (bool(host) and parts.netloc == host)

    def _is_known(self, scope: dict[str, Any], headers: dict[str, str]) -> bool:
        if _equal(_cookie_of(headers), self._cookie) or self._has_ticket(scope):
            return True
        kind, _, value = headers.get("authorization", "").partition(" ")
        if self._settings.token:
            link = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
            keys = [link, *keys_of(scope)]
            if any(_equal(key, self._settings.token) for key in keys):
                return True
        if self._settings.auth and kind.lower() == "basic":
            try:
                given = base64.b64decode(value.strip(), validate=True).decode("utf-8")
            except (binascii.Error, UnicodeDecodeError):
                return False
            return _equal(given, self._settings.auth)
        return False

    async def _logged_in_by_link(self, scope: dict[str, Any], send: Any) -> bool:
        """Redirects a page requested with `?token=`, setting a cookie and removing the token."""
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        if scope["method"] != "GET" or "token" not in query or scope["path"] != "/":
            return False
        query.pop("token")
        place = scope["path"] + ("?" + urlencode(query, doseq=True) if query else "")
        headers = [(b"location", place.encode()), (b"set-cookie", self._set_cookie())]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        return True

    def _with_cookie(self, send: Any, headers: dict[str, str]) -> Any:
        """The cookie; not all browsers send Basic credentials with a WebSocket."""
        if _equal(_cookie_of(headers), self._cookie):
            return send

        async def sending(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                added = [*message.get("headers", []), (b"set-cookie", self._set_cookie())]
                message = {**message, "headers": added}
            await send(message)

        return sending

    def _set_cookie(self) -> bytes:
        return f"{_COOKIE}={self._cookie}; HttpOnly; SameSite=Strict; Path=/".encode()

    def _size_message(self) -> str:
        return f"a request may have at most {self._settings.max_body} bytes"

    async def _refuse(
        self, scope: dict[str, Any], send: Any, status: int, code: str, message: str
    ) -> None:
        self._metrics.rejected.labels(code).inc()
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": message})
            return
        headers = [(b"content-type", b"application/json")]
        if status == 401 and self._settings.auth:
            headers.append((b"www-authenticate", b'Basic realm="Repartee", charset="UTF-8"'))
        error = {"message": message, "type": "invalid_request_error", "code": code, "param": None}
        body = json.dumps({"error": error}).encode()
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class _TooLargeError(Exception):
    """A body without a declared length is too large."""


def _limited(receive: Any, most: int) -> Any:
    seen = 0

    async def receiving() -> dict[str, Any]:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise _TooLargeError
        return message

    return receiving


def door(
    host: str,
    auth: str = "",
    token: str = "",
    no_auth: bool = False,
    origins: tuple[str, ...] = (),
    program: str = "this server",
) -> AccessSettings:
    """The access settings for an address to bind to.

    Raises:
        InputError: other machines would have access without credentials, and `no_auth` is not set.
    """
    if is_loopback(host):
        names = ("localhost", "127.0.0.1", "::1", host)
        return AccessSettings(auth, token, names, origins)
    if not (auth or token or no_auth):
        raise InputError(
            f"--host {host} exposes {program} to anyone who can reach this machine; add --auth "
            "USER:PASSWORD or --token, or --no-auth to allow this"
        )
    return AccessSettings(auth, token, (), origins)


def check_port(host: str, port: int) -> None:
    """Raises InputError if no server can be bound there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise InputError(
                f"{host}:{port} cannot be used ({error}); choose another --port or --host"
            ) from None


def is_loopback(host: str) -> bool:
    """Whether an address to bind to is reachable only from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _headers(scope: dict[str, Any]) -> dict[str, str]:
    return {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _cookie_of(headers: dict[str, str]) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(_COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel is not None else ""


def keys_of(scope: Any) -> list[str]:
    """The bearer token, and the keys in a WebSocket's subprotocols, where browsers can pass one."""
    offered = scope.get("subprotocols", ())
    keys = [one.removeprefix(_KEY) for one in offered if one.startswith(_KEY)]
    kind, _, value = _headers(scope).get("authorization", "").partition(" ")
    return [*keys, value.strip()] if kind.lower() == "bearer" else keys


def _without_token(query: bytes) -> bytes:
    kept = [part for part in query.split(b"&") if unquote_to_bytes(part.split(b"=")[0]) != b"token"]
    return b"&".join(kept)


def _equal(given: str, wanted: str) -> bool:
    return bool(wanted) and hmac.compare_digest(given.encode(), wanted.encode())
