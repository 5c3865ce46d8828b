"""A pipe passes items in order and can be closed at any moment."""

import threading
import time

import pytest

from models.pipe import ClosedError, Pipe


def test_items_come_in_order_and_end() -> None:
    pipe: Pipe[int] = Pipe()

    def fill() -> None:
        for item in range(50):
            pipe.put(item)
        pipe.end()

    thread = threading.Thread(target=fill)
    thread.start()
    assert [pipe.get() for _ in range(50)] == list(range(50))
    assert pipe.get() is None and pipe.get() is None
    thread.join(1)


def test_closing_wakes_waiting_threads() -> None:
    pipe: Pipe[int] = Pipe()
    woken = threading.Event()

    def wait() -> None:
        with pytest.raises(ClosedError):
            pipe.get()
        woken.set()

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.02)
    pipe.close()
    pipe.close()
    assert woken.wait(1)
    pipe.put(2)  # dropped: the pipe is closed
    with pytest.raises(ClosedError):
        pipe.get()


def test_close_is_reentrant() -> None:
    """Garbage collection may free a reply, and so close its pipe, inside the pipe's lock."""
    pipe: Pipe[int] = Pipe()
    with pipe._changed:
        pipe.close()
    with pytest.raises(ClosedError):
        pipe.get()
