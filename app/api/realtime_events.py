"""Translation of session messages to events of OpenAI's realtime protocol."""

import itertools
from collections.abc import Iterator
from typing import Any

from app.active_reply import AudioChunk, Emitted
from app.api.realtime_known import KnownItems
from app.api.realtime_objects import in_beta, item_object
from app.api.realtime_responses import Event, Responses, spoken
from app.api.realtime_settings import RealtimeSettings
from app.protocol import SAMPLE_RATE


class Events:
    """Translates for one client.

    Attributes:
        known: the items that the client knows.
        responses: the open responses.

    Args:
        settings: the client's settings; may be replaced.
        beta: whether the client uses the beta protocol.
        with_audio: whether audio is sent as events; in WebRTC calls it travels beside them.
    """

    def __init__(
        self, settings: RealtimeSettings, beta: bool = False, with_audio: bool = True
    ) -> None:
        self.settings, self.beta = settings, beta
        self.known = KnownItems()
        self.responses = Responses(self.known, with_audio)
        self._numbers = itertools.count()
        self._heard = ""
        self._detected: dict[int, int] = {}  # turns reported as started, with the time
        self._ended: set[int] = set()  # turns shown as items that await their transcript
        self._failed: set[int] = set()  # those of them whose recognition failed

    def encode(self, message: Emitted) -> Iterator[dict[str, Any]]:
        """Yields the events for a message of the session, possibly none."""
        for kind, fields in self._translate(message):
            event = {"type": kind, "event_id": f"event_{next(self._numbers)}", **fields}
            told = in_beta(event) if self.beta else event
            if told is not None:
                yield told

    def _translate(self, message: Emitted) -> Iterator[Event]:
        if isinstance(message, AudioChunk):
            yield from self.responses.sound(message)
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
        turn = message.get("turn")
        if turn is None:
            yield "error", {"error": _error("server_error", message)}
            return
        self._failed.add(turn)
        error = {"type": "server_error", "code": message["code"], "message": message["message"]}
        told = {"item_id": self.known.name(turn), "content_index": 0, "error": error}
        yield "conversation.item.input_audio_transcription.failed", told

    def _on_item_placed(self, message: dict[str, Any]) -> Iterator[Event]:
        """Confirms an item created by the client."""
        self.known.reserve(message["number"], message["after"])
        if message["is_sound"]:
            self._ended.add(message["number"])
        yield from self._whole_item(message["number"], message["item"])

    def _on_item_deleted(self, message: dict[str, Any]) -> Iterator[Event]:
        self.known.drop(message["number"])
        yield "conversation.item.deleted", {"item_id": self.known.name(message["number"])}

    # The user's turn

    def _on_speech_started(self, message: dict[str, Any]) -> Iterator[Event]:
        self._heard = ""
        self._detected[message["turn"]] = message["at"] * 1000 // SAMPLE_RATE
        yield self._started(message["turn"])

    def _started(self, turn: int) -> Event:
        at = {"audio_start_ms": self._detected[turn], "item_id": self.known.name(turn)}
        return "input_audio_buffer.speech_started", at

    def _on_partial(self, message: dict[str, Any]) -> Iterator[Event]:
        text = message["text"]
        # revised partial transcripts are not sent
        if self.settings.transcribe and text.startswith(self._heard) and text != self._heard:
            place = {"item_id": self.known.name(message["turn"]), "content_index": 0}
            delta = {**place, "delta": text[len(self._heard) :]}
            yield "conversation.item.input_audio_transcription.delta", delta
            self._heard = text

    def _on_speech_ended(self, message: dict[str, Any]) -> Iterator[Event]:
        """Creates the item of a finished turn; the transcript follows later."""
        turn, name = message["turn"], self.known.name(message["turn"])
        if turn in self._detected:
            end_ms = message["at"] * 1000 // SAMPLE_RATE
            told = {"audio_end_ms": end_ms, "item_id": name}
            yield "input_audio_buffer.speech_stopped", told
        self._ended.add(turn)
        before = self.known.show(turn)
        yield "input_audio_buffer.committed", {"item_id": name, "previous_item_id": before}
        content = {"type": "input_audio", "transcript": None}
        yield from self._whole_item(turn, item_object(name, "user", content))

    def _on_turn_dropped(self, message: dict[str, Any]) -> Iterator[Event]:
        turn, self._heard = message["turn"], ""
        self._detected.pop(turn, None)
        yield from self._taken_back(turn)
        if turn not in self._ended:
            yield "input_audio_buffer.cleared", {"item_id": self.known.name(turn)}
        self._forget(turn)

    def _on_turn_reopened(self, message: dict[str, Any]) -> Iterator[Event]:
        turn = message["turn"]
        yield from self._taken_back(turn)
        self._forget(turn)
        if turn in self._detected:
            yield self._started(turn)

    def _taken_back(self, number: int) -> Iterator[Event]:
        if self.known.drop(number):
            yield "conversation.item.deleted", {"item_id": self.known.name(number)}

    def _forget(self, turn: int) -> None:
        self._ended.discard(turn)
        self._failed.discard(turn)

    def _on_turn(self, message: dict[str, Any]) -> Iterator[Event]:
        if message["who"] == "agent":
            yield from self._agent_turn(message)
        elif not message["typed"]:
            yield from self._user_turn(message)

    def _user_turn(self, message: dict[str, Any]) -> Iterator[Event]:
        turn, self._heard = message["turn"], ""
        self._detected.pop(turn, None)
        if self.settings.transcribe and turn not in self._failed:
            said = {"item_id": self.known.name(turn), "content_index": 0}
            said["transcript"] = message["text"]
            said["usage"] = {"type": "duration", "seconds": message["seconds"]}
            yield "conversation.item.input_audio_transcription.completed", said
        self._forget(turn)

    def _whole_item(self, number: int, item: dict[str, Any]) -> Iterator[Event]:
        placed = {"previous_item_id": self.known.show(number), "item": item}
        yield "conversation.item.added", placed
        yield "conversation.item.done", placed

    # The agent's turn

    def _agent_turn(self, message: dict[str, Any]) -> Iterator[Event]:
        name, written = self.known.name(message["turn"]), message["typed"]
        if message["cut"] and not written:
            end_ms = round(1000 * message["seconds"])
            where = {"item_id": name, "content_index": 0, "audio_end_ms": end_ms}
            yield "conversation.item.truncated", where
        yield "conversation.item.done", {"item": spoken(name, message["text"], written)}

    def _on_reply_started(self, message: dict[str, Any]) -> Iterator[Event]:
        yield from self.responses.started(message, self.settings.output_format)

    def _on_reply_text(self, message: dict[str, Any]) -> Iterator[Event]:
        yield from self.responses.text(message)

    def _on_reply_calls(self, message: dict[str, Any]) -> Iterator[Event]:
        yield from self.responses.called(message)

    def _on_reply_sent(self, message: dict[str, Any]) -> Iterator[Event]:
        status, reason = "completed", ""
        if message.get("error"):
            status, reason = "failed", message["error"]
        elif message.get("incomplete"):
            status, reason = "incomplete", "max_output_tokens"
        yield from self.responses.finished(message["reply"], status, reason)

    def _on_stop(self, message: dict[str, Any]) -> Iterator[Event]:
        by_speech = message["reason"] == "interrupted"
        reason = "turn_detected" if by_speech else "client_cancelled"
        yield from self.responses.finished(message["reply"], "cancelled", reason)

    def _on_reply_dropped(self, message: dict[str, Any]) -> Iterator[Event]:
        """Cancels a response of which nothing was heard, and removes its item."""
        by_speech = message.get("reason", "interrupted") == "interrupted"
        reason = "turn_detected" if by_speech else "client_cancelled"
        yield from self.responses.finished(message["reply"], "cancelled", reason)
        if message.get("turn") is not None:
            yield from self._taken_back(message["turn"])


def _error(kind: str, message: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": kind,
        "code": message["code"],
        "message": message["message"],
        "param": message.get("param"),
        "event_id": message.get("event_id"),
    }
