"""The load test measures correctly, and detects mixed audio and gaps."""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import numpy as np
import pytest

from app import simulated_user
from app.cli import loadtest
from app.cli.loadtest import Server, drive, main, mixed, strange_voices, summarise
from app.machine import Load, MachineWatch
from app.simulated_user import Outcome
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
    assert summary["underruns_server"] <= 2  # other tests run beside this one
    for outcome in outcomes:
        assert outcome.name in outcome.texts[0][1]


def test_every_user_has_a_name_of_one_word() -> None:
    names = [simulated_user.name_of(index) for index in range(1000)]
    assert len(set(names)) == 1000
    assert all(re.fullmatch("[A-Z][a-z]+", name) and len(name) < 25 for name in names)


def test_a_slow_speaker_underruns() -> None:
    with serving(engines(speaker=FakeSpeaker(rtf=1.6))) as (place, _):
        outcomes, figures = asyncio.run(drive(Server(f"http://{place}"), 1, 1.0, []))
    summary = summarise(outcomes, figures)
    assert summary["underruns"] > 0
    assert summary["underruns_server"] > 0


def test_mixed_replies_are_detected() -> None:
    one, two = Outcome("Anna", ""), Outcome("Boris", "")
    one.texts, two.texts = [("hi", "Hello, Anna.")], [("hi", "Hello, Anna.")]
    assert mixed([one, two]) == 1
    two.texts = [("What is my name?", "You have not told me your name.")]
    assert mixed([one, two]) == 1
    two.texts, two.name = [("hi", "Hello, Annax.")], "Annax"
    assert mixed([one, two]) == 0
    two.texts, two.altered = [], 2
    assert mixed([one, two]) == 2


def test_audio_of_another_conversation_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    from app.history import DialogueHistory

    right = DialogueHistory.sound
    monkeypatch.setattr(DialogueHistory, "sound", lambda *given: np.roll(right(*given), 700))
    with serving(engines()) as (place, _):
        server = Server(f"http://{place}")
        outcomes, _ = asyncio.run(drive(server, 1, 1.0, []))
    assert outcomes[0].altered == outcomes[0].compared >= 1


def test_it_prints_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(engines()) as (place, _):
        url = f"http://{place}"
        status = main(["--url", url, "--sessions", "1", "--minutes", "0.02", "--typed"])
    assert status == 0
    assert json.loads(capsys.readouterr().out)["sessions"] == 1


def test_a_missing_server_is_an_error_without_traceback() -> None:
    with pytest.raises(RepError, match="is a server running there"):
        main(["--url", "http://127.0.0.1:9", "--sessions", "1", "--minutes", "0.01"])
    with pytest.raises(InputError):
        main(["--sessions", "0"])


# Servers that hang


async def _nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accepts connections and never answers."""
    await asyncio.sleep(60)
    writer.close()


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers one byte per 0.1 s, forever."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    with contextlib.suppress(OSError):
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.1)


@contextlib.contextmanager
def hanging(answer: Callable[..., Coroutine[Any, Any, None]]) -> Iterator[str]:
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(answer, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    for task in asyncio.all_tasks(loop):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
    server.close()
    loop.close()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> float:
    """The limits of the test, each much shorter; returns the longest that it may all take."""
    for name, seconds in (("_GRACE_S", 1.0), ("_LIMIT_S", 2.5), ("_ANSWER_S", 1.5)):
        monkeypatch.setattr(loadtest, name, seconds)
    monkeypatch.setattr(simulated_user, "_OPEN_S", 1.5)
    return 0.02 * 60 + 2.5 + 3.0  # and a machine that is busy


ARGUMENTS = ["--sessions", "2", "--minutes", "0.02"]


@pytest.mark.parametrize("typed", [True, False])
@pytest.mark.parametrize("answer", [_nothing, _drip])
def test_a_hanging_server_is_given_up(
    answer: Callable[..., Coroutine[Any, Any, None]],
    typed: bool,
    hurried: float,
    capsys: pytest.CaptureFixture[str],
) -> None:
    began = time.monotonic()
    with hanging(answer) as url:
        try:
            status = main(["--url", url, *ARGUMENTS, *(["--typed"] if typed else [])])
        except RepError as error:
            assert "does not answer" in str(error)
        else:
            assert status == 1 and json.loads(capsys.readouterr().out)["errors"]
        assert time.monotonic() - began < hurried


def test_a_hanging_speaker_is_an_error(hurried: float, capsys: pytest.CaptureFixture[str]) -> None:
    speaker = FakeSpeaker()
    speaker.gate.clear()
    began = time.monotonic()
    with serving(engines(speaker=speaker)) as (place, _):
        assert main(["--url", f"http://{place}", *ARGUMENTS, "--typed"]) == 1
        assert time.monotonic() - began < hurried
        speaker.gate.set()
    errors = json.loads(capsys.readouterr().out)["errors"]
    assert sum("no answer when the time was over" in error for error in errors) == 2
    assert sum("could not be compared" in error for error in errors) == 1


def test_a_reply_in_progress_at_the_end_is_not_an_error(
    hurried: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(loadtest, "strange_voices", lambda *_: 0)
    with serving(engines(speaker=FakeSpeaker(rtf=3.0))) as (place, _):
        main(["--url", f"http://{place}", *ARGUMENTS, "--typed"])
    summary = json.loads(capsys.readouterr().out)
    assert summary["errors"] == [] and summary["unfinished"] == 2


# A machine that is busy


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (Load(1.0, 30.0, 0.0, 3.0, 2), None),
        (Load(1.0, 30.0, 0.0, None, 2), None),
        (Load(20.0, 90.0, 5.0, 25.0, 2), None),
        (Load(55.0, 90.0, 0.0, 3.0, 2), "the test itself was 55 ms late"),
        (Load(1.0, 9.0, 12.0, 3.0, 2), "the host stole 12 %"),
        (Load(1.0, 9.0, 0.0, 60.0, 2), "other programs used 60 %"),
        (Load(55.0, 90.0, 12.0, 60.0, 2), "late .*; the host stole 12 .*; other programs used 60"),
    ],
)
def test_what_makes_a_machine_too_busy(load: Load, said: str | None) -> None:
    assert load.too_busy is None if said is None else re.search(said, load.too_busy or "")


def test_cpu_use_of_other_processes_is_separated() -> None:
    program = "import time\nend = time.time() + 30\nwhile time.time() < end: pass"
    with subprocess.Popen([sys.executable, "-c", program], start_new_session=True) as busy:
        try:
            with MachineWatch(()) as alone, MachineWatch((busy.pid,)) as together:
                time.sleep(1.5)
        finally:
            busy.kill()
    theirs, ours = alone.load().others_percent, together.load().others_percent
    assert theirs is not None and ours is not None
    assert theirs - ours > 100 * 0.2 / (os.cpu_count() or 1), "most of a core is one or the other"


def test_a_busy_machine_is_reported_in_the_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(MachineWatch, "load", lambda _: Load(80.0, 300.0, 0.0, None, 2))
    with serving(engines()) as (place, _):
        main(["--url", f"http://{place}", "--sessions", "1", "--minutes", "0.02", "--typed"])
    out, err = capsys.readouterr()
    assert "80 ms late" in json.loads(out)["too_busy"] and json.loads(out)["machine"]["cores"] == 2
    assert "this machine is too busy for meaningful figures" in err
