"""The pocketsphinx subprocess: frames in on stdin, frames out on stdout.

A frame is kind (1 byte), utterance number and payload length (uint32 each), payload. In: `b` begin,
`s` 16-bit sound at 16 kHz, `f` finish, `a` abort. Out: `r` ready, `p` partial text, `t` final text
with the times of its words (JSON), `e` error. It imports nothing of ours, so that it starts fast.
"""

import json
import os
import select
import struct
import sys
from collections import deque
from typing import Any

HEADER = struct.Struct("<cII")
SPHINX_HZ = 16_000
MAX_DECODERS = 3  # about 90 MB each, created on demand; further utterances wait for one
_PIECES_A_LOOK = 5
_FRAMES_A_SECOND = 100

Frame = tuple[bytes, int, bytes]


def main() -> None:
    """Decodes utterances in turn, one frame each, until stdin closes."""
    queue = FrameQueue(Decoders())
    _write(b"r", 0, b"")
    unread = bytearray()
    while True:
        while not queue.ready() or select.select([0], [], [], 0)[0]:
            piece = os.read(0, 1 << 16)
            if not piece:
                return
            unread += piece
            for frame in frames(unread):
                queue.put(frame)
        for number, (kind, text) in queue.work():
            _write(kind, number, text.encode())


def frames(unread: bytearray) -> list[Frame]:
    """Extracts complete frames from the data read."""
    found = []
    while len(unread) >= HEADER.size:
        kind, number, length = HEADER.unpack_from(unread)
        end = HEADER.size + length
        if len(unread) < end:
            break
        found.append((kind, number, bytes(unread[HEADER.size : end])))
        del unread[:end]
    return found


class FrameQueue:
    """Received frames that are not decoded yet, by utterance.

    An abort takes effect on arrival, not after the audio queued before it: under load, decoding
    unwanted audio would waste time and occupy a decoder.
    """

    def __init__(self, decoders: "Decoders") -> None:
        self._decoders = decoders
        self._frames: dict[int, deque[tuple[bytes, bytes]]] = {}

    def put(self, frame: Frame) -> None:
        """Takes a frame as it arrives."""
        kind, number, payload = frame
        if kind == b"a":
            self._frames.pop(number, None)
            self._decoders.abort(number)
        else:
            self._frames.setdefault(number, deque()).append((kind, payload))

    def ready(self) -> list[int]:
        """Utterances whose next frame can be processed now."""
        return [number for number in self._frames if self._is_ready(number)]

    def work(self) -> list[tuple[int, tuple[bytes, str]]]:
        """Processes the next frame of each ready utterance; returns (utterance, answer) pairs."""
        answers = []
        for number in self.ready():
            if not self._is_ready(number):
                continue  # no decoder is free
            kind, payload = self._frames[number].popleft()
            if not self._frames[number]:
                del self._frames[number]
            answer = self._decoders.work(kind, number, payload)
            if answer is not None:
                answers.append((number, answer))
        return answers

    def _is_ready(self, number: int) -> bool:
        begins = self._frames[number][0][0] == b"b"
        return not begins or self._decoders.has_room


class Decoders:
    """The decoders of one process. Idle ones are reused, with their channel adaptation."""

    def __init__(self) -> None:
        self._idle = [_new_decoder()]  # preloaded for the first utterance
        self._busy: dict[int, Any] = {}
        self._texts: dict[int, str] = {}
        self._num_pieces = 0

    @property
    def has_room(self) -> bool:
        """Whether another utterance can begin."""
        return bool(self._idle) or len(self._busy) < MAX_DECODERS

    def abort(self, number: int) -> None:
        """Cancels the utterance."""
        if number in self._busy:
            self.work(b"f", number, b"")

    def work(self, kind: bytes, number: int, payload: bytes) -> tuple[bytes, str] | None:
        """Processes one frame; returns the answer, if any."""
        try:
            return self._work(kind, number, payload)
        except RuntimeError as error:
            self._busy.pop(number, None)  # its state is unknown, so do not reuse it
            self._texts.pop(number, None)
            return (b"e", str(error))

    def _work(self, kind: bytes, number: int, payload: bytes) -> tuple[bytes, str] | None:
        if kind == b"b":
            decoder = self._idle.pop() if self._idle else _new_decoder()
            self._busy[number] = decoder
            decoder.start_utt()
            return None
        decoder = self._busy.get(number)
        if decoder is None:
            return None  # failed or aborted
        if kind == b"f":
            return (b"t", self._end(number))
        decoder.process_raw(payload)
        self._num_pieces += 1
        if self._num_pieces % _PIECES_A_LOOK:  # partial results cost a fifth of decoding
            return None
        text = _words(decoder)
        if text == self._texts.get(number, ""):
            return None
        self._texts[number] = text
        return (b"p", text)

    def _end(self, number: int) -> str:
        """Frees the utterance's decoder; returns its text and words as JSON."""
        decoder = self._busy[number]
        decoder.end_utt()
        text = json.dumps({"text": _words(decoder), "words": _timed_words(decoder)})
        self._texts.pop(number, None)
        self._idle.append(self._busy.pop(number))
        return text


def _new_decoder() -> Any:
    from pocketsphinx import Decoder

    return Decoder(samprate=SPHINX_HZ, loglevel="FATAL")


def _words(decoder: Any) -> str:
    found = decoder.hyp()
    return found.hypstr.strip() if found else ""


def _timed_words(decoder: Any) -> list[tuple[str, float, float]]:
    """(word, start, end), s, without fillers (silence, noise)."""
    if decoder.hyp() is None:
        return []
    words = []
    for found in decoder.seg():
        word = found.word.partition("(")[0]  # "the(2)" is a pronunciation variant
        if word and word[0] not in "<[":
            start, end = found.start_frame, found.end_frame + 1
            words.append((word, start / _FRAMES_A_SECOND, end / _FRAMES_A_SECOND))
    return words


def _write(kind: bytes, number: int, payload: bytes) -> None:
    sys.stdout.buffer.write(HEADER.pack(kind, number, len(payload)) + payload)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, BrokenPipeError):
        os._exit(0)
