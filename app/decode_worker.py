"""The subprocess that decodes uploads: files in on stdin, samples or errors out on stdout.

A file crafted to crash, hang or exhaust memory does so here, within limits.
"""

import io
import os
import resource
import signal
import struct
import sys

from data.audio import audio_blocks, read_audio
from data.errors import InputError

REQUEST = struct.Struct("<QdI??d")  # file size, maximum seconds, sample rate, cut, in blocks, time
READY = b"\x06"  # sent once, when ready for files
ANSWER = struct.Struct("<?Q")  # float32 samples, or an error message; size, 0 after the last block
MAX_BYTES = 256 << 20  # of memory beyond interpreter and libraries
_GRACE = 3  # times the time for a file, after which it ends by itself: the server was killed
_NICENESS = 10  # synthesis takes priority


def main() -> None:
    """Decodes one file after another until stdin closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Ctrl-C the server closes stdin
    os.nice(_NICENESS)
    _limit_memory()
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    while len(head := sys.stdin.buffer.read(REQUEST.size)) == REQUEST.size:
        size, seconds, rate, cut, in_blocks, timeout_s = REQUEST.unpack(head)
        signal.alarm(round(_GRACE * timeout_s) + 1)
        try:
            content = io.BytesIO(sys.stdin.buffer.read(size))
            content.name = "the upload"  # for messages
            if in_blocks:
                for block in audio_blocks(content, rate, max_seconds=seconds):
                    if len(block):
                        _answer(True, block.data.cast("B"))
                _answer(True, b"")
            else:
                samples = read_audio(content, rate, max_seconds=seconds, cut=cut)
                _answer(True, samples.data.cast("B"))
        except InputError as error:
            _answer(False, str(error).encode())
        except MemoryError:
            return
        signal.alarm(0)


def _limit_memory() -> None:
    """Limits memory, so that a file cannot take what synthesis needs."""
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
