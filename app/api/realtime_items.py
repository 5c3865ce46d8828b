"""Items created by clients: messages of all roles, function calls and their outputs."""

import base64
import binascii
import uuid
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, TypeAdapter

from app.api.audio_formats import SoundReader, SoundWriter
from app.api.realtime_known import KnownItems
from app.api.realtime_objects import item_object
from app.api.realtime_parsing import Strict, parsed
from app.history import AGENT, DialogueHistory, Entry, Note, TurnRecord
from app.protocol import ProtocolError
from app.replies import SYSTEM, TOOL, ChatMessage
from app.tools import MAX_ARGUMENTS, ToolCall
from data.limits import MAX_CONTEXT, MAX_CONTEXT_TURNS, MAX_INSTRUCTIONS, MAX_SPOKEN, MAX_TYPED

MAX_NAME = 200
"""Most characters in a client's id of an event or item."""
_ROLES = {"user": 0, "assistant": AGENT, "system": SYSTEM}
_LIMITS = {"user": MAX_TYPED, "assistant": MAX_SPOKEN, "system": MAX_INSTRUCTIONS}
_WORDS = {
    "user": ("input_text", "text"),
    "assistant": ("output_text", "text", "output_audio", "audio"),
    "system": ("input_text", "text"),
}
_Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]


class _Item(Strict):
    id: _Name | None = None
    object: Literal["realtime.item"] | None = None
    status: Literal["completed", "incomplete", "in_progress"] | None = None


class Part(Strict):
    """A content part of a message."""

    type: str
    text: str | None = None
    transcript: str | None = None
    audio: str | None = None


class Message(_Item):
    """A message of the user, the assistant or the system."""

    type: Literal["message"]
    role: Literal["user", "assistant", "system"]
    content: Annotated[list[Part], Field(max_length=64)]


class FunctionCall(_Item):
    """A function call by the assistant."""

    type: Literal["function_call"]
    name: _Name
    arguments: Annotated[str, Field(max_length=MAX_ARGUMENTS)]
    call_id: _Name | None = None


class FunctionOutput(_Item):
    """The output of a function call."""

    type: Literal["function_call_output"]
    call_id: _Name
    output: Annotated[str, Field(max_length=MAX_INSTRUCTIONS)]


class Reference(Strict):
    """A reference to an item of the conversation."""

    type: Literal["item_reference"]
    id: _Name


Item = Message | FunctionCall | FunctionOutput
_ITEM: TypeAdapter[Item] = TypeAdapter(Annotated[Item, Field(discriminator="type")])
_INPUT: TypeAdapter[Item | Reference] = TypeAdapter(
    Annotated[Item | Reference, Field(discriminator="type")]
)


def read_item(given: Any, param: str = "item") -> Item:
    """Parses an item of `conversation.item.create`; raises ProtocolError."""
    return parsed(_ITEM, given, param, tagged=True)


def read_input(
    given: list[Any], history: DialogueHistory, known: KnownItems, param: str
) -> list[ChatMessage]:
    """Parses `input` of a response: items, and references to items of the conversation.

    Raises:
        ProtocolError: a malformed item, or too many or too long ones.
    """
    if len(given) > MAX_CONTEXT_TURNS:
        message = f"{param} has {len(given)} items; the maximum is {MAX_CONTEXT_TURNS}"
        raise ProtocolError("out_of_range", message, param=param)
    found = []
    for at, one in enumerate(given):
        place = f"{param}[{at}]"
        item = parsed(_INPUT, one, place, tagged=True)
        if isinstance(item, Reference):
            number = known.number(item.id)
            entry = next((e for e in history.entries if e.number == number), None)
        else:
            if sound_of(item, place) is not None:
                raise ProtocolError(
                    "unsupported",
                    f"{place} has audio; create it in the conversation and refer to it by "
                    "item_reference",
                    param=f"{place}.content",
                )
            entry = entry_of(item, 0, place, MAX_CONTEXT)
        messages = history.as_message(entry) if entry is not None else None
        if messages is None:
            raise ProtocolError("out_of_range", f"{place}: no such item", param=f"{place}.id")
        found.append(messages)
    length = sum(len(messages.text) for messages in found)
    if length > MAX_CONTEXT:
        message = f"{param} has {length} characters; the maximum is {MAX_CONTEXT}"
        raise ProtocolError("out_of_range", message, param=param)
    return found


def sound_of(item: Item, param: str) -> bytes | None:
    """The decoded audio of a user's item; None if it is text.

    Raises:
        ProtocolError: the audio is not base64, or there are other parts.
    """
    if not isinstance(item, Message) or item.role != "user":
        return None
    if not any(part.type == "input_audio" for part in item.content):
        return None
    if len(item.content) > 1:
        message = f"{param}.content has audio and other parts; create one item for each"
        raise ProtocolError("unsupported", message, param=f"{param}.content")
    where = f"{param}.content[0].audio"
    try:
        return base64.b64decode(item.content[0].audio or "", validate=True)
    except (binascii.Error, ValueError):
        raise ProtocolError("bad_sound", f"{where} is not base64", param=where) from None


def entry_of(item: Item, number: int, param: str, most: int | None = None) -> TurnRecord | Note:
    """Converts an item to the history entry with this number.

    Raises:
        ProtocolError: unsupported parts, no text, or more than `most` characters.
    """
    if isinstance(item, FunctionCall):
        call_id = item.call_id or f"call_{uuid.uuid4().hex[:20]}"
        return Note(number, AGENT, call=ToolCall(call_id, item.name, item.arguments))
    if isinstance(item, FunctionOutput):
        return Note(number, TOOL, item.output, answers=item.call_id)
    texts = [
        _text(part, item.role, f"{param}.content[{at}]") for at, part in enumerate(item.content)
    ]
    joined = " ".join(texts) if item.role == "system" else " ".join(" ".join(texts).split())
    most = most or _LIMITS[item.role]
    if not 1 <= len(joined) <= most:
        message = f"the item has {len(joined)} characters; it must have 1 to {most}"
        raise ProtocolError("out_of_range", message, param=f"{param}.content")
    if item.role == "system":
        return Note(number, SYSTEM, joined)
    return TurnRecord(number, _ROLES[item.role], joined, typed=True)


def _text(part: Part, role: str, param: str) -> str:
    if part.type not in _WORDS[role]:
        known = " or ".join(repr(one) for one in _WORDS[role] if one not in ("text", "audio"))
        message = f"{param}.type is {part.type!r:.60}; the role {role} takes {known}"
        raise ProtocolError("unsupported", message, param=f"{param}.type")
    field = "transcript" if "audio" in part.type else "text"
    if part.audio:
        message = f"{param}.audio is not supported for the role {role}; give its text"
        raise ProtocolError("unsupported", message, param=f"{param}.audio")
    text = getattr(part, field)
    if text is None:
        message = f"{param}.{field} is None; expected str"
        raise ProtocolError("wrong_type", message, param=f"{param}.{field}")
    return text


def samples_of(content: bytes, kind: str) -> np.ndarray:
    """Decodes an item's audio to samples `[n]` at 24 kHz; raises ProtocolError."""
    reader = SoundReader(kind)
    return np.concatenate([reader.read(content), reader.flush()])


def described(
    entry: Entry, name: str, history: DialogueHistory, kind: str, transcribe: bool
) -> dict[str, Any]:
    """A history entry as an item, with its audio if it has any.

    Args:
        entry: the entry.
        name: the item's id.
        history: the history, which has the audio.
        kind: the audio format; see `app.api.audio_formats`.
        transcribe: whether to include the transcript of user turns.
    """
    if isinstance(entry, Note):
        return note_object(entry, name)
    role = "assistant" if entry.who == AGENT else "user"
    if not isinstance(entry, TurnRecord):
        return item_object(name, role, None)
    if entry.typed:
        text = {"type": "output_text" if entry.who else "input_text", "text": entry.text}
        return item_object(name, role, text)
    words = entry.text if entry.who or transcribe else None
    content = {"type": "output_audio" if entry.who else "input_audio", "transcript": words}
    samples = history.sound(entry)
    if samples is not None:
        writer = SoundWriter(kind)
        sound = writer.write(samples) + writer.flush()
        content["audio"] = base64.b64encode(sound).decode()
    return item_object(name, role, content)


def note_object(note: Note, name: str) -> dict[str, Any]:
    """A note as an item."""
    if note.call is not None:
        return call_object(name, note.call)
    if note.who == TOOL:
        shape = {"id": name, "object": "realtime.item", "status": "completed"}
        return {
            **shape,
            "type": "function_call_output",
            "call_id": note.answers,
            "output": note.text,
        }
    return item_object(name, "system", {"type": "input_text", "text": note.text})


def call_object(name: str, call: ToolCall, status: str = "completed") -> dict[str, Any]:
    """A function call as an item."""
    return {
        "id": name,
        "object": "realtime.item",
        "type": "function_call",
        "status": status,
        "name": call.name,
        "call_id": call.id,
        "arguments": call.arguments if status == "completed" else "",
    }
