"""A streaming response whose production is cancelled however its client leaves."""

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from app.api.admission import Admission
from app.api.production import Production

STALL_S = 30.0  # timeout of a client that reads nothing


class ProducedResponse(Response):
    """Waits for a place, starts the production and sends its pieces.

    Errors before the first piece are raised and become an error response; later ones close the
    connection.

    Args:
        admission: admission control.
        begin: starts the production.
        media_type: of the response.
        headers: of the response.
    """

    def __init__(
        self,
        admission: Admission,
        begin: Callable[[], Production[bytes]],
        media_type: str,
        headers: dict[str, str] | None = None,
    ) -> None:
        self._admission, self._begin = admission, begin
        super().__init__(None, 200, headers, media_type)
        del self.headers["content-length"]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        left = asyncio.ensure_future(_disconnected(receive))
        serving = asyncio.ensure_future(self._serve(send, left))
        try:
            await asyncio.wait({left, serving}, return_when=asyncio.FIRST_COMPLETED)
            if not serving.done():
                serving.cancel()
                await asyncio.wait({serving})
            if not serving.cancelled():
                serving.result()
        finally:  # no await here: this task may be being cancelled
            serving.cancel()
            left.cancel()

    async def _serve(self, send: Any, left: "asyncio.Future[None]") -> None:
        async with self._admission.place():
            production = self._begin()
            try:
                await self._send_all(production, send)
                return
            except TimeoutError:
                pass  # the client has stalled: free the place and leave the socket
            finally:
                production.leave()
        await left

    async def _send_all(self, production: Production[bytes], send: Any) -> None:
        piece = await production.next()
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        while piece is not None:
            body = {"type": "http.response.body", "body": piece, "more_body": True}
            async with asyncio.timeout(STALL_S):
                await send(body)
            await asyncio.sleep(0)  # the server learns that the client has left
            piece = await production.next()
        await send({"type": "http.response.body", "body": b""})


async def _disconnected(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
