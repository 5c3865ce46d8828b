"""pocketsphinx in processes of its own: words while they are spoken, without a network.

The decoder holds Python's interpreter lock, so it must not run beside the server's loop. One
process serves several utterances in turn; an utterance stays with its process.
"""

import itertools
import logging
import multiprocessing
import threading
from concurrent.futures import Future
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from data.audio import SAMPLE_RATE, StreamResampler
from data.errors import MissingModelError, RepError

logger = logging.getLogger(__name__)

SPHINX_HZ = 16_000
_MAX_DECODERS = 8  # a process; each takes about 90 MB, and is made when it is first needed
_MAX_BACKLOG = 4000  # messages


class SphinxRecognizer:
    """Speech to lower-case English words.

    Args:
        num_processes: decoders run in so many processes; two utterances at once in one process
            share its time.
    """

    name = "pocketsphinx"

    def __init__(self, num_processes: int = 1) -> None:
        try:
            import pocketsphinx  # noqa: F401
        except ImportError:
            raise MissingModelError(
                "pocketsphinx is not installed; install it with `pip install pocketsphinx`"
            ) from None
        self._workers = [_Worker() for _ in range(num_processes)]

    def open(self) -> "SphinxUtterance":
        worker = min(self._workers, key=lambda worker: worker.num_open)
        return SphinxUtterance(worker)

    def close(self) -> None:
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
            self._worker.send(("finish", self._number, b""))
        return self.future

    def abort(self) -> None:
        if not self.future.done():
            self._closed = True
            self._worker.send(("abort", self._number, b""))
            self._worker.forget(self._number)

    def _send(self, samples: np.ndarray) -> None:
        if len(samples):
            pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
            self._worker.send(("sound", self._number, pcm))


class _Worker:
    """A process with decoders, a thread that sends to it and one that listens to it."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        self._pipe: Connection = ours
        self._numbers = itertools.count()
        self._open: dict[int, SphinxUtterance] = {}
        self._lock = threading.Lock()
        self._outgoing: list[tuple[str, int, bytes]] = []
        self._pending = threading.Condition()
        self._closed = False
        for work in (self._listen, self._forward):
            threading.Thread(target=work, daemon=True, name="sphinx").start()

    @property
    def num_open(self) -> int:
        return len(self._open)

    def begin(self, utterance: SphinxUtterance) -> int:
        number = next(self._numbers)
        with self._lock:
            self._open[number] = utterance
        self.send(("begin", number, b""))
        return number

    def forget(self, number: int) -> None:
        with self._lock:
            self._open.pop(number, None)

    def send(self, message: tuple[str, int, bytes]) -> None:
        """Never waits: a pipe that is full must not hold up the server's loop."""
        with self._pending:
            if len(self._outgoing) < _MAX_BACKLOG or message[0] != "sound":
                self._outgoing.append(message)
            self._pending.notify()

    def close(self) -> None:
        with self._pending:
            self._closed = True
            self._pending.notify()
        self._process.terminate()
        self._process.join(5)
        self._pipe.close()

    def _forward(self) -> None:
        while True:
            with self._pending:
                self._pending.wait_for(lambda: self._outgoing or self._closed)
                if self._closed:
                    return
                batch, self._outgoing = self._outgoing, []
            try:
                self._pipe.send(batch)
            except (OSError, ValueError):
                return

    def _listen(self) -> None:
        while True:
            try:
                kind, number, text = self._pipe.recv()
            except (EOFError, OSError):
                break
            with self._lock:
                utterance = self._open.get(number)
            if utterance is None:
                continue
            if kind == "partial":
                utterance.partial = text
                continue
            self.forget(number)
            if kind == "text":
                utterance.partial = text
                utterance.future.set_result(text)
            else:
                utterance.future.set_exception(RepError(f"recognition failed: {text}"))
        self._give_up()

    def _give_up(self) -> None:
        with self._lock:
            lost, self._open = list(self._open.values()), {}
        for utterance in lost:
            utterance.future.set_exception(RepError("the recogniser's process has ended"))


def _serve(pipe: Connection) -> None:
    """The process: decodes what comes, a little of every utterance in turn."""
    decoders = _Decoders()
    waiting: dict[int, list[tuple[str, bytes]]] = {}
    try:
        decoders.release(decoders.take())  # the first utterance need not wait for the model
        while True:
            while not waiting or pipe.poll():
                for kind, number, payload in pipe.recv():
                    waiting.setdefault(number, []).append((kind, payload))
            for number in list(waiting):
                kind, payload = waiting[number].pop(0)
                if not waiting[number]:
                    del waiting[number]
                if kind == "abort":
                    waiting.pop(number, None)
                answer = decoders.work(kind, number, payload)
                if answer is not None:
                    pipe.send((answer[0], number, answer[1]))
    except (EOFError, OSError, KeyboardInterrupt):
        return


class _Decoders:
    """Decoders of one process: idle ones are used again, and keep what they learnt of the channel."""

    def __init__(self) -> None:
        self._idle: list[Any] = []
        self._busy: dict[int, Any] = {}
        self._texts: dict[int, str] = {}
        self._num = 0

    def take(self) -> Any:
        from pocketsphinx import Decoder

        if self._idle:
            return self._idle.pop()
        if self._num >= _MAX_DECODERS:
            raise RuntimeError(f"{self._num} utterances are being recognised already")
        self._num += 1
        return Decoder(samprate=SPHINX_HZ, loglevel="FATAL")

    def release(self, decoder: Any) -> None:
        self._idle.append(decoder)

    def work(self, kind: str, number: int, payload: bytes) -> tuple[str, str] | None:
        try:
            return self._work(kind, number, payload)
        except RuntimeError as error:
            decoder = self._busy.pop(number, None)
            if decoder is not None:
                self._num -= 1  # its state is unknown: it is not used again
            return ("failed", str(error))

    def _work(self, kind: str, number: int, payload: bytes) -> tuple[str, str] | None:
        if kind == "begin":
            decoder = self._busy[number] = self.take()
            decoder.start_utt()
            return None
        decoder = self._busy.get(number)
        if decoder is None:
            return None
        if kind == "sound":
            decoder.process_raw(payload)
            text = _words(decoder)
            if text == self._texts.get(number, ""):
                return None
            self._texts[number] = text
            return ("partial", text)
        decoder.end_utt()
        text = _words(decoder)
        self._texts.pop(number, None)
        self.release(self._busy.pop(number))
        return ("text", text) if kind == "finish" else None


def _words(decoder: Any) -> str:
    found = decoder.hyp()
    return found.hypstr.strip() if found else ""
