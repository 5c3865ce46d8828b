"""The process in which pocketsphinx works: frames in on stdin, frames out on stdout.

A frame is kind (1 byte), utterance number and payload length (uint32 each), payload. In: `b` begin,
`s` 16-bit sound at 16 kHz, `f` finish, `a` abort. Out: `r` ready, `p` partial text, `t` final text,
`e` error. It imports nothing of ours, so that it starts fast.
"""

import os
import select
import struct
import sys
from typing import Any

HEADER = struct.Struct("<cII")
SPHINX_HZ = 16_000
_PIECES_A_LOOK = 5
_MAX_DECODERS = 8  # each takes about 90 MB, and is made when it is first needed


def main() -> None:
    """Decodes what comes, a little of every utterance in turn, until stdin closes."""
    decoders = Decoders()
    decoders.release(decoders.take())  # the first utterance need not wait for the model
    _write(b"r", 0, b"")
    waiting: dict[int, list[tuple[bytes, bytes]]] = {}
    unread = bytearray()
    while True:
        while not waiting or select.select([0], [], [], 0)[0]:
            piece = os.read(0, 1 << 16)
            if not piece:
                return
            unread += piece
            for kind, number, payload in frames(unread):
                waiting.setdefault(number, []).append((kind, payload))
        for number in list(waiting):
            kind, payload = waiting[number].pop(0)
            if not waiting[number]:
                del waiting[number]
            answer = decoders.work(kind, number, payload)
            if answer is not None:
                _write(answer[0], number, answer[1].encode())


def frames(unread: bytearray) -> list[tuple[bytes, int, bytes]]:
    """Takes the whole frames out of what has been read."""
    found = []
    while len(unread) >= HEADER.size:
        kind, number, length = HEADER.unpack_from(unread)
        end = HEADER.size + length
        if len(unread) < end:
            break
        found.append((kind, number, bytes(unread[HEADER.size : end])))
        del unread[:end]
    return found


class Decoders:
    """Decoders of one process: idle ones are used again, with what they learnt of the channel."""

    def __init__(self) -> None:
        self._idle: list[Any] = []
        self._busy: dict[int, Any] = {}
        self._texts: dict[int, str] = {}
        self._num = 0
        self._num_pieces = 0

    def take(self) -> Any:
        """An idle decoder, or a new one."""
        from pocketsphinx import Decoder

        if self._idle:
            return self._idle.pop()
        if self._num >= _MAX_DECODERS:
            raise RuntimeError(f"{self._num} utterances are being recognised already")
        self._num += 1
        return Decoder(samprate=SPHINX_HZ, loglevel="FATAL")

    def release(self, decoder: Any) -> None:
        """Gives a decoder back."""
        self._idle.append(decoder)

    def work(self, kind: bytes, number: int, payload: bytes) -> tuple[bytes, str] | None:
        """One frame's work, and the answer to it if there is one."""
        try:
            return self._work(kind, number, payload)
        except RuntimeError as error:
            decoder = self._busy.pop(number, None)
            if decoder is not None:
                self._num -= 1  # its state is unknown: it is not used again
            return (b"e", str(error))

    def _work(self, kind: bytes, number: int, payload: bytes) -> tuple[bytes, str] | None:
        if kind == b"b":
            decoder = self._busy[number] = self.take()
            decoder.start_utt()
            return None
        decoder = self._busy.get(number)
        if decoder is None:
            return None
        if kind == b"s":
            decoder.process_raw(payload)
            self._num_pieces += 1
            if self._num_pieces % _PIECES_A_LOOK:  # asking for the words costs a fifth of hearing
                return None
            text = _words(decoder)
            if text == self._texts.get(number, ""):
                return None
            self._texts[number] = text
            return (b"p", text)
        decoder.end_utt()
        text = _words(decoder)
        self._texts.pop(number, None)
        self.release(self._busy.pop(number))
        return (b"t", text) if kind == b"f" else None


def _words(decoder: Any) -> str:
    found = decoder.hyp()
    return found.hypstr.strip() if found else ""


def _write(kind: bytes, number: int, payload: bytes) -> None:
    sys.stdout.buffer.write(HEADER.pack(kind, number, len(payload)) + payload)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, BrokenPipeError):
        os._exit(0)
