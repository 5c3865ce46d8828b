"""What a session emits, in the events of OpenAI's realtime interface."""

import base64
import itertools
from collections.abc import Iterator
from typing import Any

from app.api.audio_formats import SoundWriter
from app.api.realtime_objects import in_beta, item_object, response_object
from app.api.realtime_settings import RealtimeSettings
from app.protocol import SAMPLE_RATE
from app.speaking import Emitted, Sound

Event = tuple[str, dict[str, Any]]
_REMEMBERED = 256  # replies whose items can be truncated


class Events:
    """Translates for one client; remembers which responses are still open.

    Attributes:
        last_item: the name of the conversation's last item.
        asked_metadata: what the client gave with the response that begins next.

    Args:
        settings: what the client has set; may be replaced.
        beta: whether the client wants the events of the beta interface.
    """

    def __init__(self, settings: RealtimeSettings, beta: bool = False) -> None:
        self.settings, self.beta = settings, beta
        self._numbers = itertools.count()
        self._open: dict[int, str] = {}  # reply -> its item
        self._replies: dict[str, int] = {}  # item -> reply
        self._texts: dict[int, str] = {}
        self._sound: SoundWriter | None = None  # of the open reply
        self._heard = ""
        self._detected: int | None = None  # the turn whose beginning was told
        self._failure = ""
        self.last_item: str | None = None
        self.asked_metadata: dict[str, str] | None = None
        self._metadata: dict[int, dict[str, str] | None] = {}  # of open replies

    def encode(self, message: Emitted) -> Iterator[dict[str, Any]]:
        """The events that a message of the session amounts to; it may be none."""
        for kind, fields in self._translate(message):
            event = {"type": kind, "event_id": f"event_{next(self._numbers)}", **fields}
            told = in_beta(event) if self.beta else event
            if told is not None:
                yield told

    def reply_of(self, item: str) -> int | None:
        """The number of the reply that is spoken in an item."""
        return self._replies.get(item)

    def is_open(self, response: str) -> bool:
        """Whether a response of this name is being spoken."""
        return any(_response(reply) == response for reply in self._open)

    def typed_item(self, text: str, name: str | None) -> list[Event]:
        """A message of the user that was not spoken.

        Args:
            text: of the message.
            name: that the client gave it, or None.
        """
        content = {"type": "input_text", "text": text}
        name = name or f"item_typed_{next(self._numbers)}"
        return list(self._whole_item(item_object(name, "user", content)))

    def _translate(self, message: Emitted) -> Iterator[Event]:
        if isinstance(message, Sound):
            if self._sound is None:
                self._sound = SoundWriter(self.settings.output_format)
            yield from self._audio(message.reply, self._sound.write(message.samples))
            return
        work = getattr(self, "_on_" + message["type"].replace(".", "_"), None)
        if work is not None:
            yield from work(message)

    def _on_realtime(self, message: dict[str, Any]) -> Iterator[Event]:
        event = dict(message["event"])
        yield event.pop("type"), event

    def _on_error(self, message: dict[str, Any]) -> Iterator[Event]:
        kind = "server_error" if message["code"] == "internal" else "invalid_request_error"
        yield "error", {"error": _error(kind, message)}

    def _on_notice(self, message: dict[str, Any]) -> Iterator[Event]:
        if message["code"] == "reply":
            self._failure = message["message"]
        yield "error", {"error": _error("server_error", message)}

    # The user's turn

    def _on_speech_started(self, message: dict[str, Any]) -> Iterator[Event]:
        self._heard, self._detected = "", message["turn"]
        at = {"audio_start_ms": message["at"] * 1000 // SAMPLE_RATE}
        yield "input_audio_buffer.speech_started", {**at, "item_id": _name(message["turn"])}

    def _on_partial(self, message: dict[str, Any]) -> Iterator[Event]:
        text = message["text"]
        # words taken back are not told
        if self.settings.transcribe and text.startswith(self._heard) and text != self._heard:
            place = {"item_id": _name(message["turn"]), "content_index": 0}
            delta = {**place, "delta": text[len(self._heard) :]}
            yield "conversation.item.input_audio_transcription.delta", delta
            self._heard = text

    def _on_turn_dropped(self, message: dict[str, Any]) -> Iterator[Event]:
        self._heard = ""
        yield "input_audio_buffer.cleared", {"item_id": _name(message["turn"])}

    def _on_turn_reopened(self, message: dict[str, Any]) -> Iterator[Event]:
        yield "conversation.item.deleted", {"item_id": _name(message["turn"])}

    def _on_turn(self, message: dict[str, Any]) -> Iterator[Event]:
        if message["who"] == "agent":
            yield from self._agent_turn(message)
        elif not message["typed"]:
            yield from self._user_turn(message)

    def _user_turn(self, message: dict[str, Any]) -> Iterator[Event]:
        name, self._heard = _name(message["turn"]), ""
        words = message["text"] if self.settings.transcribe else None
        if self._detected == message["turn"]:
            end_ms = message["speech_end"] * 1000 // SAMPLE_RATE
            yield "input_audio_buffer.speech_stopped", {"audio_end_ms": end_ms, "item_id": name}
        before = {"item_id": name, "previous_item_id": self.last_item}
        yield "input_audio_buffer.committed", before
        content = {"type": "input_audio", "transcript": words}
        yield from self._whole_item(item_object(name, "user", content))
        if words is not None:
            said = {"item_id": name, "content_index": 0, "transcript": words}
            said["usage"] = {"type": "duration", "seconds": message["seconds"]}
            yield "conversation.item.input_audio_transcription.completed", said

    def _whole_item(self, item: dict[str, Any]) -> Iterator[Event]:
        placed = {"previous_item_id": self.last_item, "item": item}
        self.last_item = item["id"]
        yield "conversation.item.added", placed
        yield "conversation.item.done", placed

    # The agent's turn

    def _agent_turn(self, message: dict[str, Any]) -> Iterator[Event]:
        name = _name(message["turn"])
        if message["cut"]:
            end_ms = round(1000 * message["seconds"])
            where = {"item_id": name, "content_index": 0, "audio_end_ms": end_ms}
            yield "conversation.item.truncated", where
        yield "conversation.item.done", {"item": _spoken(name, message["text"])}

    def _on_reply_started(self, message: dict[str, Any]) -> Iterator[Event]:
        reply, name = message["reply"], _name(message["turn"])
        self._open[reply], self._replies[name], self._texts[reply] = name, reply, ""
        while len(self._replies) > _REMEMBERED:
            self._replies.pop(next(iter(self._replies)))
        self._sound, self._failure = None, ""
        self._metadata[reply], self.asked_metadata = self.asked_metadata, None
        item = item_object(name, "assistant", None)
        place = {"response_id": _response(reply), "output_index": 0}
        response = response_object(_response(reply), "in_progress", None, self._metadata[reply])
        yield "response.created", {"response": response}
        yield "response.output_item.added", {**place, "item": item}
        yield "conversation.item.added", {"previous_item_id": self.last_item, "item": item}
        self.last_item = name
        part = {"type": "audio", "transcript": ""}
        yield "response.content_part.added", {**self._place(reply), "part": part}

    def _on_reply_text(self, message: dict[str, Any]) -> Iterator[Event]:
        reply, text = message["reply"], message["text"]
        delta = text[len(self._texts.get(reply, "")) :]
        self._texts[reply] = text
        yield "response.output_audio_transcript.delta", {**self._place(reply), "delta": delta}

    def _on_reply_sent(self, message: dict[str, Any]) -> Iterator[Event]:
        if message.get("incomplete"):
            yield from self._finish(message["reply"], "incomplete", "max_output_tokens")
        else:
            yield from self._finish(message["reply"], "completed")

    def _on_stop(self, message: dict[str, Any]) -> Iterator[Event]:
        by_speech = message["reason"] == "interrupted"
        reason = "turn_detected" if by_speech else "client_cancelled"
        yield from self._finish(message["reply"], "cancelled", reason)

    def _on_reply_dropped(self, message: dict[str, Any]) -> Iterator[Event]:
        if self._failure:
            yield from self._finish(message["reply"], "failed", self._failure)
        else:
            yield from self._finish(message["reply"], "cancelled", "turn_detected")

    def _finish(self, reply: int, status: str, reason: str = "") -> Iterator[Event]:
        if reply not in self._open:
            return
        if status == "completed" and self._sound is not None:
            yield from self._audio(reply, self._sound.flush())
        self._sound = None
        place, text = self._place(reply), self._texts.pop(reply, "")
        yield "response.output_audio.done", place
        yield "response.output_audio_transcript.done", {**place, "transcript": text}
        part = {"type": "audio", "transcript": text}
        yield "response.content_part.done", {**place, "part": part}
        item = _spoken(self._open[reply], text)
        whole = {"response_id": _response(reply), "output_index": 0, "item": item}
        yield "response.output_item.done", whole
        details, metadata = _details(status, reason), self._metadata.pop(reply, None)
        response = response_object(_response(reply), status, details, metadata)
        response["output"] = [item]
        yield "response.done", {"response": response}
        del self._open[reply]

    def _audio(self, reply: int, content: bytes) -> Iterator[Event]:
        if content:
            delta = base64.b64encode(content).decode()
            yield "response.output_audio.delta", {**self._place(reply), "delta": delta}

    def _place(self, reply: int) -> dict[str, Any]:
        item = self._open.get(reply, "")
        ids = {"response_id": _response(reply), "item_id": item}
        return {**ids, "output_index": 0, "content_index": 0}


def _name(turn: int) -> str:
    return f"item_{turn}"


def _response(reply: int) -> str:
    return f"resp_{reply}"


def _spoken(name: str, text: str) -> dict[str, Any]:
    return item_object(name, "assistant", {"type": "output_audio", "transcript": text})


def _details(status: str, reason: str) -> dict[str, Any] | None:
    if not reason:
        return None
    if status == "failed":
        return {"type": status, "error": {"type": "server_error", "code": "reply"}}
    return {"type": status, "reason": reason}


def _error(kind: str, message: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": kind,
        "code": message["code"],
        "message": message["message"],
        "param": message.get("param"),
        "event_id": message.get("event_id"),
    }
