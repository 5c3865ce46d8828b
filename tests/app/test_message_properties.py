"""Any client message is either accepted unchanged or rejected with a code."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.realtime_settings import RealtimeSettings, for_response, updated
from app.hub import Engines
from app.messages import MESSAGES, Settings, read_message
from app.protocol import ProtocolError, write_object
from app.settings import SessionSettings
from tests.app.live import engines
from tests.properties import objects, quick, values, written

CODES = {
    *("not_json", "too_large", "unknown_type", "unknown_field", "missing_field", "wrong_type"),
    *("out_of_range", "wrong_protocol", "wrong_rate"),
}
number = st.one_of(st.integers(-2, 10), st.floats(-2, 10), st.sampled_from([1, 24_000]))
text = st.sampled_from(["", "one", "\ud800", "semantic_vad", "x" * 3000])


def strategy_of(name: str) -> st.SearchStrategy[Any]:
    if name == "protocol":
        return st.just(1)
    if name == "sample_rate":
        return st.just(24_000)
    if name == "settings":
        return objects({field: st.one_of(number, text) for field in Settings.model_fields})
    return text if name in ("text", "session") else st.one_of(number, st.booleans())


message = st.sampled_from(sorted(MESSAGES)).flatmap(
    lambda kind: objects(
        {"type": st.just(kind), **{f: strategy_of(f) for f in MESSAGES[kind].model_fields}}
    )
)
detection = objects(
    {
        "type": st.sampled_from(["server_vad", "semantic_vad", "none"]),
        "threshold": number,
        "silence_duration_ms": st.integers(-1, 5000),
        "prefix_padding_ms": st.integers(-1, 5000),
        "eagerness": st.sampled_from(["low", "auto", "x"]),
        "create_response": st.booleans(),
    }
)
sound = objects(
    {
        "format": st.one_of(
            st.sampled_from(["pcm16", "x"]), objects({"type": st.just("audio/pcm")})
        ),
        "turn_detection": st.one_of(st.none(), detection),
        "transcription": st.one_of(st.none(), objects({"model": text, "language": st.just("en")})),
        "voice": st.sampled_from(["slt", "alloy", "nobody"]),
        "speed": number,
    }
)
session = objects(
    {
        "type": st.just("realtime"),
        "audio": objects({"input": sound, "output": sound}),
        "turn_detection": st.one_of(st.none(), detection),
        "voice": st.sampled_from(["slt", "echo", "nobody"]),
        "temperature": number,
        "max_output_tokens": st.one_of(st.just("inf"), st.integers(-1, 9000)),
        "output_modalities": st.lists(st.sampled_from(["audio", "text", "x"]), max_size=2),
        "tools": st.just([]),
        "metadata": st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
    }
)


@quick
@given(st.one_of(written(message), written(message), written(values)))
def test_a_message_of_the_conversation(content: str) -> None:
    try:
        found = read_message(content)
    except ProtocolError as error:
        assert error.code in CODES and str(error)
        write_object({"message": str(error)}).encode("ascii")
        return
    sent = json.loads(content)
    assert found["type"] == sent["type"] in MESSAGES
    assert found.keys() <= sent.keys()
    write_object(found).encode("ascii")


@pytest.fixture(scope="module")
def shared() -> Engines:
    return engines()


@quick
@given(st.one_of(session, session, values))
def test_settings_of_a_realtime_session(shared: Engines, given: Any) -> None:
    before = RealtimeSettings(SessionSettings())
    for change in (updated, for_response):
        try:
            after = change(before, given, shared)
        except ProtocolError as error:
            assert error.code and str(error)
        else:
            assert isinstance(after, RealtimeSettings) and isinstance(given, dict)
    assert before == RealtimeSettings(SessionSettings())


def test_a_valid_message_is_accepted() -> None:
    """The properties above would also hold if everything were rejected."""
    taken = {"type": "playback", "reply": 1, "played": 2, "finished": True}
    assert read_message(json.dumps(taken)) == taken
    taken = {"type": "start", "protocol": 1, "sample_rate": 24_000, "settings": {"rate": 1.2}}
    assert read_message(json.dumps(taken)) == taken
