"""pocketsphinx in processes of its own: words while they are spoken, without a network.

The decoder holds Python's interpreter lock, so it must not run beside the server's loop. One
process serves several utterances in turn; an utterance stays with its process.
"""

import contextlib
import importlib.util
import itertools
import logging
import os
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path

import numpy as np

from app.sphinx_worker import HEADER, SPHINX_HZ, frames
from data.audio import SAMPLE_RATE, StreamResampler
from data.errors import MissingModelError, RepError

logger = logging.getLogger(__name__)

_MAX_BACKLOG = 4000  # messages
_PROGRAM = Path(__file__).with_name("sphinx_worker.py")


class SphinxRecognizer:
    """Speech to lower-case English words.

    Args:
        num_processes: decoders run in so many processes; two utterances at once in one process
            share its time.
    """

    name = "pocketsphinx"

    def __init__(self, num_processes: int = 1) -> None:
        if importlib.util.find_spec("pocketsphinx") is None:
            raise MissingModelError(
                "pocketsphinx is not installed; install it with `pip install pocketsphinx`"
            )
        self._workers = [_Worker() for _ in range(num_processes)]
        self._lock = threading.Lock()

    def wait_ready(self, timeout_s: float = 60.0) -> bool:
        """Waits until the first process has loaded its model."""
        return self._workers[0].ready.wait(timeout_s)

    def open(self) -> "SphinxUtterance":
        """See `app.recognition.Recognizer`. A process that has died is replaced first."""
        with self._lock:
            for index, worker in enumerate(self._workers):
                if worker.lost:
                    worker.close()
                    self._workers[index] = _Worker()
            worker = min(self._workers, key=lambda worker: worker.num_open)
        return SphinxUtterance(worker)

    def close(self) -> None:
        with self._lock:
            for worker in self._workers:
                worker.close()


class SphinxUtterance:
    """See `app.recognition.Utterance`."""

    def __init__(self, worker: "_Worker") -> None:
        self._worker = worker
        self._resampler = StreamResampler(SAMPLE_RATE, SPHINX_HZ)
        self.partial = ""
        self.future: Future[str] = Future()
        self.future.set_running_or_notify_cancel()
        self._number = worker.begin(self)
        self._closed = False

    def push(self, samples: np.ndarray) -> None:
        if not self._closed:
            self._send(self._resampler.push(samples))

    def finish(self) -> "Future[str]":
        if not self._closed:
            self._closed = True
            self._send(self._resampler.flush())
            self._worker.send((b"f", self._number, b""))
        return self.future

    def abort(self) -> None:
        if not self.future.done():
            self._closed = True
            self._worker.send((b"a", self._number, b""))
            self._worker.forget(self._number)

    def _send(self, samples: np.ndarray) -> None:
        if len(samples):
            pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
            self._worker.send((b"s", self._number, pcm))


class _Worker:
    """A process with decoders, a thread that sends to it and one that listens to it."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        self._process = subprocess.Popen(
            [sys.executable, str(_PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._numbers = itertools.count()
        self._open: dict[int, SphinxUtterance] = {}
        self._lock = threading.Lock()
        self._outgoing: list[tuple[bytes, int, bytes]] = []
        self._pending = threading.Condition()
        self._closed = False
        self._dead = False
        self._threads = [
            threading.Thread(target=work, daemon=True, name="sphinx")
            for work in (self._listen, self._forward)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def num_open(self) -> int:
        return len(self._open)

    @property
    def lost(self) -> bool:
        """Whether the process has ended, and nobody asked it to."""
        return self._dead and not self._closed

    def begin(self, utterance: SphinxUtterance) -> int:
        number = next(self._numbers)
        with self._lock:
            self._open[number] = utterance
            dead = self._dead
        if dead:
            self._give_up()
        self.send((b"b", number, b""))
        return number

    def forget(self, number: int) -> None:
        with self._lock:
            self._open.pop(number, None)

    def send(self, message: tuple[bytes, int, bytes]) -> None:
        """Never waits: a pipe that is full must not hold up the server's loop."""
        with self._pending:
            if self._dead:
                return
            if len(self._outgoing) < _MAX_BACKLOG or message[0] != b"s":
                self._outgoing.append(message)
            self._pending.notify()

    def close(self) -> None:
        with self._pending:
            self._closed = True
            self._pending.notify()
        self._process.terminate()
        self._process.wait(5)
        for thread in self._threads:
            thread.join(2)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()

    def _forward(self) -> None:
        assert self._process.stdin is not None
        while True:
            with self._pending:
                self._pending.wait_for(lambda: self._outgoing or self._closed)
                if self._closed:
                    return
                batch, self._outgoing = self._outgoing, []
            content = b"".join(HEADER.pack(k, n, len(body)) + body for k, n, body in batch)
            try:
                self._process.stdin.write(content)
                self._process.stdin.flush()
            except (OSError, ValueError):
                return

    def _listen(self) -> None:
        assert self._process.stdout is not None
        unread = bytearray()
        while True:
            piece = os.read(self._process.stdout.fileno(), 1 << 16)
            if not piece:
                break
            unread += piece
            for kind, number, payload in frames(unread):
                self._receive(kind, number, payload.decode())
        self._give_up()

    def _receive(self, kind: bytes, number: int, text: str) -> None:
        if kind == b"r":
            self.ready.set()
            return
        with self._lock:
            utterance = self._open.get(number)
        if utterance is None:
            return
        if kind == b"p":
            utterance.partial = text
            return
        self.forget(number)
        if kind == b"t":
            utterance.partial = text
            utterance.future.set_result(text)
        else:
            utterance.future.set_exception(RepError(f"recognition failed: {text}"))

    def _give_up(self) -> None:
        with self._lock:
            lost, self._open = list(self._open.values()), {}
            self._dead = True
        with self._pending:
            self._outgoing.clear()
        for utterance in lost:
            utterance.future.set_exception(RepError("the recogniser's process has ended"))
