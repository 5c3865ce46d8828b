"""A local OpenAI-compatible chat endpoint with scripted answers."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar


def event(text: str) -> bytes:
    """One streamed chunk of an answer."""
    return b"data: " + json.dumps({"choices": [{"delta": {"content": text}}]}).encode() + b"\n\n"


class LanguageModel(BaseHTTPRequestHandler):
    """Attributes:
    status: of the answer.
    pieces: of its body, sent one by one.
    gate: passed before each piece but the first.
    seen: the last request.
    """

    status: ClassVar[int] = 200
    pieces: ClassVar[list[bytes]] = [event("Hello "), event("there."), b"data: [DONE]\n\n"]
    gate: ClassVar[threading.Event]
    seen: ClassVar[dict[str, Any]] = {}

    def do_POST(self) -> None:
        kind = type(self)
        kind.seen = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        kind.seen["authorization"] = self.headers.get("Authorization")
        self.send_response(kind.status)
        self.end_headers()
        for number, piece in enumerate(kind.pieces):
            if number:
                kind.gate.wait(60)
            with contextlib.suppress(ConnectionError):  # the listener may have had enough
                self.wfile.write(piece)
                self.wfile.flush()

    def log_message(self, *args: object) -> None: ...


@contextlib.contextmanager
def language_model() -> Iterator[tuple[type[LanguageModel], str]]:
    """Yields the handler class, whose attributes script the answers, and the base URL."""
    gate = threading.Event()
    gate.set()
    handler = type("Handler", (LanguageModel,), {"gate": gate})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield handler, f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        gate.set()
        server.shutdown()
        server.server_close()
