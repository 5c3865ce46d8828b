"""`WS /v1/realtime`: the same conversation in the words of OpenAI's realtime interface.

Sound is 24 kHz 16-bit PCM in base64. Turns end by silence (`server_vad`) and are answered by
themselves; a typed item is answered when `response.create` asks for it.
"""

import base64
import binascii
import json
from typing import Any

import numpy as np
from fastapi import APIRouter, WebSocket

from app.api.channel import Channel, accept
from app.api.choosing import changed
from app.api.realtime_events import Events, session_object
from app.hub import Hub
from app.protocol import SAMPLE_RATE, ProtocolError
from data.errors import InputError
from data.limits import MAX_TYPED

_SUBPROTOCOL = "realtime"
_SOUND_COSTS = 0.05  # of a message

# Where a setting of ours lies in a session object, and what it may be.
_SETTINGS: dict[str, tuple[tuple[str, ...], type | tuple[type, ...]]] = {
    "voice": (("audio", "output", "voice"), str),
    "rate": (("audio", "output", "speed"), (int, float)),
    "silence_ms": (("audio", "input", "turn_detection", "silence_duration_ms"), int),
    "interrupt": (("audio", "input", "turn_detection", "interrupt_response"), bool),
}


def realtime_router(hub: Hub) -> APIRouter:
    """`WS /v1/realtime`."""
    router = APIRouter()

    @router.websocket("/v1/realtime")
    async def converse(socket: WebSocket) -> None:
        await accept(socket, _SUBPROTOCOL)
        events = Events()
        channel = Channel(hub, socket, events.encode, park=False)
        await channel.run(lambda: _Client(channel, events).read())

    return router


class _Client:
    """Takes a client's events to the session."""

    def __init__(self, channel: Channel, events: Events) -> None:
        self._channel, self._events = channel, events

    async def read(self) -> None:
        """Until the client leaves."""
        session, _ = self._channel.open(None, self._channel.hub.settings.session)
        self._tell("session.created", session=self._described())
        handlers = {
            "session.update": self._update,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
            "conversation.item.create": self._create,
            "conversation.item.truncate": self._truncate,
            "response.create": self._respond,
            "response.cancel": lambda _: session.stop(),
        }
        while not self._channel.ended:
            content = await self._channel.receive(_cost)
            try:
                event = _event(content)
                kind = event.get("type")
                if not isinstance(kind, str) or kind not in handlers:
                    known = ", ".join(handlers)
                    raise ProtocolError("unknown_type", f"type is {kind!r:.60}; known are {known}")
                handlers[kind](event)
            except ProtocolError as error:
                self._channel.refuse(error)

    def _update(self, event: dict[str, Any]) -> None:
        given = _field(event, "session", dict)
        changes = {}
        for name, (path, kind) in _SETTINGS.items():
            place: Any = given
            for step in path:
                place = place.get(step) if isinstance(place, dict) else None
            if place is not None:
                if not isinstance(place, kind) or (isinstance(place, bool) and kind is not bool):
                    raise ProtocolError("wrong_type", f"{'.'.join(path)} is {place!r:.60}")
                changes[name] = place
        session = self._channel.session
        assert session is not None
        session.adjust(changed(self._channel.hub.engines, session.settings, changes))
        self._tell("session.updated", session=self._described())

    def _append(self, event: dict[str, Any]) -> None:
        try:
            pcm = base64.b64decode(_field(event, "audio", str), validate=True)
        except (binascii.Error, ValueError):
            raise ProtocolError("bad_sound", "audio is not base64") from None
        if not pcm or len(pcm) % 2:
            raise ProtocolError("bad_sound", f"audio has {len(pcm)} bytes; send 16-bit samples")
        self._channel.hear(np.frombuffer(pcm, "<i2").astype(np.float32) / 32768)

    def _commit(self, _: dict[str, Any]) -> None:
        """The turn ends here."""
        session = self._channel.session
        assert session is not None
        try:
            session.commit()
        except InputError as error:
            raise ProtocolError("input_audio_buffer_commit_empty", str(error)) from None

    def _clear(self, _: dict[str, Any]) -> None:
        session = self._channel.session
        assert session is not None
        if not session.forget_speech():  # else it is said by the session
            self._tell("input_audio_buffer.cleared")

    def _create(self, event: dict[str, Any]) -> None:
        item = _field(event, "item", dict)
        if item.get("type") != "message" or item.get("role") != "user":
            raise ProtocolError("wrong_type", "items are messages of the user here")
        parts = _field(item, "content", list)
        texts = [_field(part, "text", str) for part in parts if isinstance(part, dict)]
        text = " ".join(" ".join(texts).split())
        if not 1 <= len(text) <= MAX_TYPED:
            message = f"the item has {len(text)} characters; 1 to {MAX_TYPED} are accepted"
            raise ProtocolError("out_of_range", message)
        session = self._channel.session
        assert session is not None
        try:
            session.add_text(text)
        except InputError as error:
            raise ProtocolError("out_of_range", str(error)) from None
        for kind, fields in self._events.typed_item(text):
            self._tell(kind, **fields)

    def _truncate(self, event: dict[str, Any]) -> None:
        """The client has stopped playing: what it did not play is not history."""
        session = self._channel.session
        assert session is not None
        reply = self._events.reply_of(_field(event, "item_id", str))
        played_ms = _field(event, "audio_end_ms", int)
        if reply is None or played_ms < 0:
            raise ProtocolError("out_of_range", "there is no such item, or no such time in it")
        session.stop("truncated")
        session.report(reply, played_ms * SAMPLE_RATE // 1000, finished=False, stopped=True)

    def _respond(self, _: dict[str, Any]) -> None:
        session = self._channel.session
        assert session is not None
        try:
            session.respond()
        except InputError as error:
            raise ProtocolError("nothing_to_answer", str(error)) from None

    def _described(self) -> dict[str, Any]:
        session = self._channel.session
        assert session is not None
        return session_object(session, self._channel.hub.engines)

    def _tell(self, kind: str, **fields: Any) -> None:
        self._channel.emit({"type": "realtime", "event": {"type": kind, **fields}})


def _cost(content: str | bytes) -> float:
    return _SOUND_COSTS if "input_audio_buffer.append" in str(content[:200]) else 1.0


def _event(content: str | bytes) -> dict[str, Any]:
    if isinstance(content, bytes):
        raise ProtocolError("not_json", "events are JSON; sound travels in base64")
    try:
        event = json.loads(content)
    except (ValueError, RecursionError):
        raise ProtocolError("not_json", "an event must be one JSON object") from None
    if not isinstance(event, dict):
        raise ProtocolError("not_json", "an event must be one JSON object")
    return event


def _field(event: dict[str, Any], name: str, kind: type) -> Any:
    value = event.get(name)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ProtocolError("wrong_type", f"{name!r} is {value!r:.60}; {kind.__name__} is expected")
    return value
