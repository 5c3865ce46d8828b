"""Realtime items of all roles: created anywhere, retrieved, deleted, truncated."""

import base64
from typing import Any

import numpy as np
import pytest

from app.history import AGENT, FIRST, USER, DialogueHistory, Note, Place, TurnRecord
from app.replies import SYSTEM
from data.errors import InputError
from tests.app.live import engines
from tests.app.test_realtime import Client, Says, talking
from tests.app.test_realtime_events import kinds, manual, pcm
from tests.app.test_realtime_tools import only, with_model
from tests.app.user_sound import silence, speechlike


def message(role: str, text: str, **fields: Any) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    content = [{"type": kind, "text": text}]
    return {"type": "message", "role": role, "content": content, **fields}


def create(client: Client, item: dict[str, Any], **fields: Any) -> dict[str, Any]:
    client.send("conversation.item.create", item=item, **fields)
    return client.until("conversation.item.added")


def read(model: Any) -> list[tuple[str, str]]:
    return [(one["role"], one["content"]) for one in model.seen["messages"][1:]]


def ask(client: Client) -> None:
    client.send("response.create")
    client.until("response.done")


def test_a_conversation_is_restored_item_by_item() -> None:
    with with_model() as (client, model, _):
        create(client, message("user", "second", id="b"))
        assert create(client, message("system", "Rhyme."))["previous_item_id"] == "b"
        create(client, message("user", "third", id="d"))
        first = create(client, message("assistant", "first", id="a"), previous_item_id="root")
        assert first["previous_item_id"] is None
        between = create(client, message("assistant", "yes", id="c"), previous_item_id="b")
        assert between["previous_item_id"] == "b"
        ask(client)
        assert read(model) == [
            ("assistant", "first"),
            ("user", "second"),
            ("assistant", "yes"),
            ("system", "Rhyme."),
            ("user", "third"),
        ]
        # the speech models are told the same turns, in the same order
        assert "error" not in kinds(client)


def test_predictors_get_the_changed_conversation() -> None:
    shared = engines(responders={"told": Says()})
    with talking(voices=shared.voices, responders=shared.responders) as (client, _):
        client.until("session.created")
        create(client, message("user", "two", id="two"))
        create(client, message("assistant", "one", id="one"), previous_item_id="root")
        create(client, message("user", "three", id="three"))
        client.send("conversation.item.delete", item_id="two")
        assert client.until("conversation.item.deleted")["item_id"] == "two"
        client.send("response.create")
        client.until("response.output_audio.delta")
        heard = [(who, text) for who, text, _ in shared.speaker.dialogues[-1].turns]
        assert heard == [(1, "one"), (0, "three")]


def test_client_ids_are_used_and_unique() -> None:
    with talking() as (client, _):
        client.until("session.created")
        create(client, message("user", "hello", id="mine"))
        client.send("conversation.item.create", item=message("user", "again", id="mine"))
        error = client.until("error")["error"]
        assert (error["code"], error["param"]) == ("item_exists", "item.id")
        client.send("conversation.item.delete", item_id="mine")
        client.until("conversation.item.deleted")
        for kind in ("delete", "retrieve"):
            client.send(f"conversation.item.{kind}", item_id="mine")
            assert client.until("error")["error"]["code"] == "item_not_found"


def test_turns_are_retrieved_with_audio() -> None:
    with talking("my name is anna") as (client, _):
        client.until("session.created")
        client.speak(np.concatenate([silence(0.5), speechlike(1.0), silence(0.9)]))
        client.until("response.done")
        mine, its = (
            e["item"]["id"] for e in client.events if e["type"] == "conversation.item.added"
        )
        client.until("conversation.item.done")
        for name, role, least in ((mine, "user", 0.9), (its, "assistant", 1.0)):
            client.send("conversation.item.retrieve", item_id=name)
            item = client.until("conversation.item.retrieved")["item"]
            (part,) = item["content"]
            assert (item["id"], item["role"]) == (name, role)
            assert "anna" in part["transcript"].lower()
            assert len(base64.b64decode(part["audio"])) > 48_000 * least


def test_the_transcript_comes_after_the_turn() -> None:
    with talking("hello there") as (client, _):
        manual(client)
        client.speak(speechlike(1.0))
        client.send("input_audio_buffer.commit")
        client.until("conversation.item.input_audio_transcription.completed")
        order = [kind for kind in kinds(client) if kind.startswith(("input_audio", "conv"))]
        assert order == [
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "conversation.item.input_audio_transcription.completed",
        ]


def test_the_item_of_a_turn_without_words_is_deleted() -> None:
    with talking("") as (client, _):
        client.until("session.created")
        client.speak(np.concatenate([silence(0.3), speechlike(0.3), silence(0.9)]))
        added = client.until("conversation.item.added")["item"]["id"]
        assert client.until("conversation.item.deleted")["item_id"] == added
        client.speak(np.concatenate([speechlike(1.0), silence(0.9)]))
        assert client.until("conversation.item.added")["previous_item_id"] is None


def test_an_audio_item_is_transcribed() -> None:
    with talking("my name is anna") as (client, app):
        manual(client)
        audio = base64.b64encode(pcm(speechlike(30.0))).decode()  # 1.9 MB in one message
        content = [{"type": "input_audio", "audio": audio}]
        added = create(client, {"type": "message", "role": "user", "content": content, "id": "r"})
        assert added["item"]["content"] == [{"type": "input_audio", "transcript": None}]
        said = client.until("conversation.item.input_audio_transcription.completed")
        assert (said["item_id"], said["transcript"]) == ("r", "my name is anna")
        ask(client)
        told = only(client, "response.output_audio_transcript.done")["transcript"]
        assert "Anna" in told
        session = next(iter(app.state.hub._live.values()))[0]
        assert session.history.turns[0].seconds == pytest.approx(30.0, abs=0.1)


def test_audio_may_come_far_ahead_of_real_time() -> None:
    with talking("hello", "there", "again") as (client, _):
        manual(client)
        audio = base64.b64encode(pcm(np.tile(speechlike(1.0), 41))).decode()
        for _ in range(3):
            client.send("input_audio_buffer.append", audio=audio)
            client.send("input_audio_buffer.commit")
            client.until("conversation.item.input_audio_transcription.completed")
        assert "error" not in kinds(client)


def test_a_failing_recogniser_is_reported_for_the_item() -> None:
    shared = engines()
    shared.recognizer.error = InputError("there is no recogniser")  # type: ignore[attr-defined]
    with talking(recognizer=shared.recognizer) as (client, _):
        manual(client)
        client.speak(speechlike(1.0))
        client.send("input_audio_buffer.commit")
        failed = client.until("conversation.item.input_audio_transcription.failed")
        assert "no recogniser" in failed["error"]["message"]
        assert failed["item_id"] == only(client, "conversation.item.added")["item"]["id"]


def test_an_older_answer_can_be_truncated() -> None:
    with talking() as (client, app):
        client.until("session.created")
        client.type("my name is anna")
        its = client.until("response.output_item.added")["item"]["id"]
        client.until("response.done")
        create(client, message("user", "wait"))
        where = {"item_id": its, "content_index": 0}
        client.send("conversation.item.truncate", **where, audio_end_ms=99_000)
        assert "ms of sound" in client.until("error")["error"]["message"]
        wrong: list[tuple[str, Any]] = [("audio_end_ms", True), ("audio_end_ms", "1")]
        for field, value in (*wrong, ("content_index", False), ("content_index", "0")):
            given = {**where, "audio_end_ms": 1, field: value}
            client.send("conversation.item.truncate", **given)
            error = client.until("error")["error"]
            assert (error["param"], error["code"]) == (field, "wrong_type")
        client.send("conversation.item.truncate", **where, audio_end_ms=450)
        assert client.until("conversation.item.truncated")["audio_end_ms"] == 450
        session = next(iter(app.state.hub._live.values()))[0]
        assert [turn.text for turn in session.history.turns] == [
            "my name is anna", "Nice to meet", "wait",
        ]  # fmt: skip
        client.send("conversation.item.truncate", item_id="wait", audio_end_ms=1)
        assert client.until("error")["error"]["code"] == "item_not_found"


def test_a_transcription_session_never_answers() -> None:
    with talking("hello there") as (client, _):
        client.until("session.created")
        client.send("session.update", session={"type": "transcription"})
        session = client.until("session.updated")["session"]
        assert (session["type"], set(session["audio"])) == ("transcription", {"input"})
        client.send("session.update", session={"voice": "kal"})
        assert client.until("error")["error"]["param"] == "session.voice"
        client.send("session.update", session={"type": "realtime"})
        assert client.until("error")["error"]["param"] == "session.type"
        client.speak(np.concatenate([silence(0.3), speechlike(1.0), silence(0.9)]))
        said = client.until("conversation.item.input_audio_transcription.completed")
        assert said["transcript"] == "hello there"
        client.send("response.create")
        assert client.until("error")["error"]["code"] == "unsupported"
        assert "response.created" not in kinds(client)


# The history


def test_items_keep_their_position() -> None:
    history = DialogueHistory(max_turns=4)
    history.place(Place(0, USER))
    history.place(Note(1, SYSTEM, "x"), after=FIRST)
    history.place(TurnRecord(2, AGENT, "b"), after=1)
    assert [entry.number for entry in history.entries] == [1, 2, 0]
    assert [turn.number for turn in history.turns] == [2]
    assert [entry.number for entry in history.waiting] == [0]
    history.add(TurnRecord(0, USER, "c"), None)
    assert [turn.text for turn in history.turns] == ["b", "c"]
    with pytest.raises(InputError, match="no such item"):
        history.place(Note(3, SYSTEM), after=9)
    with pytest.raises(InputError, match="no such item"):
        history.remove(9)
    history.release(0)  # a turn is no place
    assert len(history.entries) == 3
    for number in range(4, 8):
        history.place(TurnRecord(number, USER, "d"))
    assert [entry.number for entry in history.entries] == [4, 5, 6, 7]
    with pytest.raises(InputError, match="delete some"):
        history.place(Note(8, SYSTEM, "x" * 2_000_000))
    history.close()


def test_deleting_a_turn_keeps_the_others_audio() -> None:
    history = DialogueHistory()
    for number, hz in enumerate((100, 200, 300)):
        history.add(TurnRecord(number, USER, "x"), speechlike(0.4, hz))
    history.remove(1)
    history.heard_until(0, 0.2)
    history.add(TurnRecord(3, USER, "y"), speechlike(0.4, 400))
    for record, hz, seconds in zip(history.turns, (100, 300, 400), (0.2, 0.4, 0.4), strict=True):
        sound = history.sound(record)
        assert sound is not None and len(sound) == seconds * 24_000
        assert np.abs(sound - speechlike(0.4, hz)[: len(sound)]).max() < 1e-4
    history.close()
