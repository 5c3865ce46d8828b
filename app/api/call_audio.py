"""The agent's side of a WebRTC call's audio: what is sent, paced in real time."""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from app.active_reply import AudioChunk, Emitted
from app.protocol import SAMPLE_RATE

FRAME = SAMPLE_RATE // 50
"""Samples of a frame: 20 ms."""

_REPORT_FRAMES = 10  # frames between two reports of the playback position

Report = Callable[[int, int, bool, bool], None]
"""Takes a reply's number, the samples of it that were played, whether it finished, and whether it
was stopped."""

Tell = Callable[[str, int], None]
"""Takes what happened to the output buffer (started, stopped, cleared), and the reply's number."""


@dataclass
class _Buffered:
    """A reply's audio that has not been played yet."""

    samples: deque[np.ndarray] = field(default_factory=deque)
    played: int = 0
    complete: bool = False  # nothing more will come

    def take(self, count: int) -> np.ndarray:
        """The next samples, at most `count`."""
        taken: list[np.ndarray] = []
        while count and self.samples:
            first = self.samples.popleft()
            taken.append(first[:count])
            if len(first) > count:
                self.samples.appendleft(first[count:])
            count -= len(taken[-1])
        found = np.concatenate(taken) if taken else np.zeros(0, np.float32)
        self.played += len(found)
        return found


class AgentTrack(MediaStreamTrack):
    """An audio track of replies in the order in which they began, with silence between them.

    Args:
        report: takes the playback position.
        tell: takes changes of the output buffer.
    """

    kind = "audio"

    def __init__(self, report: Report, tell: Tell) -> None:
        super().__init__()
        self._report, self._tell = report, tell
        self._replies: OrderedDict[int, _Buffered] = OrderedDict()
        self._gain, self._last_gain = 1.0, 1.0
        self._fading = np.zeros(0, np.float32)  # the last samples of a stopped reply
        self._began_at = 0.0
        self._frames = 0

    def follow(self, message: Emitted) -> None:
        """Takes what the session emits: audio to play, and whether to duck, pause (a gain of 0) or
        stop it."""
        if isinstance(message, AudioChunk):
            self._replies.setdefault(message.reply, _Buffered()).samples.append(message.samples)
            return
        self._follow_message(message["type"], message)

    def _follow_message(self, kind: str, message: dict[str, Any]) -> None:
        if kind == "duck":
            self._gain = message["gain"]
        elif kind == "restore":
            self._gain = 1.0
        elif kind == "reply.sent" and (one := self._replies.get(message["reply"])) is not None:
            one.complete = True
        elif kind in ("stop", "reply.dropped"):
            self._stop(message["reply"])

    def _stop(self, reply: int) -> None:
        if reply not in self._replies:
            return
        is_first = reply == next(iter(self._replies))
        one = self._replies.pop(reply)
        if is_first:
            self._fading, self._gain = one.take(FRAME), 1.0
        if one.played:
            self._tell("cleared", reply)
        self._report(reply, one.played, False, True)

    async def recv(self) -> AudioFrame:
        """The next 20 ms, when they are due."""
        if self.readyState != "live":
            raise MediaStreamError
        if not self._frames:
            self._began_at = time.monotonic()
        due_at = self._began_at + self._frames * FRAME / SAMPLE_RATE
        await asyncio.sleep(max(0.0, due_at - time.monotonic()))
        frame = AudioFrame(format="s16", layout="mono", samples=FRAME)
        pcm = np.clip(np.rint(self._next() * 32767.0), -32768, 32767).astype("<i2")
        frame.planes[0].update(pcm.tobytes())
        frame.sample_rate, frame.time_base = SAMPLE_RATE, Fraction(1, SAMPLE_RATE)
        frame.pts = self._frames * FRAME
        self._frames += 1
        return frame

    def _next(self) -> np.ndarray:
        """[FRAME] samples: of the first reply, or silence."""
        found = np.zeros(FRAME, np.float32)
        gain = self._gain
        if len(self._fading):
            found[: len(self._fading)] = self._fading
            self._fading, gain = self._fading[:0], 0.0
        elif self._replies and (self._gain > 0 or self._last_gain > 0):  # else it is paused
            reply, one = next(iter(self._replies.items()))
            is_first = not one.played
            samples = one.take(FRAME)
            found[: len(samples)] = samples
            if is_first and len(samples):
                self._tell("started", reply)
            finished = one.complete and not one.samples
            if finished or self._frames % _REPORT_FRAMES == 0:
                self._report(reply, one.played, finished, False)
            if finished:
                del self._replies[reply]
                self._tell("stopped", reply)
        found *= np.linspace(self._last_gain, gain, FRAME, dtype=np.float32)
        self._last_gain = gain
        return found
