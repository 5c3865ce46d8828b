"""Fields of `session.update` and of responses are honoured, or rejected by name."""

from typing import Any

import pytest

from app.api.realtime_objects import beta_session_object, session_object
from app.api.realtime_settings import RealtimeSettings, for_response, updated
from app.chat_endpoint import ChatEndpoint
from app.endpointing import AudioInputSettings
from app.hub import Engines
from app.protocol import ProtocolError, read_object
from app.settings import SessionSettings
from tests.app.live import engines

START = RealtimeSettings(SessionSettings())
TOOL = {"type": "function", "name": "f", "parameters": {}}


def with_language_model() -> Engines:
    return engines(responders={"small": ChatEndpoint("http://127.0.0.1:9/v1", "small")})


def detection(**fields: Any) -> dict[str, Any]:
    return {"audio": {"input": {"turn_detection": {"type": "server_vad", **fields}}}}


def heard(**fields: Any) -> dict[str, Any]:
    return {"audio": {"input": fields}}


def spoken(**fields: Any) -> dict[str, Any]:
    return {"audio": {"output": fields}}


HONOURED: list[tuple[dict[str, Any], str, Any]] = [
    (spoken(voice="kal"), "audio.output.voice", "kal"),
    (spoken(voice={"id": "rms"}), "audio.output.voice", "rms"),
    ({"voice": "kal"}, "audio.output.voice", "kal"),
    (spoken(speed=1.4), "audio.output.speed", 1.4),
    ({"speed": 1}, "audio.output.speed", 1),
    (heard(turn_detection=None), "audio.input.turn_detection", None),
    ({"turn_detection": None}, "audio.input.turn_detection", None),
    (detection(threshold=0.8), "audio.input.turn_detection.threshold", 0.8),
    (detection(threshold=0), "audio.input.turn_detection.threshold", 0),
    ({"turn_detection": {"prefix_padding_ms": 100}},
     "audio.input.turn_detection.prefix_padding_ms", 100),
    (detection(silence_duration_ms=900), "audio.input.turn_detection.silence_duration_ms", 900),
    (detection(create_response=False), "audio.input.turn_detection.create_response", False),
    (detection(interrupt_response=False), "audio.input.turn_detection.interrupt_response", False),
    (detection(idle_timeout_ms=None), "audio.input.turn_detection.idle_timeout_ms", None),
    ({"input_audio_format": "g711_ulaw"}, "audio.input.format", {"type": "audio/pcmu"}),
    ({"output_audio_format": "g711_alaw"}, "audio.output.format", {"type": "audio/pcma"}),
    (spoken(format={"type": "audio/pcmu"}), "audio.output.format", {"type": "audio/pcmu"}),
    (heard(format={"type": "audio/pcma", "rate": 8000}), "audio.input.format",
     {"type": "audio/pcma"}),
    (heard(format={"type": "audio/pcm", "rate": 24000}), "audio.input.format",
     {"type": "audio/pcm", "rate": 24000}),
    ({"input_audio_format": "pcm16"}, "audio.input.format", {"type": "audio/pcm", "rate": 24000}),
    (heard(transcription=None), "audio.input.transcription", None),
    (heard(transcription={"model": "whisper-1"}), "audio.input.transcription",
     {"model": "told"}),
    (heard(transcription={"language": "en-US"}), "audio.input.transcription",
     {"model": "told", "language": "en"}),
    ({"input_audio_transcription": {"prompt": " Names: Anna "}}, "audio.input.transcription",
     {"model": "told", "prompt": "Names: Anna"}),
    ({"input_audio_transcription": None}, "audio.input.transcription", None),
    (heard(noise_reduction=None), "audio.input.noise_reduction", None),
    ({"instructions": "Be brief."}, "instructions", "Be brief."),
    ({"temperature": 0.7}, "instructions", ""),
    ({"max_output_tokens": 200}, "max_output_tokens", 200),
    ({"max_response_output_tokens": "inf"}, "max_output_tokens", "inf"),
    ({"output_modalities": ["audio"]}, "output_modalities", ["audio"]),
    ({"modalities": ["text", "audio"]}, "output_modalities", ["audio"]),
    ({"type": "realtime", "tools": [], "tool_choice": "auto"}, "tools", []),
    ({"tools": [TOOL]}, "tools", [TOOL]),
    ({"tools": [TOOL], "tool_choice": "required"}, "tool_choice", "required"),
    ({"tools": [TOOL], "tool_choice": {"type": "function", "name": "f"}}, "tool_choice",
     {"type": "function", "name": "f"}),
    ({"tools": [TOOL], "parallel_tool_calls": False}, "tools", [TOOL]),
    ({"output_modalities": ["text"]}, "output_modalities", ["text"]),
    ({"tracing": "auto"}, "tracing", None),
    ({"tracing": None, "prompt": None, "truncation": "auto", "include": []}, "tracing", None),
    ({"model": "flow-omni"}, "model", "flow-omni"),
    ({"model": "gpt-4o-realtime-preview"}, "model", "gpt-talker"),
    ({"voice": None, "speed": None, "audio": None, "tools": None, "instructions": None}, "tools",
     []),
    ({"audio": {"input": None, "output": {"voice": None, "format": None}}}, "audio.output.speed",
     1.0),
    ({}, "type", "realtime"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "path", "expected"), HONOURED)
def test_accepted_settings_are_reported_by_the_session(
    given: dict[str, Any], path: str, expected: Any
) -> None:
    both = with_language_model()
    found: Any = session_object("name", updated(START, given, both), both)
    for step in path.split("."):
        found = found[step]
    assert found == expected


def test_a_prompt_needs_a_recogniser_that_takes_one() -> None:
    deaf = with_language_model()
    deaf.recognizer.biasable = False  # type: ignore[misc]
    with pytest.raises(ProtocolError, match="does not support prompts") as refused:
        updated(START, heard(transcription={"prompt": "Names: Anna"}), deaf)
    assert refused.value.param == "session.audio.input.transcription.prompt"


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    (detection(type="semantic_vad"), "session.audio.input.turn_detection.type", "unsupported"),
    ({"turn_detection": {"type": "semantic_vad", "eagerness": "low"}},
     "session.turn_detection.type", "unsupported"),
    (detection(type="none"), "session.audio.input.turn_detection.type", "unsupported"),
    (detection(eagerness="low"), "session.audio.input.turn_detection.eagerness",
     "unknown_parameter"),
    (detection(idle_timeout_ms=5000), "session.audio.input.turn_detection.idle_timeout_ms",
     "unsupported"),
    (detection(threshold=2), "session.audio.input.turn_detection.threshold", "out_of_range"),
    (detection(threshold="0.5"), "session.audio.input.turn_detection.threshold", "wrong_type"),
    (detection(threshold=True), "session.audio.input.turn_detection.threshold", "wrong_type"),
    (detection(silence_duration_ms=5), "session.audio.input.turn_detection.silence_duration_ms",
     "out_of_range"),
    (detection(silence_duration_ms=500.5), "session.audio.input.turn_detection.silence_duration_ms",
     "wrong_type"),
    (detection(prefix_padding_ms=-1), "session.audio.input.turn_detection.prefix_padding_ms",
     "out_of_range"),
    (detection(create_response="yes"), "session.audio.input.turn_detection.create_response",
     "wrong_type"),
    ({"turn_detection": "server_vad"}, "session.turn_detection", "wrong_type"),
    ({"input_audio_format": "mp3"}, "session.input_audio_format", "unsupported"),
    ({"output_audio_format": ["pcm16"]}, "session.output_audio_format", "wrong_type"),
    (heard(format={"type": "audio/pcm", "rate": 16000}), "session.audio.input.format.rate",
     "unsupported"),
    (spoken(format={"type": "audio/pcmu", "rate": 24000}), "session.audio.output.format.rate",
     "unsupported"),
    (spoken(format={"rate": 24000}), "session.audio.output.format.type", "wrong_type"),
    (spoken(format={"type": "audio/pcm", "bits": 8}), "session.audio.output.format.bits",
     "unknown_parameter"),
    (heard(transcription={"model": "other"}), "session.audio.input.transcription.model",
     "unsupported"),
    (heard(transcription={"language": "de"}), "session.audio.input.transcription.language",
     "unsupported"),
    (heard(transcription={"delay": "low"}), "session.audio.input.transcription.delay",
     "unknown_parameter"),
    (heard(transcription=True), "session.audio.input.transcription", "wrong_type"),
    (heard(noise_reduction={"type": "near_field"}), "session.audio.input.noise_reduction",
     "unsupported"),
    ({"input_audio_noise_reduction": {"type": "far_field"}},
     "session.input_audio_noise_reduction", "unsupported"),
    ({"tools": [{"type": "mcp", "server_label": "x"}]}, "session.tools.0.type", "unsupported"),
    ({"tools": [{**TOOL, "name": ""}]}, "session.tools.0.name", "wrong_type"),
    ({"tools": [{**TOOL, "strict": True}]}, "session.tools.0.strict", "unknown_parameter"),
    ({"tools": [TOOL, TOOL]}, "session.tools", "invalid_value"),
    ({"tools": TOOL}, "session.tools", "wrong_type"),
    ({"tool_choice": "required"}, "session.tool_choice", "invalid_value"),
    ({"tool_choice": "f"}, "session.tool_choice", "unsupported"),
    ({"tools": [TOOL], "tool_choice": {"type": "function", "name": "g"}}, "session.tools",
     "invalid_value"),
    ({"tool_choice": {"type": "mcp", "server_label": "x"}}, "session.tool_choice", "unsupported"),
    ({"reasoning": {"effort": "low"}}, "session.reasoning", "unsupported"),
    ({"tracing": {"workflow_name": "x"}}, "session.tracing", "unsupported"),
    ({"prompt": {"id": "p"}}, "session.prompt", "unsupported"),
    ({"truncation": "disabled"}, "session.truncation", "unsupported"),
    ({"include": ["item.input_audio_transcription.logprobs"]}, "session.include", "unsupported"),
    ({"output_modalities": []}, "session.output_modalities", "unsupported"),
    ({"modalities": ["audio", "video"]}, "session.modalities", "unsupported"),
    ({"output_modalities": "audio"}, "session.output_modalities", "wrong_type"),
    ({"type": "translation"}, "session.type", "unsupported"),
    ({"type": "transcription"}, "session.voice", "unsupported"),
    ({"model": "other"}, "session.model", "unknown_model"),
    ({"voice": "nobody"}, "session.voice", "unknown_voice"),
    (spoken(voice=3), "session.audio.output.voice", "wrong_type"),
    (spoken(voice={"name": "kal"}), "session.audio.output.voice", "wrong_type"),
    ({"speed": 9}, "session.speed", "out_of_range"),
    (spoken(speed="fast"), "session.audio.output.speed", "wrong_type"),
    ({"temperature": 3}, "session.temperature", "out_of_range"),
    ({"temperature": "hot"}, "session.temperature", "wrong_type"),
    ({"max_output_tokens": 0}, "session.max_output_tokens", "out_of_range"),
    ({"max_response_output_tokens": "many"}, "session.max_response_output_tokens", "wrong_type"),
    ({"max_output_tokens": 1.5}, "session.max_output_tokens", "wrong_type"),
    ({"instructions": "x" * 20_000}, "session.instructions", "out_of_range"),
    ({"instructions": ["Be brief."]}, "session.instructions", "wrong_type"),
    ({"audio": []}, "session.audio", "wrong_type"),
    (heard(gain=2), "session.audio.input.gain", "unknown_parameter"),
    ({"audio.output.voice": "kal"}, "session.audio.output.voice", "unknown_parameter"),
    ({"audio": {"middle": {}}}, "session.audio.middle", "unknown_parameter"),
    ({"no_such": 1}, "session.no_such", "unknown_parameter"),
    ({"no_such": None}, "session.no_such", "unknown_parameter"),
    ({"instructions": "x" * 16_385}, "session.instructions", "out_of_range"),
    ({"instructions": "Be brief. " * 2000}, "session.instructions", "out_of_range"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "param", "code"), REFUSED)
def test_unsupported_fields_are_rejected_by_name(
    given: dict[str, Any], param: str, code: str
) -> None:
    with pytest.raises(ProtocolError) as refused:
        updated(START, {"voice": "kal", **given}, with_language_model())
    assert (refused.value.param, refused.value.code) == (param, code)
    assert not refused.value.fatal


@pytest.mark.parametrize(
    "given",
    [
        {"instructions": "Be brief."},
        {"temperature": 0.7},
        {"max_output_tokens": 100},
        {"max_response_output_tokens": 1},
        {"instructions": " x "},
    ],
)
def test_a_briefing_needs_a_language_model(given: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="--llm-base-url") as refused:
        updated(START, given, engines())
    assert refused.value.param == f"session.{next(iter(given))}"
    for nothing in ("", None, "inf"):
        same = {} if nothing == "inf" else {"instructions": nothing}
        assert updated(START, {**same, "max_output_tokens": "inf"}, engines())


@pytest.mark.parametrize("number", ["9" * 4000, "NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize(
    "field", ["speed", "temperature", "max_output_tokens", "turn_detection", "voice"]
)
def test_non_finite_numbers_are_rejected(field: str, number: str) -> None:
    given = read_object('{"' + field + '": ' + number + "}")
    with pytest.raises(ProtocolError) as refused:
        updated(START, given, with_language_model())
    assert refused.value.param == f"session.{field}"


@pytest.mark.parametrize(
    ("threshold", "aggressiveness", "floor"),
    [(0, 0, -85), (0.3, 1, -73), (0.5, 2, -65), (0.75, 3, -55), (1, 3, -45)],
)
def test_a_higher_threshold_needs_louder_audio(
    threshold: float, aggressiveness: int, floor: float
) -> None:
    audio_input = updated(START, detection(threshold=threshold), engines()).session.audio_input
    assert (audio_input.aggressiveness, audio_input.floor_dbfs) == (
        aggressiveness,
        pytest.approx(floor),
    )
    if threshold == 0.5:
        assert audio_input == AudioInputSettings()


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"conversation": "other"}, "response.conversation"),
        ({"metadata": ["a"]}, "response.metadata"),
        ({"metadata": {"a": 1}}, "response.metadata.a"),
        ({"metadata": {"a": "b" * 513}}, "response.metadata.a"),
        ({"metadata": {str(at): "" for at in range(17)}}, "response.metadata"),
        ({"input": {}}, "response.input"),
        ({"tools": [3]}, "response.tools.0"),
        ({"modalities": ["video"]}, "response.modalities"),
        ({"output_audio_format": "g711_ulaw"}, "response.output_audio_format"),
        ({"turn_detection": None}, "response.turn_detection"),
        ({"voice": "nobody"}, "response.voice"),
    ],
)
def test_unsupported_response_fields_are_rejected_too(given: dict[str, Any], param: str) -> None:
    with pytest.raises(ProtocolError) as refused:
        for_response(START, given, with_language_model())
    assert refused.value.param == param


def test_a_response_may_have_its_own_voice_and_instructions() -> None:
    given = {
        "conversation": "auto",
        "instructions": "Sing.",
        "audio": {"output": {"voice": "kal", "format": {"type": "audio/pcm"}}},
        "metadata": None,
    }
    settings = for_response(START, given, with_language_model()).session
    assert settings.voice == "kal"
    assert settings.briefing is not None and settings.briefing.instructions == "Sing."


def test_the_beta_session_object_can_be_sent_back() -> None:
    both = with_language_model()
    given = {"input_audio_format": "g711_alaw", "voice": "rms", "temperature": 0.9}
    settings = updated(START, given, both)
    told = beta_session_object("name", settings, both)
    assert (told["input_audio_format"], told["voice"]) == ("g711_alaw", "rms")
    told.pop("id")  # nobody may choose it
    assert session_object("", updated(settings, told, both), both) == session_object(
        "", settings, both
    )


def test_the_session_object_can_be_sent_back() -> None:
    both = with_language_model()
    settings = updated(START, {**detection(threshold=0.2), "max_output_tokens": 9}, both)
    told = session_object("name", settings, both)
    told.pop("id")
    assert session_object("", updated(settings, told, both), both) == session_object(
        "", settings, both
    )
