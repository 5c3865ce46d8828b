"""Translation of the agent's answers to events of OpenAI's realtime protocol."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from app.active_reply import AudioChunk
from app.api.audio_formats import SoundWriter
from app.api.realtime_items import call_object
from app.api.realtime_known import KnownItems
from app.api.realtime_objects import item_object, response_object
from app.tools import ToolCall
from app.usage import Tokens, tokens_of, usage

Event = tuple[str, dict[str, Any]]


@dataclass
class _Response:
    """An open response.

    Attributes:
        number: number of its history entry.
        out_of_band: whether it is not part of the conversation.
        written: whether it has text only.
        shown: whether the client knows its message item.
        calls: completed function call items.
        read: tokens of what it answers.
        num_samples: samples sent.
    """

    id: str
    number: int
    out_of_band: bool
    written: bool
    metadata: dict[str, str] | None
    writer: SoundWriter
    text: str = ""
    shown: bool = False
    calls: list[dict[str, Any]] = field(default_factory=list)
    read: Tokens = field(default_factory=Tokens)
    num_samples: int = 0

    @property
    def usage(self) -> dict[str, Any]:
        """Its token counts so far."""
        texts = [self.text, *(call["arguments"] for call in self.calls)]
        return usage(self.read, tokens_of(texts, self.num_samples))


class Responses:
    """Translates messages about answers for one client.

    Args:
        known: the client's items.
        with_audio: whether the events carry the audio.

    Attributes:
        asked_metadata: the client's metadata for the next response.
        metadata_of: its metadata for out-of-band responses, by reply number.
    """

    def __init__(self, known: KnownItems, with_audio: bool = True) -> None:
        self._known, self._with_audio = known, with_audio
        self._open: dict[int, _Response] = {}
        self.asked_metadata: dict[str, str] | None = None
        self.metadata_of: dict[int, dict[str, str] | None] = {}

    def reply_of(self, name: str) -> int | None:
        """The reply number of the open response with this id."""
        return next((reply for reply, one in self._open.items() if one.id == name), None)

    def name_of(self, reply: int) -> str:
        """The id of the response with this reply number."""
        return f"resp_{self._known.prefix}_{reply}"

    def started(self, message: dict[str, Any], output_format: str) -> Iterator[Event]:
        """Opens a response."""
        reply, out_of_band = message["reply"], bool(message.get("aside"))
        if out_of_band:
            metadata = self.metadata_of.pop(reply, None)
        else:
            metadata, self.asked_metadata = self.asked_metadata, None
            self._known.reserve(message["turn"])
        name = self.name_of(reply)
        written, writer = bool(message.get("written")), SoundWriter(output_format)
        one = _Response(name, message["turn"], out_of_band, written, metadata, writer)
        one.read = Tokens(**message.get("read", {}))
        self._open[reply] = one
        yield "response.created", {"response": self._object(one, "in_progress", None)}

    def text(self, message: dict[str, Any]) -> Iterator[Event]:
        """Adds text."""
        one, text = self._open.get(message["reply"]), message["text"]
        if one is None:
            return
        yield from self._show(one)
        delta, one.text = text[len(one.text) :], text
        kind = "response.output_text" if one.written else "response.output_audio_transcript"
        yield f"{kind}.delta", {**self._place(one), "delta": delta}

    def sound(self, sound: AudioChunk) -> Iterator[Event]:
        """Adds audio."""
        one = self._open.get(sound.reply)
        if one is not None:
            one.num_samples += len(sound.samples)
            yield from self._show(one)
            if self._with_audio:
                yield from self._audio(one, one.writer.write(sound.samples))

    def called(self, message: dict[str, Any]) -> Iterator[Event]:
        """Adds function calls."""
        one = self._open.get(message["reply"])
        for given in message["calls"] if one is not None else ():
            assert one is not None
            number = given["turn"]
            call = ToolCall(given["id"], given["name"], given["arguments"])
            name = self._known.name(number)
            at = {"response_id": one.id, "output_index": one.shown + len(one.calls)}
            begun, whole = call_object(name, call, "in_progress"), call_object(name, call)
            yield "response.output_item.added", {**at, "item": begun}
            placed = {"previous_item_id": None if one.out_of_band else self._known.show(number)}
            if not one.out_of_band:
                yield "conversation.item.added", {**placed, "item": begun}
            arguments = {**at, "item_id": name, "call_id": call.id}
            yield "response.function_call_arguments.delta", {**arguments, "delta": call.arguments}
            told = {"name": call.name, "arguments": call.arguments}
            yield "response.function_call_arguments.done", {**arguments, **told}
            yield "response.output_item.done", {**at, "item": whole}
            if not one.out_of_band:
                yield "conversation.item.done", {**placed, "item": whole}
            one.calls.append(whole)

    def finished(self, reply: int, status: str, reason: str = "") -> Iterator[Event]:
        """Closes a response.

        Args:
            reply: the reply number.
            status: completed, cancelled, incomplete or failed.
            reason: the reason for the status; for a failure, its message.
        """
        one = self._open.pop(reply, None)
        if one is None:
            return
        if status == "completed":
            yield from self._audio(one, one.writer.flush())
        output = list(one.calls)
        if one.shown:
            item = self._message(one, "completed" if status == "completed" else "incomplete")
            output.insert(0, item)
            place = self._place(one)
            if one.written:
                yield "response.output_text.done", {**place, "text": one.text}
            else:
                yield "response.output_audio.done", place
                told = {**place, "transcript": one.text}
                yield "response.output_audio_transcript.done", told
            yield "response.content_part.done", {**place, "part": _part(one)}
            whole = {"response_id": one.id, "output_index": 0, "item": item}
            yield "response.output_item.done", whole
        response = self._object(one, status, _details(status, reason))
        yield "response.done", {"response": {**response, "output": output, "usage": one.usage}}

    def _show(self, one: _Response) -> Iterator[Event]:
        """Announces the message item once it has content."""
        if one.shown:
            return
        one.shown = True
        item = item_object(self._known.name(one.number), "assistant", None)
        yield (
            "response.output_item.added",
            {"response_id": one.id, "output_index": 0, "item": item},
        )
        if not one.out_of_band:
            placed = {"previous_item_id": self._known.show(one.number), "item": item}
            yield "conversation.item.added", placed
        yield "response.content_part.added", {**self._place(one), "part": _part(one)}

    def _audio(self, one: _Response, content: bytes) -> Iterator[Event]:
        if content:
            delta = base64.b64encode(content).decode()
            yield "response.output_audio.delta", {**self._place(one), "delta": delta}

    def _place(self, one: _Response) -> dict[str, Any]:
        ids = {"response_id": one.id, "item_id": self._known.name(one.number)}
        return {**ids, "output_index": 0, "content_index": 0}

    def _message(self, one: _Response, status: str) -> dict[str, Any]:
        item = spoken(self._known.name(one.number), one.text, one.written)
        return {**item, "status": status}

    def _object(
        self, one: _Response, status: str, details: dict[str, Any] | None
    ) -> dict[str, Any]:
        found = response_object(one.id, status, details, one.metadata)
        found["conversation_id"] = None if one.out_of_band else f"conv_{self._known.prefix}"
        found["output_modalities"] = ["text" if one.written else "audio"]
        return found


def spoken(name: str, text: str, written: bool) -> dict[str, Any]:
    """A message item of the agent."""
    kind, words = ("output_text", "text") if written else ("output_audio", "transcript")
    return item_object(name, "assistant", {"type": kind, words: text})


def _part(one: _Response) -> dict[str, Any]:
    return (
        {"type": "text", "text": one.text}
        if one.written
        else {
            "type": "audio",
            "transcript": one.text,
        }
    )


def _details(status: str, reason: str) -> dict[str, Any] | None:
    if status == "failed":
        error = {"type": "server_error", "code": "reply", "message": reason}
        return {"type": status, "error": error}
    return {"type": status, "reason": reason} if reason else None
