"""`WS /v1/realtime`: the same conversation in the words of OpenAI's realtime interface.

Sound travels in base64, 24 kHz 16-bit PCM or G.711. Turns end by silence (`server_vad`) and are
answered by themselves, or the client commits them and asks for responses.
"""

import base64
import binascii
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, WebSocket

from app.api.audio_formats import SoundReader
from app.api.channel import Channel, accept
from app.api.realtime_events import Events
from app.api.realtime_objects import beta_session_object, session_object
from app.api.realtime_settings import RealtimeSettings, for_response, updated
from app.hearing import SERVER
from app.hub import Hub
from app.protocol import SAMPLE_RATE, ProtocolError, read_object
from app.session import Session
from app.settings import with_settings
from data.errors import InputError
from data.limits import MAX_TYPED

_SUBPROTOCOL = "realtime"
_BETA_SUBPROTOCOL = "openai-beta.realtime-v1"
_SOUND_COSTS = 0.05  # of a message
_MAX_NAME = 200  # characters of what a client calls an event or an item

# The fields of each event, beside its type and its own name.
_FIELDS = {
    "session.update": ("session",),
    "input_audio_buffer.append": ("audio",),
    "input_audio_buffer.commit": (),
    "input_audio_buffer.clear": (),
    "conversation.item.create": ("item", "previous_item_id"),
    "conversation.item.truncate": ("item_id", "content_index", "audio_end_ms"),
    "response.create": ("response",),
    "response.cancel": ("response_id",),
}


def realtime_router(hub: Hub) -> APIRouter:
    """`WS /v1/realtime`."""
    router = APIRouter()

    @router.websocket("/v1/realtime")
    async def converse(socket: WebSocket) -> None:
        await accept(socket, _SUBPROTOCOL, _BETA_SUBPROTOCOL)
        # as OpenAI's: a client that wants semantic_vad asks for it
        settings = with_settings(hub.settings.session, detection=SERVER)
        model = socket.query_params.get("model", "")
        if model in hub.engines.speaker.predictors:  # any other is told in `session.created`
            settings = with_settings(settings, predictor=model)
        events = Events(RealtimeSettings(settings), _wants_beta(socket))
        channel = Channel(hub, socket, events.encode, park=False)
        await channel.run(lambda: _Client(channel, events).read())

    return router


def _wants_beta(socket: WebSocket) -> bool:
    header = socket.headers.get("openai-beta", "")
    return "realtime=v1" in header or _BETA_SUBPROTOCOL in socket.scope["subprotocols"]


class _Client:
    """Takes a client's events to the session."""

    def __init__(self, channel: Channel, events: Events) -> None:
        self._channel, self._events = channel, events
        self._reader = SoundReader(events.settings.input_format)

    async def read(self) -> None:
        """Until the client leaves."""
        self._channel.open(None, self._events.settings.session)
        self._tell("session.created", session=self._described())
        handlers: dict[str, Callable[[dict[str, Any]], None]] = {
            "session.update": self._update,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
            "conversation.item.create": self._create,
            "conversation.item.truncate": self._truncate,
            "response.create": self._respond,
            "response.cancel": self._cancel,
        }
        while not self._channel.ended:
            content = await self._channel.receive(_cost)
            event_id = None
            try:
                event = _event(content)
                event_id = _optional_name(event, "event_id")
                handlers[_kind(event)](event)
            except ProtocolError as error:
                self._channel.refuse(error, event_id)

    @property
    def _session(self) -> Session:
        session = self._channel.session
        assert session is not None
        return session

    def _update(self, event: dict[str, Any]) -> None:
        given = _field(event, "session", dict)
        settings = updated(self._events.settings, given, self._channel.hub.engines)
        self._events.settings = settings
        if settings.input_format != self._reader.kind:
            self._reader = SoundReader(settings.input_format)
        self._session.adjust(settings.session)
        self._tell("session.updated", session=self._described())

    def _append(self, event: dict[str, Any]) -> None:
        try:
            content = base64.b64decode(_field(event, "audio", str), validate=True)
        except (binascii.Error, ValueError):
            raise ProtocolError("bad_sound", "audio is not base64", param="audio") from None
        self._hear(self._reader.read(content))

    def _hear(self, samples: Any) -> None:
        if len(samples):
            self._channel.hear(samples)

    def _commit(self, _: dict[str, Any]) -> None:
        """The turn ends here."""
        self._hear(self._reader.flush())
        try:
            self._session.commit()
        except InputError as error:
            raise ProtocolError("input_audio_buffer_commit_empty", str(error)) from None

    def _clear(self, _: dict[str, Any]) -> None:
        self._reader.flush()
        if not self._session.forget_speech():  # else it is said by the session
            self._tell("input_audio_buffer.cleared")

    def _create(self, event: dict[str, Any]) -> None:
        _check_place(event.get("previous_item_id"), self._events.last_item)
        text, name = _typed_item(_field(event, "item", dict))
        try:
            self._session.add_text(text)
        except InputError as error:
            raise ProtocolError("out_of_range", str(error), param="item") from None
        for kind, fields in self._events.typed_item(text, name):
            self._tell(kind, **fields)

    def _truncate(self, event: dict[str, Any]) -> None:
        """The client has stopped playing: what it did not play is not history."""
        reply = self._events.reply_of(_field(event, "item_id", str))
        if reply is None:
            raise ProtocolError("out_of_range", "there is no such item", param="item_id")
        if event.get("content_index") not in (None, 0):
            message = "items have one part, with content_index 0"
            raise ProtocolError("out_of_range", message, param="content_index")
        played_ms = _field(event, "audio_end_ms", int)
        if not 0 <= played_ms <= 10**9:
            message = f"audio_end_ms is {played_ms}; give the milliseconds that were played"
            raise ProtocolError("out_of_range", message, param="audio_end_ms")
        try:
            self._session.truncate(reply, played_ms * SAMPLE_RATE // 1000)
        except InputError as error:
            raise ProtocolError("out_of_range", str(error), param="item_id") from None

    def _respond(self, event: dict[str, Any]) -> None:
        given = event.get("response")
        settings = self._events.settings
        if given is not None:
            given = _typed(given, dict, "response")
            settings = for_response(settings, given, self._channel.hub.engines)
        try:
            self._session.respond(settings.session)
        except InputError as error:
            raise ProtocolError("nothing_to_answer", str(error)) from None
        self._events.asked_metadata = settings.metadata

    def _cancel(self, event: dict[str, Any]) -> None:
        name = _optional_name(event, "response_id")
        if not self._session.answering or (name is not None and not self._events.is_open(name)):
            message = "there is no such response to cancel" if name else "nothing is being answered"
            raise ProtocolError("response_cancel_not_active", message, param="response_id")
        self._session.stop()

    def _described(self) -> dict[str, Any]:
        shape = beta_session_object if self._events.beta else session_object
        return shape(self._session.name, self._events.settings, self._channel.hub.engines)

    def _tell(self, kind: str, **fields: Any) -> None:
        self._channel.emit({"type": "realtime", "event": {"type": kind, **fields}})


def _cost(content: str | bytes) -> float:
    return _SOUND_COSTS if "input_audio_buffer.append" in str(content[:200]) else 1.0


def _event(content: str | bytes) -> dict[str, Any]:
    if isinstance(content, bytes):
        raise ProtocolError("not_json", "events are JSON; sound travels in base64")
    return read_object(content)


def _kind(event: dict[str, Any]) -> str:
    """The type of an event, all of whose fields are known."""
    kind = event.get("type")
    if not isinstance(kind, str) or kind not in _FIELDS:
        known = ", ".join(_FIELDS)
        message = f"type is {kind!r:.60}; known are {known}"
        raise ProtocolError("unknown_type", message, param="type")
    for name in event:
        if name not in ("type", "event_id", *_FIELDS[kind]):
            message = f"{kind} has no field {name!r:.60}"
            raise ProtocolError("unknown_parameter", message, param=name[:60])
    return kind


def _typed(value: Any, kind: type, param: str) -> Any:
    """The value, if it is of that type; raises ProtocolError."""
    if not isinstance(value, kind):
        message = f"{param} is {value!r:.60}; {kind.__name__} is expected"
        raise ProtocolError("wrong_type", message, param=param)
    return value


def _field(event: dict[str, Any], name: str, kind: type) -> Any:
    return _typed(event.get(name), kind, name)


def _optional_name(event: dict[str, Any], field: str, prefix: str = "") -> str | None:
    value = event.get(field)
    if value is None:
        return None
    if len(_typed(value, str, prefix + field)) > _MAX_NAME:
        message = f"{prefix}{field} has {len(value)} characters; at most {_MAX_NAME} are accepted"
        raise ProtocolError("out_of_range", message, param=prefix + field)
    return value


def _check_place(previous: Any, last: str | None) -> None:
    if previous not in (None, last or "root"):
        message = (
            f"previous_item_id is {previous!r:.60}; items are added at the end of the "
            f"conversation here, after {last or 'root'!r}; leave it out"
        )
        raise ProtocolError("unsupported", message, param="previous_item_id")


def _typed_item(item: dict[str, Any]) -> tuple[str, str | None]:
    """The text of an item, and the client's name for it."""
    for name in item:
        if name not in ("id", "object", "type", "status", "role", "content"):
            message = f"an item has no field {name!r:.60} here"
            raise ProtocolError("unknown_parameter", message, param=f"item.{name:.60}")
    for name, wanted in (("type", "message"), ("role", "user")):
        if item.get(name) != wanted:
            message = f"item.{name} is {item.get(name)!r:.60}; only {wanted!r} is taken"
            raise ProtocolError("wrong_type", message, param=f"item.{name}")
    parts = _typed(item.get("content"), list, "item.content")
    texts = []
    for index, part in enumerate(parts):
        param = f"item.content[{index}]"
        if _typed(part, dict, param).get("type") not in ("input_text", "text"):
            message = f"{param}.type is {part.get('type')!r:.60}; only 'input_text' is taken"
            raise ProtocolError("unsupported", message, param=f"{param}.type")
        texts.append(_typed(part.get("text"), str, f"{param}.text"))
    text = " ".join(" ".join(texts).split())
    if not 1 <= len(text) <= MAX_TYPED:
        message = f"the item has {len(text)} characters; 1 to {MAX_TYPED} are accepted"
        raise ProtocolError("out_of_range", message, param="item.content")
    return text, _optional_name(item, "id", "item.")
