"""pocketsphinx in subprocesses: offline streaming recognition.

The decoder holds the GIL, so it must not run beside the server's loop. One process serves several
utterances alternately; an utterance stays with its process.
"""

import contextlib
import importlib.util
import itertools
import json
import logging
import os
import subprocess
import sys
import threading
from collections import deque
from concurrent.futures import Future
from pathlib import Path

import numpy as np

from data.audio import SAMPLE_RATE, StreamResampler
from data.audio.pcm import to_bytes
from data.errors import MissingModelError, RepError
from data.recognition.recognizer import Names, TimedWord
from data.recognition.sphinx_worker import HEADER, SPHINX_HZ, Frame, frames

logger = logging.getLogger(__name__)

_MAX_BACKLOG = 64_000_000  # bytes of queued audio, half an hour
_PIECE = SPHINX_HZ // 4  # samples per frame, which the process decodes without interruption
_WRITTEN = 1 << 16  # bytes per write; an abort cannot recall written data
_PROGRAM = Path(__file__).with_name("sphinx_worker.py")


class SphinxRecognizer:
    """Speech to lower-case English words.

    Args:
        num_processes: decoders run in so many processes; two utterances at once in one process
            share its time.
    """

    name = "pocketsphinx"
    needs_whole_turn = False
    languages = ("en",)
    biasable = False
    caveat = "Speech is recognised by pocketsphinx: English only, and about one word in five wrong."

    def __init__(self, num_processes: int = 1) -> None:
        if importlib.util.find_spec("pocketsphinx") is None:
            raise MissingModelError(
                "pocketsphinx is not installed; install it with `pip install pocketsphinx`"
            )
        self._workers = [_started() for _ in range(num_processes)]
        self._lock = threading.Lock()

    def wait_ready(self, timeout_s: float = 60.0) -> bool:
        """Blocks until the first process has loaded its model."""
        return self._workers[0].ready.wait(timeout_s)

    def open(
        self,
        language: str | None = None,
        times: bool = False,
        names: Names = (),
        interim: bool = True,
    ) -> "SphinxUtterance":
        """See `data.recognition.recognizer.Recognizer`. A process that has died is replaced first.

        Raises:
            RepError: it cannot be replaced.
        """
        with self._lock:
            for index, worker in enumerate(self._workers):
                if worker.lost:
                    self._workers[index] = _started()
                    worker.close()
            worker = min(self._workers, key=lambda worker: worker.num_open)
        return SphinxUtterance(worker)

    def close(self) -> None:
        with self._lock:
            for worker in self._workers:
                worker.close()


class SphinxUtterance:
    """See `data.recognition.recognizer.Utterance`."""

    def __init__(self, worker: "_Worker") -> None:
        self._worker = worker
        self._resampler = StreamResampler(SAMPLE_RATE, SPHINX_HZ)
        self.partial = self.draft = ""
        self.words: tuple[TimedWord, ...] | None = None
        self.confidences = None
        self.language: str | None = "en"
        self.future: Future[str] = Future()
        self.future.set_running_or_notify_cancel()
        self._number = worker.begin(self)
        self._closed = False

    def push(self, samples: np.ndarray) -> None:
        if not (self._closed or self.future.done()):
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
            self._worker.forget(self._number)
            self._worker.send((b"a", self._number, b""))

    def _send(self, samples: np.ndarray) -> None:
        for start in range(0, len(samples), _PIECE):
            if self.future.done():  # it has failed
                return
            piece = samples[start : start + _PIECE]
            self._worker.send((b"s", self._number, to_bytes(piece)))


def _started() -> "_Worker":
    try:
        return _Worker()
    except OSError as error:
        raise RepError(
            f"the recogniser's process cannot be started ({error.strerror}); close other programs"
        ) from error


class _Worker:
    """A decoder process with a writer and a reader thread."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        self._process = subprocess.Popen(
            [sys.executable, str(_PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._numbers = itertools.count()
        self._open: dict[int, SphinxUtterance] = {}
        self._lock = threading.Lock()
        self._outgoing: deque[Frame] = deque()
        self._backlog = 0
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
        """Whether the process has ended unexpectedly."""
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

    def forget(self, number: int) -> SphinxUtterance | None:
        with self._lock:
            return self._open.pop(number, None)

    def send(self, frame: Frame) -> None:
        """Never blocks: a full pipe must not stall the server's loop."""
        kind, number, payload = frame
        with self._pending:
            if self._dead:
                return
            if kind == b"a":
                self._outgoing = deque(one for one in self._outgoing if one[1] != number)
                self._backlog = sum(len(one[2]) for one in self._outgoing)
            fits = self._backlog + len(payload) <= _MAX_BACKLOG
            if fits:
                self._outgoing.append(frame)
                self._backlog += len(payload)
            self._pending.notify()
        if not fits:
            self._fail(number, "it has fallen half an hour behind; send less at once")

    def close(self) -> None:
        with self._pending:
            self._closed = True
            self._pending.notify()
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:  # suspended, or waiting for I/O
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(2)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()

    def _forward(self) -> None:
        assert self._process.stdin is not None
        while True:
            content = self._next_written()
            if content is None:
                return
            try:
                self._process.stdin.write(content)
                self._process.stdin.flush()
            except (OSError, ValueError):
                return

    def _next_written(self) -> bytes | None:
        """Waits for frames to write; None at the end."""
        content = bytearray()
        with self._pending:
            self._pending.wait_for(lambda: self._outgoing or self._closed)
            if self._closed:
                return None
            while self._outgoing and len(content) < _WRITTEN:
                kind, number, payload = self._outgoing.popleft()
                content += HEADER.pack(kind, number, len(payload)) + payload
                self._backlog -= len(payload)
        return bytes(content)

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
        elif kind == b"p":
            with self._lock:
                utterance = self._open.get(number)
            if utterance is not None:
                utterance.partial = text
        elif kind == b"e":
            self._fail(number, text)
        elif (utterance := self.forget(number)) is not None:
            final = json.loads(text)
            utterance.words = tuple(map(tuple, final["words"]))
            utterance.partial = final["text"]
            utterance.future.set_result(final["text"])

    def _fail(self, number: int, why: str) -> None:
        utterance = self.forget(number)
        if utterance is not None:
            utterance.future.set_exception(RepError(f"recognition failed: {why}"))
            self.send((b"a", number, b""))

    def _give_up(self) -> None:
        with self._pending:
            self._dead = True
            self._outgoing.clear()
        with self._lock:
            lost, self._open = list(self._open.values()), {}
        self.ready.set()  # unblock waiters
        for utterance in lost:
            utterance.future.set_exception(
                RepError("the recogniser's process has ended; another one is started: say it again")
            )
