"""What a session emits, in the events of OpenAI's realtime interface."""

import base64
import itertools
from collections.abc import Iterator
from typing import Any

from app.hub import Engines
from app.protocol import SAMPLE_RATE, write_pcm
from app.session import Session
from app.speaking import Emitted, Sound

Event = tuple[str, dict[str, Any]]
_PCM = {"type": "audio/pcm", "rate": SAMPLE_RATE}


def session_object(session: Session, engines: Engines) -> dict[str, Any]:
    """The session as its client sees it."""
    settings = session.settings
    detection = {
        "type": "server_vad",
        "prefix_padding_ms": settings.hearing.prefix_ms,
        "silence_duration_ms": settings.hearing.silence_ms,
        "create_response": True,
        "interrupt_response": settings.interrupt,
    }
    voice = settings.voice or next(iter(engines.speaker.voices))
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": session.name,
        "model": settings.predictor or engines.speaker.predictors[0],
        "output_modalities": ["audio"],
        "audio": {
            "input": {"format": _PCM, "turn_detection": detection},
            "output": {"format": _PCM, "voice": voice, "speed": settings.rate},
        },
    }


class Events:
    """Translates for one client; remembers which responses are still open."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._open: dict[int, str] = {}  # reply -> its item
        self._replies: dict[str, int] = {}  # item -> reply
        self._texts: dict[int, str] = {}
        self._heard = ""

    def encode(self, message: Emitted) -> Iterator[dict[str, Any]]:
        """The events that a message of the session amounts to; it may be none."""
        for kind, fields in self._translate(message):
            yield {"type": kind, "event_id": f"event_{next(self._numbers)}", **fields}

    def reply_of(self, item: str) -> int | None:
        """The number of the reply that is spoken in an item."""
        return self._replies.get(item)

    def typed_item(self, text: str) -> list[Event]:
        """A message of the user that was not spoken."""
        item = _item(f"item_typed_{next(self._numbers)}", "user", "input_text", "text", text)
        return [(f"conversation.item.{what}", {"item": item}) for what in ("added", "done")]

    def _translate(self, message: Emitted) -> Iterator[Event]:
        if isinstance(message, Sound):
            delta = base64.b64encode(write_pcm(message.samples)).decode()
            yield "response.output_audio.delta", {**self._place(message.reply), "delta": delta}
            return
        work = getattr(self, "_on_" + message["type"].replace(".", "_"), None)
        if work is not None:
            yield from work(message)

    def _on_realtime(self, message: dict[str, Any]) -> Iterator[Event]:
        event = dict(message["event"])
        yield event.pop("type"), event

    def _on_error(self, message: dict[str, Any]) -> Iterator[Event]:
        kind = "server_error" if message["code"] == "internal" else "invalid_request_error"
        error = {"type": kind, "code": message["code"], "message": message["message"]}
        yield "error", {"error": error}

    def _on_notice(self, message: dict[str, Any]) -> Iterator[Event]:
        error = {"type": "server_error", "code": message["code"], "message": message["message"]}
        yield "error", {"error": error}

    # The user's turn

    def _on_speech_started(self, message: dict[str, Any]) -> Iterator[Event]:
        self._heard = ""
        at = {"audio_start_ms": message["at"] * 1000 // SAMPLE_RATE}
        yield "input_audio_buffer.speech_started", {**at, "item_id": _name(message["turn"])}

    def _on_partial(self, message: dict[str, Any]) -> Iterator[Event]:
        text = message["text"]
        if text.startswith(self._heard) and text != self._heard:  # words taken back are not told
            place = {"item_id": _name(message["turn"]), "content_index": 0}
            delta = {**place, "delta": text[len(self._heard) :]}
            yield "conversation.item.input_audio_transcription.delta", delta
            self._heard = text

    def _on_turn_dropped(self, message: dict[str, Any]) -> Iterator[Event]:
        yield "input_audio_buffer.cleared", {"item_id": _name(message["turn"])}

    def _on_turn_reopened(self, message: dict[str, Any]) -> Iterator[Event]:
        yield "conversation.item.deleted", {"item_id": _name(message["turn"])}

    def _on_turn(self, message: dict[str, Any]) -> Iterator[Event]:
        if message["who"] == "agent":
            yield from self._agent_turn(message)
        elif not message["typed"]:
            yield from self._user_turn(message)

    def _user_turn(self, message: dict[str, Any]) -> Iterator[Event]:
        name = _name(message["turn"])
        item = _item(name, "user", "input_audio", "transcript", message["text"])
        end_ms = message["speech_end"] * 1000 // SAMPLE_RATE
        yield "input_audio_buffer.speech_stopped", {"audio_end_ms": end_ms, "item_id": name}
        yield "input_audio_buffer.committed", {"item_id": name}
        yield "conversation.item.added", {"item": item}
        yield "conversation.item.done", {"item": item}
        said = {"item_id": name, "content_index": 0, "transcript": message["text"]}
        yield "conversation.item.input_audio_transcription.completed", said

    # The agent's turn

    def _agent_turn(self, message: dict[str, Any]) -> Iterator[Event]:
        name = _name(message["turn"])
        if message["cut"]:
            end_ms = round(1000 * message["seconds"])
            where = {"item_id": name, "content_index": 0, "audio_end_ms": end_ms}
            yield "conversation.item.truncated", where
        item = _item(name, "assistant", "output_audio", "transcript", message["text"])
        yield "conversation.item.done", {"item": item}

    def _on_reply_started(self, message: dict[str, Any]) -> Iterator[Event]:
        reply, name = message["reply"], _name(message["turn"])
        self._open[reply], self._replies[name], self._texts[reply] = name, reply, ""
        item = {"id": name, "type": "message", "role": "assistant", "content": []}
        place = {"response_id": _response(reply), "output_index": 0}
        yield "response.created", {"response": self._response(reply, "in_progress")}
        yield "response.output_item.added", {**place, "item": item}
        yield "conversation.item.added", {"item": item}
        part = {"type": "audio", "transcript": ""}
        yield "response.content_part.added", {**self._place(reply), "part": part}

    def _on_reply_text(self, message: dict[str, Any]) -> Iterator[Event]:
        reply, text = message["reply"], message["text"]
        delta = text[len(self._texts.get(reply, "")) :]
        self._texts[reply] = text
        yield "response.output_audio_transcript.delta", {**self._place(reply), "delta": delta}

    def _on_reply_sent(self, message: dict[str, Any]) -> Iterator[Event]:
        yield from self._finish(message["reply"], "completed")

    def _on_stop(self, message: dict[str, Any]) -> Iterator[Event]:
        by_speech = message["reason"] == "interrupted"
        reason = "turn_detected" if by_speech else "client_cancelled"
        yield from self._finish(message["reply"], "cancelled", reason)

    def _on_reply_dropped(self, message: dict[str, Any]) -> Iterator[Event]:
        yield from self._finish(message["reply"], "cancelled", "turn_detected")

    def _finish(self, reply: int, status: str, reason: str = "") -> Iterator[Event]:
        if reply not in self._open:
            return
        place, text = self._place(reply), self._texts.pop(reply, "")
        yield "response.output_audio.done", place
        yield "response.output_audio_transcript.done", {**place, "transcript": text}
        part = {"type": "audio", "transcript": text}
        yield "response.content_part.done", {**place, "part": part}
        item = _item(self._open[reply], "assistant", "output_audio", "transcript", text)
        whole = {"response_id": _response(reply), "output_index": 0, "item": item}
        yield "response.output_item.done", whole
        response = {**self._response(reply, status), "output": [item]}
        if reason:
            response["status_details"] = {"type": status, "reason": reason}
        yield "response.done", {"response": response}
        del self._open[reply]

    def _place(self, reply: int) -> dict[str, Any]:
        item = self._open.get(reply, "")
        ids = {"response_id": _response(reply), "item_id": item}
        return {**ids, "output_index": 0, "content_index": 0}

    def _response(self, reply: int, status: str) -> dict[str, Any]:
        shape = {"object": "realtime.response", "id": _response(reply)}
        return {**shape, "status": status, "output": []}


def _name(turn: int) -> str:
    return f"item_{turn}"


def _response(reply: int) -> str:
    return f"resp_{reply}"


def _item(name: str, role: str, kind: str, field: str, text: str) -> dict[str, Any]:
    content = [{"type": kind, field: text}]
    shape = {"id": name, "object": "realtime.item", "type": "message", "status": "completed"}
    return {**shape, "role": role, "content": content}
