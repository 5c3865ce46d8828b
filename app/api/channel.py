"""Transport of a session over a socket, independent of the protocol: sending, the clock, limits,
and closing."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

import numpy as np
from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from app.active_reply import Emitted
from app.endpointing import MAX_TURN_S
from app.hub import BusyError, Hub
from app.protocol import SAMPLE_RATE, ProtocolError, RateLimit, write_object
from app.session import Session
from app.settings import SessionSettings
from data.errors import InputError

logger = logging.getLogger(__name__)

TICK_S = 0.02
_MAX_WAITING = 600  # messages queued for a listener who does not read
# Samples. The recogniser gets a piece only after all of its speech events.
_HEARD_AT_ONCE = SAMPLE_RATE // 10
_MAX_SENDING_S = 20.0  # for a listener to read one message
_MAX_ERRORS = 50
_CHECK_S = 1.0
_GOODBYE_S = 2.0  # for sending the last messages

Encoded = dict[str, Any] | bytes


class Socket(Protocol):
    """What a transport must offer; see starlette's WebSocket."""

    @property
    def client_state(self) -> WebSocketState: ...

    async def receive(self) -> Any: ...

    async def send_text(self, data: str, /) -> None: ...

    async def send_bytes(self, data: bytes, /) -> None: ...

    async def close(self, code: int = 1000, /) -> None: ...


async def accept(socket: WebSocket, mark: dict[str, str], *subprotocols: str) -> None:
    """Accepts a WebSocket with the first of our subprotocols that it offers; a browser that offers
    any closes the connection unless one is chosen.

    Args:
        socket: not accepted yet.
        mark: headers that say that its speech is synthetic.
        subprotocols: ours, the preferred one first.
    """
    offered = socket.scope["subprotocols"]
    chosen = next((one for one in subprotocols if one in offered), None)
    await socket.accept(chosen, [(k.lower().encode(), v.encode()) for k, v in mark.items()])


class Channel:
    """One listener of one session.

    Args:
        hub: opens and parks sessions.
        socket: an accepted WebSocket, or a data channel with its interface.
        encode: converts what the session emits to messages.
        park: whether a session is parked when its listener leaves.
        sound_rate: rate limit of incoming audio, in seconds of audio.

    Attributes:
        session: once opened.
        ended: set when the session itself has ended, not only its connection.
    """

    def __init__(
        self,
        hub: Hub,
        socket: Socket,
        encode: Callable[[Emitted], Iterable[Encoded]],
        park: bool,
        sound_rate: RateLimit | None = None,
    ) -> None:
        self.hub = hub
        self.session: Session | None = None
        self.ended = False
        self._socket, self._encode, self._park = socket, encode, park
        self._out: asyncio.Queue[Emitted | None] = asyncio.Queue()
        self._unheard: list[np.ndarray] = []  # audio for the session
        self._errors = 0
        self._goodbye = 1000
        self._sending_since: float | None = None
        # 1.5 times real time after a burst of a whole turn: a recording, or backlog after a stall.
        self._sound_rate = sound_rate or RateLimit(1.5, float(MAX_TURN_S))
        self._message_rate = RateLimit(40.0, 200.0)

    async def run(self, read: Callable[[], Awaitable[None]]) -> None:
        """Runs until `read`, which handles the listener's messages, ends or the connection is
        lost."""
        works = (read(), self._tick(), self._write())
        reader, ticker, writer = tasks = [asyncio.ensure_future(work) for work in works]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            reader.cancel()
            ticker.cancel()
            self._leave()
            for task in tasks:
                if task.done() and not task.cancelled() and (error := task.exception()):
                    self._say_failed(error)
            self._out.put_nowait(None)
            await asyncio.wait([writer], timeout=_GOODBYE_S)
        finally:
            for task in tasks:
                task.cancel()
            self._leave()
            await self._close()

    async def receive(self, cost: Callable[[str | bytes], float]) -> str | bytes:
        """The listener's next message, which counts as `cost` messages.

        Raises:
            WebSocketDisconnect: the connection is closed.
            ProtocolError: messages arrive too fast.
        """
        received = await self._socket.receive()
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(received.get("code", 1000))
        if self.ended:  # it was in flight
            raise WebSocketDisconnect
        text = received.get("text")
        content = text if text is not None else received.get("bytes") or b""
        if text is not None:
            self._hear_all()  # it may refer to the audio before it
        if not self._message_rate.allows(cost(content), time.monotonic()):
            raise ProtocolError("too_fast", "too many messages; send sound in real time", True)
        return content

    def open(self, name: str | None, settings: SessionSettings) -> tuple[Session, bool]:
        """A session for this listener, and whether it is resumed; raises ProtocolError (busy)."""
        try:
            self.session, resumed = self.hub.open(
                name, settings, self.emit, self._waker(), self._lose
            )
        except BusyError as error:
            raise ProtocolError("busy", str(error), True) from None
        except OSError as error:  # out of file descriptors, or of disk
            raise ProtocolError(
                "busy", f"no resources for another conversation ({error.strerror})", True
            ) from None
        return self.session, resumed

    def sound_wait_s(self, num_samples: int) -> float:
        """Accounts for incoming audio; returns the seconds by which it is early."""
        return self._sound_rate.wait_s(num_samples / SAMPLE_RATE, time.monotonic())

    def push_audio(self, samples: np.ndarray, in_time: bool = False) -> None:
        """Takes the listener's audio.

        Args:
            samples: [n] at 24 kHz.
            in_time: whether `sound_wait_s` has already been applied.

        Raises:
            ProtocolError: it arrives too fast.
        """
        if self.session is None:
            raise ProtocolError("not_started", "the first message must be 'start'")
        seconds = len(samples) / SAMPLE_RATE
        if not in_time and not self._sound_rate.allows(seconds, time.monotonic()):
            raise ProtocolError("too_fast", "audio arrives faster than real time", True)
        if self.session.settings.detect_turns:
            # One call for all that arrives until the loop gets to it: a busy server hears in larger
            # pieces, which cost less.
            if not self._unheard:
                asyncio.get_running_loop().call_soon(self._hear_all)
            self._unheard.append(samples)
            return
        try:
            self.session.push_audio(samples)
        except InputError as error:
            raise ProtocolError("too_long", str(error)) from None

    def _hear_all(self) -> None:
        pieces, self._unheard = self._unheard, []
        if pieces and self.session is not None:
            samples = np.concatenate(pieces)
            for start in range(0, len(samples), _HEARD_AT_ONCE):
                self.session.push_audio(samples[start : start + _HEARD_AT_ONCE])

    def refuse(self, error: ProtocolError, event_id: str | None = None) -> None:
        """Sends an error about a message; re-raises it if it is fatal.

        Args:
            error: the error.
            event_id: the client's id of the message, if any.
        """
        self._errors += 1
        if error.fatal or self._errors > _MAX_ERRORS:
            raise ProtocolError(error.code, str(error), True, error.param) from None
        self._tell(error, event_id)

    def emit(self, message: Emitted) -> None:
        """Queues a message to send. Never blocks."""
        self._out.put_nowait(message)

    def _tell(self, error: ProtocolError, event_id: str | None = None) -> None:
        self.hub.metrics.rejected.labels(error.code).inc()
        self.emit(_error(error.code, str(error), error.fatal, error.param, event_id))

    def _say_failed(self, error: BaseException) -> None:
        if isinstance(error, ProtocolError):
            self._tell(error)
        elif not isinstance(error, WebSocketDisconnect):
            logger.error("a connection failed", exc_info=error)
            self._goodbye = 1011
            self.emit(_error("internal", "the server failed; see its log", fatal=True))

    def _leave(self) -> None:
        session, self.session = self.session, None
        if session is None:
            return
        if self.ended or not self._park:
            self.hub.end(session)
        else:
            self.hub.park(session)

    def _lose(self) -> None:
        self.session, self.ended = None, True
        message = "the conversation continues in another connection"
        self.emit(_error("taken_over", message, fatal=True))

    def _waker(self) -> Callable[[], None]:
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop may have ended
                loop.call_soon_threadsafe(self._wake)

        return wake

    def _wake(self) -> None:
        if self.session is not None:
            self.session.tick()

    async def _tick(self) -> None:
        checked = 0.0
        while True:
            await asyncio.sleep(TICK_S)
            session = self.session
            if session is None:
                continue
            session.tick()
            now = time.monotonic()
            if now - checked > _CHECK_S:
                checked = now
                self.hub.metrics.queue.set(self._out.qsize())
                await self._check(session)

    async def _check(self, session: Session) -> None:
        if session.idle_s > self.hub.settings.idle_s:
            self.ended = True
            minutes = self.hub.settings.idle_s / 60
            message = f"idle for {minutes:.0f} minutes; start a new conversation at any time"
            self.emit(_error("idle", message, fatal=True))
        elif self._out.qsize() > _MAX_WAITING or self._sending_s() > _MAX_SENDING_S:
            self._goodbye = 1008
            raise WebSocketDisconnect(1008, "the listener does not read")

    async def _write(self) -> None:
        while (message := await self._out.get()) is not None:
            for piece in self._encode(message):
                await self._send(piece if isinstance(piece, bytes) else write_object(piece))
            if isinstance(message, dict) and message.get("fatal"):
                self._goodbye = 1008
                return

    def _sending_s(self) -> float:
        return 0.0 if self._sending_since is None else time.monotonic() - self._sending_since

    async def _send(self, piece: str | bytes) -> None:
        self._sending_since = time.monotonic()
        try:
            if isinstance(piece, bytes):
                await self._socket.send_bytes(piece)
            else:
                await self._socket.send_text(piece)
        except RuntimeError:  # the server closed the connection after unanswered pings
            raise WebSocketDisconnect(1006) from None
        self._sending_since = None

    async def _close(self) -> None:
        """Closes the connection, if it is still open."""
        if self._socket.client_state is WebSocketState.CONNECTED:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
                async with asyncio.timeout(_GOODBYE_S):
                    await self._socket.close(self._goodbye)


def _error(
    code: str,
    message: str,
    fatal: bool = False,
    param: str | None = None,
    event_id: str | None = None,
) -> dict[str, Any]:
    error: dict[str, Any] = {"type": "error", "code": code, "message": message, "fatal": fatal}
    if param is not None:
        error["param"] = param
    if event_id is not None:
        error["event_id"] = event_id
    return error
