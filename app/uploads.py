"""Uploaded audio: decoded in a few separate processes, handled in a few separate threads.

Uploads therefore never slow down speech, whatever their number or content: excess uploads wait, and
when too many wait, further ones are rejected.
"""

import asyncio
import contextlib
import io
import os
import queue
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np

from app.api.errors import ApiError
from app.api.response_headers import RETRY_AFTER
from app.decode_worker import ANSWER, READY, REQUEST
from data.audio import SAMPLE_RATE
from data.audio.pcm import to_bytes
from data.errors import InputError, OutputError

_RETRY_AFTER_S = 5
_LONG_TIMEOUT_S = 300.0  # for decoding a recording of hours
_START_S = 120.0  # timeout for starting a process, generous for busy machines
_ROOT = Path(__file__).resolve().parent.parent

T = TypeVar("T")


class Uploads:
    """The pools of decoder processes and upload threads.

    Args:
        num_processes: most files decoded at once.
        num_threads: most uploads handled at once.
        max_waiting: most uploads that wait.
        timeout_s: time limit for decoding a file, from when its process is ready.
    """

    def __init__(
        self,
        num_processes: int = 2,
        num_threads: int = 4,
        max_waiting: int = 8,
        timeout_s: float = 20.0,
    ) -> None:
        self._threads = ThreadPoolExecutor(num_threads, thread_name_prefix="upload")
        self._max = num_threads + max_waiting
        self._num = 0
        self._lock = threading.Lock()
        self._all = [_Decoder(timeout_s) for _ in range(num_processes)]
        self._free: queue.LifoQueue[_Decoder] = queue.LifoQueue()
        for decoder in self._all:
            self._free.put(decoder)

    async def run(self, work: Callable[[], T]) -> T:
        """Runs `work` in a thread of the pool and returns its result.

        Raises:
            ApiError: 429 with `Retry-After` if too many uploads are waiting.
        """
        with self._lock:
            if self._num >= self._max:
                raise ApiError(
                    f"{self._num} uploads are in progress, the most that this server allows; "
                    "try again in a few seconds",
                    status=429,
                    code="rate_limit_exceeded",
                    headers={RETRY_AFTER: str(_RETRY_AFTER_S)},
                )
            self._num += 1
        future = self._threads.submit(work)
        future.add_done_callback(lambda _: self._done())
        return await asyncio.wrap_future(future)

    def read(self, file: BinaryIO, *, max_seconds: float, cut: bool = False) -> np.ndarray:
        """Like `data.audio.read_audio`, in a process of the pool; waits for a free one.

        Raises:
            InputError: as `read_audio`, or decoding takes too long or too much memory.
            ApiError: 503 if no process can be started.
        """
        decoder = self._free.get()
        try:
            (content,) = decoder.decode(file, max_seconds, cut)
        finally:
            self._free.put(decoder)
        return np.frombuffer(content, np.float32)

    def read_long(self, file: BinaryIO, *, max_seconds: float) -> np.ndarray:
        """Like `read`, for hours of audio: int16 `[T]` in an unnamed temporary file.

        Raises:
            InputError, ApiError: as `read` does.
            OutputError: there is no room for it.
        """
        decoder = self._free.get()
        try:
            with tempfile.TemporaryFile() as spool:
                for content in decoder.decode_long(file, max_seconds):
                    _spool(to_bytes(np.frombuffer(content, np.float32)), spool)
                return np.memmap(spool, "<i2", "r")
        finally:
            self._free.put(decoder)

    def close(self) -> None:
        """Ends the processes; running decodes fail."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for decoder in self._all:
            decoder.kill()

    def _done(self) -> None:
        with self._lock:
            self._num -= 1


class _Decoder:
    """A decoder process, started on first use and restarted after a crash."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None

    def decode(self, file: BinaryIO, max_seconds: float, cut: bool) -> Iterator[bytes]:
        """Yields all float32 samples at once; see `Uploads.read`."""
        return self._answers(file, (max_seconds, SAMPLE_RATE, cut, False), self._timeout_s)

    def decode_long(self, file: BinaryIO, max_seconds: float) -> Iterator[bytes]:
        """Yields float32 samples in blocks; see `Uploads.read_long`."""
        return self._answers(file, (max_seconds, SAMPLE_RATE, False, True), _LONG_TIMEOUT_S)

    def _answers(
        self, file: BinaryIO, request: tuple[float, int, bool, bool], timeout_s: float
    ) -> Iterator[bytes]:
        process = self._running()
        assert process.stdin is not None and process.stdout is not None
        deadline = time.monotonic() + timeout_s
        output, in_blocks = process.stdout.fileno(), request[-1]
        try:
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            process.stdin.write(REQUEST.pack(size, *request, timeout_s))
            shutil.copyfileobj(file, process.stdin, 1 << 16)
            process.stdin.flush()
            while True:
                good, length = ANSWER.unpack(_read(output, ANSWER.size, deadline))
                content = _read(output, length, deadline)
                if not good:
                    break
                if length or not in_blocks:
                    yield content
                if not (length and in_blocks):
                    return
        except (TimeoutError, EOFError, BrokenPipeError) as error:
            self.close()
            if isinstance(error, TimeoutError):
                why = f"takes more than {timeout_s:g} s"
            else:
                why = "takes more memory than a recording does, or it is broken"
            raise InputError(
                f"the upload cannot be decoded: it {why}; send a plain WAV, FLAC or MP3"
            ) from error
        except BaseException:
            self.close()  # the process may be in the middle of an answer
            raise
        raise InputError(content.decode())

    def kill(self) -> None:
        """Kills the process, which makes a running `decode` fail."""
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()
        self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        """The process, started if necessary and ready for files."""
        if self._process is None or self._process.poll() is not None:
            self.close()
            try:
                self._process = _start()
                assert self._process.stdout is not None
                _read(self._process.stdout.fileno(), len(READY), time.monotonic() + _START_S)
            except BaseException as error:
                self.close()
                if not isinstance(error, (OSError, EOFError)):  # a TimeoutError is an OSError
                    raise
                raise ApiError(
                    "the server cannot start the process that decodes uploads; try again later",
                    status=503,
                    code="decoder_unavailable",
                    headers={RETRY_AFTER: str(_RETRY_AFTER_S)},
                ) from error
        return self._process


def _spool(content: bytes, file: BinaryIO) -> None:
    try:
        file.write(content)
        file.flush()
    except OSError as error:
        raise OutputError(
            f"the recording cannot be decoded: {tempfile.gettempdir()} is full ({error.strerror})"
        ) from error


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "app.decode_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=_ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )


def _read(pipe: int, size: int, deadline: float) -> bytes:
    return b"".join(_pieces(pipe, size, deadline))


def _pieces(pipe: int, size: int, deadline: float) -> Iterator[bytes]:
    while size:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            raise TimeoutError
        piece = os.read(pipe, min(size, 1 << 20))
        if not piece:
            raise EOFError
        size -= len(piece)
        yield piece
