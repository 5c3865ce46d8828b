"""A pipe hands items over in order, waits at its limit, and can be closed at any moment."""

import threading
import time

import pytest

from models.pipe import ClosedError, Pipe


def test_items_come_in_order_and_end() -> None:
    pipe: Pipe[int] = Pipe(3)

    def fill() -> None:
        for item in range(50):
            pipe.put(item)
        pipe.end()

    thread = threading.Thread(target=fill)
    thread.start()
    assert [pipe.get() for _ in range(50)] == list(range(50))
    assert pipe.get() is None and pipe.get() is None
    thread.join(1)


def test_a_full_pipe_waits() -> None:
    pipe: Pipe[int] = Pipe(2)
    put: list[int] = []

    def fill() -> None:
        for item in range(4):
            pipe.put(item)
            put.append(item)

    thread = threading.Thread(target=fill)
    thread.start()
    time.sleep(0.05)
    assert put == [0, 1]
    assert pipe.get() == 0
    assert pipe.get() == 1
    thread.join(1)
    assert put == [0, 1, 2, 3]


@pytest.mark.parametrize("full", [True, False])
def test_closing_wakes_whoever_waits(full: bool) -> None:
    pipe: Pipe[int] = Pipe(1)
    if full:
        pipe.put(0)
    woken = threading.Event()

    def wait() -> None:
        with pytest.raises(ClosedError):
            if full:
                pipe.put(1)
            else:
                pipe.get()
        woken.set()

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.02)
    pipe.close()
    pipe.close()
    assert woken.wait(1)
    for use in (lambda: pipe.put(2), pipe.get):
        with pytest.raises(ClosedError):
            use()


def test_it_may_be_closed_while_it_is_being_used() -> None:
    """The garbage collector may free a reply, and so close its pipe, inside the pipe's lock."""
    pipe: Pipe[int] = Pipe(1)
    with pipe._changed:
        pipe.close()
    with pytest.raises(ClosedError):
        pipe.get()
