"""The load test measures what is there, and would notice mixing and gaps."""

import asyncio
import json

import pytest

from app.loadtest import Outcome, drive, main, mixed, summarise
from data.errors import InputError
from tests.app.fake_speaker import FakeSpeaker
from tests.app.live import engines, serving
from tests.app.user_sound import speechlike

TONES = {"slt": 440, "kal": 220, "rms": 330, "awb": 550}


def test_four_typed_conversations_do_not_mix() -> None:
    with serving(engines()) as (place, _):
        outcomes, memory = asyncio.run(drive(f"http://{place}", 4, 6.0, []))
    summary = summarise(outcomes, memory)
    assert summary["errors"] == []
    assert summary["mixed"] == 0
    assert summary["replies"] >= 4
    assert summary["first_audio_ms_p50"] > 0
    assert all(value > 10 for value in summary["memory_mb"])
    for outcome in outcomes:
        assert outcome.name in outcome.texts[0][1]
        assert all(abs(hz - TONES[outcome.voice]) < 5 for hz in outcome.pitches)


def test_a_spoken_conversation_is_measured_from_the_end_of_speech() -> None:
    with serving(engines("hello there", "again", "again")) as (place, _):
        outcomes, _ = asyncio.run(drive(f"http://{place}", 1, 3.0, [speechlike(0.8)]))
    assert outcomes[0].texts[0][0] == "hello there"
    assert outcomes[0].first_audio_ms[0] >= 450  # the silence that ends a turn is in it


def test_a_slow_speaker_underruns() -> None:
    with serving(engines(speaker=FakeSpeaker(rtf=1.6))) as (place, _):
        outcomes, _ = asyncio.run(drive(f"http://{place}", 1, 1.0, []))
    assert outcomes[0].underruns > 0


def test_mixing_would_be_seen() -> None:
    one, two = Outcome("Anna", ""), Outcome("Boris", "")
    one.texts, two.texts = [("hi", "Hello, Anna.")], [("hi", "Hello, Anna.")]
    assert mixed([one, two]) == 1


def test_what_it_prints_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(engines()) as (place, _):
        status = main(["--url", f"http://{place}", "--sessions", "1", "--minutes", "0.02"])
    assert status == 0
    assert json.loads(capsys.readouterr().out)["sessions"] == 1


def test_no_server_is_an_error_not_a_trace(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--url", "http://127.0.0.1:9", "--sessions", "1", "--minutes", "0.01"]) == 1
    assert "Anna" in json.loads(capsys.readouterr().out)["errors"][0]
    with pytest.raises(InputError):
        main(["--sessions", "0"])
