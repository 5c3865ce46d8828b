"""A cancelled reply ends at once, in any state and from any thread."""

import contextlib
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import pytest

from models.engine.engine import Engine
from models.pipe import AbandonedError
from models.reply import Reply
from models.speaker import Speaker, SpeakOptions
from tests.models.test_speaker import ended, freed
from tests.tiny import tiny_speaker

LONG = "The train was late and we waited near the old bridge. " * 60
OPTIONS = SpeakOptions(seed=3)


@pytest.fixture(scope="module")
def one_speaker() -> Speaker:
    return tiny_speaker("gpt-talker")


def begun(speaker: Speaker, text: object = LONG) -> Reply:
    return speaker.speak(speaker.open_dialogue(), text, speaker.voices["one"], OPTIONS)


def untouched(_: Reply) -> None:
    """Cancelled right after the start."""


def first_chunk(reply: Reply) -> None:
    next(iter(reply))


def no_room(reply: Reply) -> None:
    """Nobody consumes the audio: the predictor is blocked by backpressure."""
    while reply.work.slot.has_room:
        time.sleep(0.1)


def half_heard(reply: Reply) -> None:
    for _ in reply:
        if reply.duration_s > 2:
            return


@pytest.mark.parametrize("until", [untouched, first_chunk, no_room, half_heard])
def test_cancelling_is_prompt(one_speaker: Speaker, until: Callable[[Reply], None]) -> None:
    reply = begun(one_speaker)
    until(reply)
    started = time.perf_counter()
    reply.cancel()
    assert time.perf_counter() - started < 0.5  # it does not wait for a step
    assert freed(one_speaker)
    reply.cancel()
    assert list(reply) == [] and not reply.complete


def test_cancelling_from_another_thread_ends_the_iteration(one_speaker: Speaker) -> None:
    reply = begun(one_speaker)
    threading.Timer(0.05, reply.cancel).start()
    for _ in reply:
        pass
    assert not reply.complete and freed(one_speaker)


def test_many_may_cancel_at_once(one_speaker: Speaker) -> None:
    reply = begun(one_speaker)
    first_chunk(reply)
    cancelling = [threading.Thread(target=reply.cancel) for _ in range(8)]
    for thread in cancelling:
        thread.start()
    assert ended(cancelling) and freed(one_speaker)


def test_an_unreferenced_reply_ends(one_speaker: Speaker) -> None:
    reply = begun(one_speaker)
    first_chunk(reply)
    assert one_speaker.engine.num_slots == 1
    del reply
    gc.collect()
    assert freed(one_speaker)


@pytest.mark.parametrize("heard", [True, False])
def test_a_reply_in_a_cycle_with_its_text_source_is_freed(
    one_speaker: Speaker, heard: bool
) -> None:
    """Every conversation of a server leaked a cache of 9 MB: the finalizer kept a cycle of
    conversation, reply and text alive."""

    class Holder:
        reply: Reply | None = None

        def pieces(self) -> Iterator[str]:
            yield "I see. The train was late. "
            yield "Then it came." if self.reply is None or heard else LONG

    dialogue, holder = one_speaker.open_dialogue(), Holder()
    known = weakref.ref(dialogue)
    holder.reply = one_speaker.speak(dialogue, holder.pieces(), one_speaker.voices["one"], OPTIONS)
    if heard:
        list(holder.reply)
    else:
        holder.reply.cancel()
    assert freed(one_speaker)
    del dialogue, holder
    deadline = time.monotonic() + 20  # the thread that frees the slot is about to drop it
    while known() is not None and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    assert known() is None


@contextlib.contextmanager
def occupied(engine: Engine) -> Iterator[None]:
    """Keeps all threads of an engine busy."""
    begun, over = threading.Semaphore(0), threading.Event()

    def work() -> None:
        begun.release()
        over.wait(20)

    calls = [
        threading.Thread(target=engine.call, args=(work, 0.0)) for _ in range(engine._num_threads)
    ]
    for call in calls:
        call.start()
    for _ in calls:
        assert begun.acquire(timeout=5)
    try:
        yield
    finally:
        over.set()
        assert ended(calls)


def test_a_queued_reply_can_be_cancelled(one_speaker: Speaker) -> None:
    """The threads stay busy with other work; the slot is freed all the same."""
    with occupied(one_speaker.engine):
        reply = begun(one_speaker)
        assert one_speaker.engine.num_slots == 1
        reply.cancel()
        assert one_speaker.engine.num_slots == 0
        assert list(reply) == []


def test_a_blocked_text_source_does_not_block_the_dialogue(
    one_speaker: Speaker,
) -> None:
    """A language model that hangs must not block the dialogue whose reply was cancelled."""
    more = threading.Event()

    def pieces() -> Iterator[str]:
        yield "The train was late and we waited near the old bridge. And then"
        more.wait(20)
        yield " it went on."

    dialogue = one_speaker.open_dialogue()
    reply = one_speaker.speak(dialogue, pieces(), one_speaker.voices["one"], OPTIONS)
    first_chunk(reply)
    started = time.perf_counter()
    one_speaker.add_turn(dialogue, 0, "Stop, please.", None)
    assert time.perf_counter() - started < 2
    length = dialogue.predictor.length
    more.set()
    assert freed(one_speaker)
    assert dialogue.predictor.length == length  # late words stay out


def test_an_error_of_the_text_source_is_raised(one_speaker: Speaker) -> None:
    def pieces() -> Iterator[str]:
        yield "I see. "
        raise OSError("the line is dead")

    reply = begun(one_speaker, pieces())
    with pytest.raises(OSError, match="the line is dead"):
        list(reply)
    assert freed(one_speaker)


def test_commit_while_the_threads_are_still_ending(
    one_speaker: Speaker,
) -> None:
    dialogue = one_speaker.open_dialogue()
    reply = one_speaker.speak(dialogue, LONG, one_speaker.voices["one"], OPTIONS)
    half_heard(reply)
    reply.commit(played_s=1.0)
    assert [turn.who for turn in dialogue.turns] == [1]
    length = dialogue.predictor.length
    assert freed(one_speaker)
    assert dialogue.predictor.length == length


def test_the_interpreter_can_exit_during_a_reply() -> None:
    """A thread inside PyTorch would abort the interpreter's shutdown."""
    import subprocess
    import sys

    program = """
from tests.tiny import tiny_speaker
from models.speaker import SpeakOptions
speaker = tiny_speaker("gpt-talker")
reply = speaker.speak(speaker.open_dialogue(), "I see it. " * 200, speaker.voices["one"])
next(iter(reply))
print("spoken", flush=True)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert (ran.returncode, ran.stdout) == (0, "spoken\n"), ran.stderr


@pytest.mark.parametrize("predictor", ["gpt-talker", "ham-tts", "flow-omni"])
@pytest.mark.parametrize("chunks", [0, 1, 3])
def test_prefill_stops_once_every_client_has_left(
    predictor: str, chunks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.predictors.dialogue_model.PREFILL_POSITIONS", 8)
    speaker, asked = tiny_speaker(predictor), 0

    def abandoned() -> bool:
        nonlocal asked
        asked += 1
        return asked > 1 + chunks  # before encoding, then before each chunk

    dialogue = speaker.open_dialogue(predictor, abandoned)
    with pytest.raises(AbandonedError):
        speaker.add_turn(dialogue, 0, LONG, None)
    assert dialogue.predictor.length == 8 * chunks
    assert not dialogue.turns
    speaker.add_turn(speaker.open_dialogue(predictor), 0, "Yes.", None)


def test_an_abandoned_turn_does_not_wait_for_a_core(one_speaker: Speaker) -> None:
    left, ended_with = threading.Event(), list[Exception]()
    dialogue = one_speaker.open_dialogue(abandoned=left.is_set)

    def hear() -> None:
        try:
            one_speaker.add_turn(dialogue, 0, LONG, None)
        except AbandonedError as error:
            ended_with.append(error)

    with occupied(one_speaker.engine):
        hearing = threading.Thread(target=hear)
        hearing.start()
        while not one_speaker.engine._calls:
            time.sleep(0.01)
        left.set()
        assert ended([hearing])
        assert ended_with and not one_speaker.engine._calls
    assert dialogue.predictor.length == 0
