"""Messages of the conversation protocol: invalid values are rejected by name, null is absent."""

import json
from typing import Any

import pytest

from app.messages import read_message
from app.protocol import ProtocolError

START = {"type": "start", "protocol": 1, "sample_rate": 24_000}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('{"type": "ping", "at": ' + "9" * 4000 + "}", "out_of_range"),
        ('{"type": "playback", "reply": ' + "9" * 4000 + ', "played": 1}', "wrong_type"),
        ('{"type": "playback", "reply": 1, "played": 1e400}', "wrong_type"),
        ('{"type": "measured", "reply": 1, "first_audio_ms": NaN}', "out_of_range"),
        ('{"type": "measured", "reply": 1, "first_audio_ms": -Infinity}', "out_of_range"),
        ('{"type": "settings", "settings": {"rate": ' + "1" * 5000 + "}}", "out_of_range"),
        ('{"type": "settings", "settings": {"silence_ms": ' + "7" * 30 + "}}", "wrong_type"),
        ('{"type": "text", "text": "\\ud83d"}', "out_of_range"),
        ('{"type": "text", "text": " \\udc00 "}', "out_of_range"),
        ('{"type": ' + "[" * 5000, "not_json"),
        ('{"type": ' + "[" * 99 + "]" * 99 + "}", "unknown_type"),
        ('{"\\ud83d": 1, "type": "stop"}', "unknown_field"),
        ('{"type": "text", "text": null}', "missing_field"),
        ('{"type": "nul\\u0000l"}', "unknown_type"),
    ],
)
def test_invalid_values_are_rejected_by_name(message: str, code: str) -> None:
    with pytest.raises(ProtocolError) as refused:
        read_message(message)
    assert refused.value.code == code
    assert not refused.value.fatal
    str(refused.value).encode()


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({**START, "session": None}, START),
        ({**START, "settings": None}, START),
        ({**START, "settings": {"voice": None}}, {**START, "settings": {}}),
        (
            {"type": "settings", "settings": {"temperature": None, "rate": None}},
            {"type": "settings", "settings": {"temperature": None}},
        ),
        (
            {"type": "playback", "reply": 1, "played": 2, "underruns": None, "stopped": None},
            {"type": "playback", "reply": 1, "played": 2},
        ),
        ({"type": "ping", "at": None}, {"type": "ping"}),
    ],
)
def test_null_means_absent(message: dict[str, Any], expected: dict[str, Any]) -> None:
    assert read_message(json.dumps(message)) == expected


@pytest.mark.parametrize(
    "text", ["Hi \ud83d there", "\ud83dHi", "Hi\udc00", "a\ud83d\ud83db", "\udfffHi\ud800"]
)
def test_lone_surrogates_are_removed_from_typed_text(text: str) -> None:
    typed = read_message(json.dumps({"type": "text", "text": text}))["text"]
    assert typed == "".join(c for c in text if not "\ud800" <= c <= "\udfff")
