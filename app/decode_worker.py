"""The process in which uploads are decoded: a file in on stdin, samples or a reason out on stdout.

A file that is made to crash, to stall or to swell does it here, within limits, and is ended.
"""

import io
import os
import resource
import signal
import struct
import sys

from data.audio import read_audio
from data.errors import InputError

REQUEST = struct.Struct("<QdI?")  # bytes of the file, seconds at most, rate of the samples, cut
READY = b"\x06"  # comes once, when files are taken
ANSWER = struct.Struct("<?Q")  # whether it is samples (float32), and not words; bytes
MAX_BYTES = 256 << 20  # of memory, over what the interpreter and the libraries take
_MOST_S = 60  # for a file: a server that was killed leaves nobody else to end this process
_NICENESS = 10  # speech goes first


def main() -> None:
    """Decodes one file after another until stdin closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends stdin
    os.nice(_NICENESS)
    _limit_memory()
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    while len(head := sys.stdin.buffer.read(REQUEST.size)) == REQUEST.size:
        size, seconds, rate, cut = REQUEST.unpack(head)
        signal.alarm(_MOST_S)
        try:
            content = io.BytesIO(sys.stdin.buffer.read(size))
            content.name = "the upload"  # for messages
            samples = read_audio(content, rate, max_seconds=seconds, cut=cut)
            _answer(True, samples.data.cast("B"))
        except InputError as error:
            _answer(False, str(error).encode())
        except MemoryError:
            return
        signal.alarm(0)


def _limit_memory() -> None:
    """Fails beyond the limit, rather than take the memory that speech needs."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        pages = int(file.read().split()[5])
    limit = pages * resource.getpagesize() + MAX_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # it writes no file


def _answer(good: bool, content: bytes | memoryview) -> None:
    sys.stdout.buffer.write(ANSWER.pack(good, len(content)))
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, BrokenPipeError):
        os._exit(0)
