"""`WS /v1/realtime`: conversations in OpenAI's realtime protocol.

Audio is base64 of 24 kHz 16-bit PCM or G.711. Turns end by silence (`server_vad`) or by Smart Turn
(`semantic_vad`) and are answered automatically, or the client commits them and requests responses.
"""

import asyncio
import base64
import binascii
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, WebSocket

from app.api.audio_formats import SoundReader
from app.api.channel import Channel, accept
from app.api.client_secrets import ClientSecrets
from app.api.realtime_events import Events
from app.api.realtime_items import (
    MAX_NAME,
    described,
    entry_of,
    read_input,
    read_item,
    samples_of,
    sound_of,
)
from app.api.realtime_objects import beta_session_object, item_object, session_object
from app.api.realtime_settings import first_settings, for_response, updated
from app.history import AGENT, FIRST
from app.hub import Hub
from app.protocol import SAMPLE_RATE, ProtocolError, RateLimit, read_object
from app.session import Session
from data.errors import InputError

_SUBPROTOCOL = "realtime"
_BETA_SUBPROTOCOL = "openai-beta.realtime-v1"
_SOUND_COSTS = 0.05  # rate-limit cost of an audio message, relative to others
_A_MESSAGE = 1 << 18  # characters that cost as much as one message
_PIECE = SAMPLE_RATE // 2  # samples processed before yielding to other sessions
SOUND_RATE, SOUND_AHEAD_S = 3.0, 120.0
"""Limit of incoming audio: factor of real time, and burst in seconds."""
_ITEM = ("item_id",)

# Fields of each event besides `type` and `event_id`.
_FIELDS = {
    "session.update": ("session",),
    "input_audio_buffer.append": ("audio",),
    "input_audio_buffer.commit": (),
    "input_audio_buffer.clear": (),
    "conversation.item.create": ("item", "previous_item_id"),
    "conversation.item.retrieve": _ITEM,
    "conversation.item.truncate": (*_ITEM, "content_index", "audio_end_ms"),
    "conversation.item.delete": _ITEM,
    "response.create": ("response",),
    "response.cancel": ("response_id",),
    "output_audio_buffer.clear": (),
}


def realtime_router(hub: Hub, client_secrets: ClientSecrets) -> APIRouter:
    """`WS /v1/realtime`."""
    router = APIRouter()

    @router.websocket("/v1/realtime")
    async def converse(socket: WebSocket) -> None:
        await accept(socket, hub.engines.mark_headers, _SUBPROTOCOL, _BETA_SUBPROTOCOL)
        settings = client_secrets.settings_of(socket.scope)
        if settings is None:
            query = socket.query_params
            settings = first_settings(hub, query.get("model", ""), query.get("intent", ""))
        events = Events(settings, _wants_beta(socket))
        rate = RateLimit(SOUND_RATE, SOUND_AHEAD_S)
        channel = Channel(hub, socket, events.encode, park=False, sound_rate=rate)
        await channel.run(lambda: RealtimeClient(channel, events).read())

    return router


def _wants_beta(socket: WebSocket) -> bool:
    header = socket.headers.get("openai-beta", "")
    return "realtime=v1" in header or _BETA_SUBPROTOCOL in socket.scope["subprotocols"]


class RealtimeClient:
    """Applies a client's events to the session.

    Args:
        channel: the transport.
        events: translates what the session emits.
        is_call: whether the server plays the audio, as in WebRTC calls.
    """

    def __init__(self, channel: Channel, events: Events, is_call: bool = False) -> None:
        self._channel, self._events, self._is_call = channel, events, is_call
        self._reader = SoundReader(events.settings.input_format)

    async def read(self) -> None:
        """Handles events until the client disconnects."""
        self._channel.open(None, self._events.settings.session)
        self._tell("session.created", session=self._described())
        handlers: dict[str, Callable[[dict[str, Any]], None]] = {
            "session.update": self._update,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
            "conversation.item.create": self._create,
            "conversation.item.retrieve": self._retrieve,
            "conversation.item.truncate": self._truncate,
            "conversation.item.delete": self._delete,
            "response.create": self._respond,
            "response.cancel": self._cancel,
            "output_audio_buffer.clear": self._clear_output,
        }
        while not self._channel.ended:
            content = await self._channel.receive(_cost)
            event_id = None
            try:
                event = _event(content)
                event_id = _optional_name(event, "event_id")
                kind = _kind(event)
                if kind == "input_audio_buffer.append":
                    await self._append(event)
                else:
                    handlers[kind](event)
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

    async def _append(self, event: dict[str, Any]) -> None:
        """Feeds audio to the session. Audio far ahead of real time is delayed, together with the
        events after it."""
        try:
            content = base64.b64decode(_field(event, "audio", str), validate=True)
        except (binascii.Error, ValueError):
            raise ProtocolError("bad_sound", "audio is not base64", param="audio") from None
        samples = self._reader.read(content)
        for at in range(0, len(samples), _PIECE):
            piece = samples[at : at + _PIECE]
            await asyncio.sleep(self._channel.sound_wait_s(len(piece)))
            self._channel.push_audio(piece, in_time=True)

    def _commit(self, _: dict[str, Any]) -> None:
        """Ends the turn."""
        rest = self._reader.flush()
        if len(rest):
            self._channel.push_audio(rest, in_time=True)
        try:
            self._session.commit()
        except InputError as error:
            raise ProtocolError("input_audio_buffer_commit_empty", str(error)) from None

    def _clear(self, _: dict[str, Any]) -> None:
        self._reader.flush()
        if not self._session.forget_speech():  # else the session reports it
            self._tell("input_audio_buffer.cleared")

    def _create(self, event: dict[str, Any]) -> None:
        item = read_item(_field(event, "item", dict))
        after, known, items = self._after(event), self._events.known, self._session.items
        if item.id is not None and known.number(item.id) is not None:
            message = f"the item {item.id!r:.60} already exists"
            raise ProtocolError("item_exists", message, param="item.id")
        sound = sound_of(item, "item")
        try:
            if sound is not None:
                samples = samples_of(sound, self._events.settings.input_format)
                number = items.place_sound(samples, after)
            else:
                number = self._session.history.number()
                items.place(entry_of(item, number, "item"), after)
        except InputError as error:
            raise ProtocolError("out_of_range", str(error), param="item") from None
        known.call(number, item.id)
        content = {"type": "input_audio", "transcript": None}
        shown = item_object(known.name(number), "user", content)
        if sound is None:
            shown = self._described_item(number)
        placed = {"number": number, "after": after, "item": shown, "is_sound": sound is not None}
        self._channel.emit({"type": "item.placed", **placed})

    def _after(self, event: dict[str, Any]) -> int | None:
        """The number of the entry after which to insert an item; None to append it."""
        name = _optional_name(event, "previous_item_id")
        if name is None or name == "root":
            return None if name is None else FIRST
        return self._number(name, "previous_item_id")

    def _number(self, name: str, param: str = "item_id") -> int:
        """The number of an item in the conversation; raises ProtocolError if it is not there."""
        number = self._events.known.number(name)
        if number is None or self._session.items.find(number) is None:
            message = f"the conversation has no item {name!r:.60}, or no longer"
            raise ProtocolError("item_not_found", message, param=param)
        return number

    def _described_item(self, number: int) -> dict[str, Any]:
        entry, settings = self._session.items.find(number), self._events.settings
        assert entry is not None
        is_agent = entry.who == AGENT
        kind = settings.output_format if is_agent else settings.input_format
        name, history = self._events.known.name(number), self._session.history
        return described(entry, name, history, kind, settings.transcribe)

    def _retrieve(self, event: dict[str, Any]) -> None:
        number = self._number(_field(event, "item_id", str))
        self._tell("conversation.item.retrieved", item=self._described_item(number))

    def _delete(self, event: dict[str, Any]) -> None:
        number = self._number(_field(event, "item_id", str))
        try:
            self._session.items.delete(number)
        except InputError as error:
            raise ProtocolError("out_of_range", str(error), param="item_id") from None
        self._channel.emit({"type": "item.deleted", "number": number})

    def _truncate(self, event: dict[str, Any]) -> None:
        """Cuts the history of an answer to the part that the client has played."""
        name = _field(event, "item_id", str)
        number = self._number(name)
        index = event.get("content_index")
        if index is not None and _typed(index, int, "content_index") != 0:
            message = "items have a single part, with content_index 0"
            raise ProtocolError("out_of_range", message, param="content_index")
        played_ms = _field(event, "audio_end_ms", int)
        if not 0 <= played_ms <= 10**9:
            message = f"audio_end_ms is {played_ms}; give the milliseconds played"
            raise ProtocolError("out_of_range", message, param="audio_end_ms")
        try:
            cut = self._session.items.truncate(number, played_ms * SAMPLE_RATE // 1000)
        except InputError as error:
            raise ProtocolError("out_of_range", str(error), param="item_id") from None
        self._session.tick()
        if cut is not None:  # else the session reports it
            where = {"item_id": name, "content_index": 0, "audio_end_ms": played_ms}
            self._tell("conversation.item.truncated", **where)

    def _respond(self, event: dict[str, Any]) -> None:
        given, settings = event.get("response"), self._events.settings
        if settings.kind == "transcription":
            message = (
                "a transcription session has no responses; connect without intent=transcription"
            )
            raise ProtocolError("unsupported", message, param="type")
        history = None
        if given is not None:
            given = _typed(given, dict, "response")
            settings = for_response(settings, given, self._channel.hub.engines)
            if settings.input is not None:
                entries, known = self._session.history, self._events.known
                history = read_input(settings.input, entries, known, "response.input")
        responses = self._events.responses
        try:
            if settings.out_of_band:
                reply = self._session.items.answer_out_of_band(settings.session, history)
                responses.metadata_of[reply] = settings.metadata
                return
            self._session.respond(settings.session, history)
        except InputError as error:
            active = self._session.answering and not settings.out_of_band
            code = "conversation_already_has_active_response" if active else "nothing_to_answer"
            raise ProtocolError(code, str(error)) from None
        responses.asked_metadata = settings.metadata

    def _cancel(self, event: dict[str, Any]) -> None:
        name, items = _optional_name(event, "response_id"), self._session.items
        reply = self._events.responses.reply_of(name) if name is not None else None
        if reply is not None and items.cancel_aside(reply):
            return
        if not self._session.answering or (name is not None and reply is None):
            message = "there is no such active response" if name else "there is no active response"
            raise ProtocolError("response_cancel_not_active", message, param="response_id")
        self._session.stop()

    def _clear_output(self, _: dict[str, Any]) -> None:
        """Interrupts the answer being played."""
        if not self._is_call:
            message = "only WebRTC calls have an output audio buffer; cancel the response instead"
            raise ProtocolError("unsupported", message, param="type")
        self._session.stop()

    def _described(self) -> dict[str, Any]:
        shape = beta_session_object if self._events.beta else session_object
        return shape(self._session.name, self._events.settings, self._channel.hub.engines)

    def _tell(self, kind: str, **fields: Any) -> None:
        self._channel.emit({"type": "realtime", "event": {"type": kind, **fields}})


def _cost(content: str | bytes) -> float:
    """The rate-limit cost of a message. Audio is also limited by its duration; retrieving an item
    costs more since the response may include audio."""
    start = str(content[:200])
    if "input_audio_buffer.append" in start:
        return _SOUND_COSTS + len(content) / _A_MESSAGE
    return (10.0 if "item.retrieve" in start else 1.0) + len(content) / (_A_MESSAGE / 16)


def _event(content: str | bytes) -> dict[str, Any]:
    if isinstance(content, bytes):
        raise ProtocolError("not_json", "events must be JSON text; audio is sent as base64")
    return read_object(content)


def _kind(event: dict[str, Any]) -> str:
    """The type of an event; raises ProtocolError if the type or a field is unknown."""
    kind = event.get("type")
    if not isinstance(kind, str) or kind not in _FIELDS:
        known = ", ".join(_FIELDS)
        message = f"unknown type {kind!r:.60}; known: {known}"
        raise ProtocolError("unknown_type", message, param="type")
    for name in event:
        if name not in ("type", "event_id", *_FIELDS[kind]):
            message = f"unknown field {name!r:.60} of {kind}"
            raise ProtocolError("unknown_parameter", message, param=name[:60])
    return kind


def _typed(value: Any, kind: type, param: str) -> Any:
    """Returns the value; raises ProtocolError if it is of another type."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        message = f"{param} is {value!r:.60}; expected {kind.__name__}"
        raise ProtocolError("wrong_type", message, param=param)
    return value


def _field(event: dict[str, Any], name: str, kind: type) -> Any:
    return _typed(event.get(name), kind, name)


def _optional_name(event: dict[str, Any], field: str) -> str | None:
    value = event.get(field)
    if value is None:
        return None
    if len(_typed(value, str, field)) > MAX_NAME:
        message = f"{field} has {len(value)} characters; the maximum is {MAX_NAME}"
        raise ProtocolError("out_of_range", message, param=field)
    return value
