"""uvicorn's side of a WebSocket, made to let go of listeners who are gone or do not read."""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

LINGER_S = 5.0
REALTIME = "/v1/realtime"
MAX_REALTIME_BYTES = 1 << 22
"""Of a message there: stock clients send a recording in one piece."""
_REALTIME_PING_S, _REALTIME_PONG_S = 10.0, 40.0  # they may compute for long, and answer no ping


class ListenerSocket(WebSocketsSansIOProtocol):
    """A connection that ends with the application, whatever its peer does.

    uvicorn closes a connection by waiting until what was written has been read. A peer that never
    reads would so keep it open for ever, and, when it answered no ping, the application would never
    learn that it is gone.
    """

    def handle_connect(self, event: Any) -> None:
        """A client of the realtime interface is given more room, and more time."""
        if event.path.partition("?")[0] == REALTIME:
            self.conn.max_message_size = MAX_REALTIME_BYTES
            self.ping_interval, self.ping_timeout = _REALTIME_PING_S, _REALTIME_PONG_S
        super().handle_connect(event)

    def keepalive_timeout(self) -> None:
        """No answer to a ping: the application is told at once."""
        super().keepalive_timeout()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": 1006})
        self.writable.set()  # a send that waits for the peer fails

    async def run_asgi(self) -> None:
        """Runs the application; afterwards what was written has `LINGER_S` to be read."""
        try:
            await super().run_asgi()
        finally:
            self.loop.call_later(LINGER_S, self.transport.abort)
