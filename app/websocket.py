"""A uvicorn WebSocket protocol that drops clients that are gone or do not read."""

from typing import Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

LINGER_S = 5.0
REALTIME = "/v1/realtime"
MAX_REALTIME_BYTES = 1 << 22
"""Largest message of realtime clients, which send a recording in one piece."""
_REALTIME_PING_S, _REALTIME_PONG_S = 10.0, 40.0  # clients may be busy and answer pings late


class ListenerSocket(WebSocketsSansIOProtocol):
    """A connection that ends with the application, whatever its peer does.

    To close a connection, uvicorn waits until the peer has read everything. A peer that never
    reads would keep it open forever, and a peer that answers no ping would never be reported to
    the application as disconnected.
    """

    def handle_connect(self, event: Any) -> None:
        """Raises size and time limits for clients of the realtime API."""
        if event.path.partition("?")[0] == REALTIME:
            self.conn.max_message_size = MAX_REALTIME_BYTES
            self.ping_interval, self.ping_timeout = _REALTIME_PING_S, _REALTIME_PONG_S
        super().handle_connect(event)

    async def send(self, message: Any) -> None:
        """Fails once the connection is lost; uvicorn would write on until it is told, and asyncio
        log each message."""
        if message["type"] == "websocket.send" and self.transport.is_closing():
            raise ClientDisconnected
        await super().send(message)

    def keepalive_timeout(self) -> None:
        """Reports a peer that answers no ping to the application as disconnected."""
        super().keepalive_timeout()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": 1006})
        self.writable.set()  # makes a blocked send fail

    async def run_asgi(self) -> None:
        """Runs the application, then aborts the connection after `LINGER_S`."""
        try:
            await super().run_asgi()
        finally:
            self.loop.call_later(LINGER_S, self.transport.abort)
