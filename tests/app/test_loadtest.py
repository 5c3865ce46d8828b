"""The load test measures what is there, and would notice mixing and gaps."""

import asyncio
import json

import numpy as np
import pytest

from app.loadtest import Server, drive, main, mixed, strange_voices, summarise
from app.talker import Outcome
from data.errors import InputError, RepError
from tests.app.fake_speaker import FakeSpeaker
from tests.app.live import engines, serving
from tests.app.user_sound import speechlike

TONES = {"slt": 440, "kal": 220, "rms": 330, "awb": 550}


def test_four_conversations_do_not_mix() -> None:
    spoken = [speechlike(0.8, 100 + 20 * seed, seed) for seed in range(4)]
    with serving(engines(*["hello there"] * 40)) as (place, _):
        server = Server(f"http://{place}")
        outcomes, figures = asyncio.run(drive(server, 4, 6.0, spoken))
        assert strange_voices(outcomes, server) == 0
        # would another voice be noticed?
        outcomes[0].voice, outcomes[1].voice = outcomes[1].voice, outcomes[0].voice
        found = len(outcomes[0].replies) + len(outcomes[1].replies)
        assert strange_voices(outcomes, server) == found
    summary = summarise(outcomes, figures)
    assert summary["errors"] == []
    assert summary["mixed"] == 0
    assert summary["replies"] >= 8
    assert summary["compared"] >= summary["replies"] + 4  # theirs, and the user's spoken turns
    assert summary["first_audio_ms_p50"] >= 450  # the silence that ends a turn is in it
    assert 0 < summary["first_audio_typed_ms_p50"] < summary["first_audio_ms_p50"]
    assert all(value > 10 for value in summary["memory_mb"])
    assert summary["underruns_server"] == 0
    for outcome in outcomes:
        assert outcome.name in outcome.texts[0][1]


def test_a_slow_speaker_underruns() -> None:
    with serving(engines(speaker=FakeSpeaker(rtf=1.6))) as (place, _):
        outcomes, figures = asyncio.run(drive(Server(f"http://{place}"), 1, 1.0, []))
    summary = summarise(outcomes, figures)
    assert summary["underruns"] > 0
    assert summary["underruns_server"] > 0


def test_mixing_would_be_seen() -> None:
    one, two = Outcome("Anna", ""), Outcome("Boris", "")
    one.texts, two.texts = [("hi", "Hello, Anna.")], [("hi", "Hello, Anna.")]
    assert mixed([one, two]) == 1
    two.texts = [("What is my name?", "You have not told me your name.")]
    assert mixed([one, two]) == 1
    two.texts, two.altered = [], 2
    assert mixed([one, two]) == 2


def test_sound_of_another_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from app.turns import TurnStore

    right = TurnStore.sound
    monkeypatch.setattr(TurnStore, "sound", lambda *given: np.roll(right(*given), 700))
    with serving(engines()) as (place, _):
        server = Server(f"http://{place}")
        outcomes, _ = asyncio.run(drive(server, 1, 1.0, []))
    assert outcomes[0].altered == outcomes[0].compared >= 1


def test_what_it_prints_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(engines()) as (place, _):
        url = f"http://{place}"
        status = main(["--url", url, "--sessions", "1", "--minutes", "0.02", "--typed"])
    assert status == 0
    assert json.loads(capsys.readouterr().out)["sessions"] == 1


def test_no_server_is_an_error_not_a_trace() -> None:
    with pytest.raises(RepError, match="is a server running there"):
        main(["--url", "http://127.0.0.1:9", "--sessions", "1", "--minutes", "0.01"])
    with pytest.raises(InputError):
        main(["--sessions", "0"])
