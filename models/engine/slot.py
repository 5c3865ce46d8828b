"""A reply's state in the engine: its pending predictor step and the frames awaiting decoding."""

import enum
import math
import time
from collections import deque
from collections.abc import Callable, Generator, Hashable
from dataclasses import dataclass

import numpy as np
import torch

from models.delivery.delivery import Delivery
from models.mel import FRAME_SAMPLES, SAMPLE_RATE
from models.pipe import Pipe
from models.predictors.dialogue_model import DialogueModel
from models.predictors.steps import Frame, FrameStep, SampledFrame
from models.vocoder.synthesis import Synthesis, push_together

FIRST_FRAMES, MAX_FRAMES = 2, 16  # size of the first chunk, and of the largest
OFFLINE_FRAMES = 128  # chunk size of replies that are not streamed, about a sentence
# A new reply's first audio is due after this. Were it due at once, replies that begin would come
# before those that are about to run out.
START_S = 0.3
AHEAD_FRAMES = 1000  # 40 s: the predictor pauses while this many frames await the listener


class Wait(enum.Enum):
    """What a task waits for other than a step."""

    WORK = enum.auto()  # a free thread, for work that takes longer than a step
    TEXT = enum.auto()  # more text


Task = Generator[FrameStep | Wait, SampledFrame | None, None]
Sent = tuple[Frame, torch.Tensor, Delivery]  # frame, phones around the pointer `[3]`, delivery


@dataclass(frozen=True)
class Chunk:
    """One decoder call: frames, the number of silent frames after them, and whether it is the last
    of the reply."""

    frames: list[Sent]
    silence: int = 0
    last: bool = False

    @property
    def closes(self) -> bool:
        """Whether the decoder stream ends with this chunk."""
        return self.last or self.silence > 0


class Slot:
    """One running reply. Its task yields `FrameStep` requests and sends frames, which are decoded
    in chunks meanwhile. Only the engine and the task modify it.

    Args:
        model: the task's predictor.
        stream: creates a decoder stream.
        has_text: whether a task that waits for text can continue.
        streamed: whether audio is played as it is generated; if not, the slot has no deadlines.

    Attributes:
        position: index in the reply of the frame that the task requests.
        chunks: decoded samples, for the listener.
        error: the exception that ended the slot.
        complete: whether the whole reply was decoded.
        first_audio_ms: time from `begin` to the first chunk.
        busy_s: seconds from `begin` to the last chunk.
        predicting, decoding: whether a thread is running its task or decoding its frames.
    """

    def __init__(
        self,
        model: DialogueModel,
        stream: Callable[[], Synthesis],
        has_text: Callable[[], bool],
        streamed: bool = True,
    ) -> None:
        self.model, self.has_text, self.streamed = model, has_text, streamed
        self._make_stream: Callable[[], Synthesis] | None = stream
        self._stream: Synthesis | None = None
        self._task: Task | None = None
        self.asked: FrameStep | Wait | None = Wait.WORK
        self.position = self.num_sent = 0
        self.chunks: Pipe[np.ndarray] = Pipe()
        self.error: BaseException | None = None
        self.complete = self.cancelled = False
        self.first_audio_ms: float | None = None
        self.busy_s = 0.0
        self.predicting = self.decoding = False
        self._frames: deque[Sent | int] = deque()  # an int is a number of silent frames
        self._num_pauses = self._num_pauses_taken = 0  # each has a single writer thread
        self._ended = False  # whether the task has finished
        self._size = FIRST_FRAMES if streamed else OFFLINE_FRAMES
        self._rest = np.zeros(0, np.float32)
        self._num_samples = self._num_taken = 0
        self.started = time.perf_counter()
        self.heard_since: float | None = None

    def begin(self, task: Task) -> None:
        """Sets the task and starts the clock."""
        self._task = task
        self.started = time.perf_counter()

    @property
    def over(self) -> bool:
        """Whether the slot is complete, cancelled or failed."""
        return self.cancelled or self.complete or self.error is not None

    @property
    def busy(self) -> bool:
        return self.predicting or self.decoding

    # Scheduling

    @property
    def predict_due(self) -> float:
        """`time.perf_counter` at which the listener needs the requested frame."""
        return self._due(self.position * FRAME_SAMPLES)

    @property
    def decode_due(self) -> float:
        """`time.perf_counter` at which the listener runs out of audio."""
        return self._due(self._num_samples)

    def wants_work(self) -> bool:
        """Whether the task can continue without a step."""
        waits = self.asked is Wait.WORK or (self.asked is Wait.TEXT and self.has_text())
        return waits and self._may_predict()

    def wants_step(self) -> bool:
        return isinstance(self.asked, FrameStep) and self._may_predict()

    def wants_decoding(self) -> bool:
        """Whether a chunk is ready and no thread is decoding this slot."""
        return not self.over and not self.decoding and self._chunk_there()

    @property
    def has_room(self) -> bool:
        """Whether fewer than `AHEAD_FRAMES` frames await the listener."""
        untaken = (self._num_samples - self._num_taken) // FRAME_SAMPLES
        return untaken + len(self._frames) < AHEAD_FRAMES

    def _may_predict(self) -> bool:
        # Before the first audio, decode what is there before predicting more.
        first = self.streamed and self.heard_since is None
        waits = first and (self.decoding or self._chunk_there())
        return not (self.over or self.predicting or waits) and self.has_room

    def _chunk_there(self) -> bool:
        """Whether `next_chunk` is not None; cheap, since the engine asks very often."""
        pauses = self._num_pauses > self._num_pauses_taken
        return self._ended or pauses or len(self._frames) >= self._size

    def _due(self, num_samples: int) -> float:
        if not self.streamed:
            return math.inf
        if self.heard_since is None:
            return self.started + START_S
        return self.heard_since + num_samples / SAMPLE_RATE

    # Called by the task

    def open_stream(self) -> None:
        """Opens a decoder stream, at the start and after a pause."""
        assert self._make_stream is not None
        self._stream = self._make_stream()
        if self.streamed and self.heard_since is None:
            # Together with the frames of look-ahead, without which nothing is rendered.
            self._size = FIRST_FRAMES + self._stream.renderer.lookahead

    def send(self, frames: list[Sent]) -> None:
        """Queues frames for decoding."""
        self._frames.extend(frames)
        self.num_sent += len(frames)

    def pause(self, num_frames: int) -> None:
        """Queues silence, after which a new decoder stream starts."""
        self._frames.append(num_frames)
        self._num_pauses += 1
        self.num_sent += num_frames

    def is_short(self, margin_s: float) -> bool:
        """Whether the listener runs out of audio within `margin_s` seconds."""
        return self.decode_due - time.perf_counter() < margin_s

    def resume(self, drawn: SampledFrame | None) -> None:
        """Runs the task until its next request."""
        assert self._task is not None
        try:
            self.asked = self._task.send(drawn)  # pyright: ignore[reportArgumentType]
        except StopIteration:
            self.asked, self._ended = None, True

    # Called for decoding

    def next_chunk(self) -> Chunk | None:
        """The next chunk to decode; None if it is not ready.

        Chunk sizes never depend on timing, so that a seed is reproducible.
        """
        ended = self._ended  # read first: the last frames are queued before this is set
        frames: list[Sent] = []
        for index in range(min(self._size, len(self._frames))):
            item = self._frames[index]
            if isinstance(item, int):
                return Chunk(frames, silence=item)
            frames.append(item)
        if len(frames) == self._size:
            return Chunk(frames)
        return Chunk(frames, last=True) if ended else None

    def chunk_kind(self, chunk: Chunk) -> Hashable:
        """Batching key: slots whose next chunks have equal keys are decoded as one batch."""
        assert self._stream is not None
        kind = self._stream.kind([delivery for _, _, delivery in chunk.frames])
        return kind, len(chunk.frames), chunk.closes

    def take(self, chunk: Chunk) -> None:
        """Removes a chunk from the queue for decoding, and grows the next one."""
        self.decoding = True
        self._num_pauses_taken += chunk.silence > 0
        for _ in range(len(chunk.frames) + (chunk.silence > 0)):
            self._frames.popleft()
        if self.streamed and not chunk.closes:
            # Growth keeps a chunk at about half of the audio that the listener still has, so that
            # decoding may take twice as long on a busy machine without an underrun.
            grown = min(MAX_FRAMES, 1 + 3 * self._size // 2)
            self._size = FIRST_FRAMES if self.heard_since is None else grown

    @property
    def stream(self) -> Synthesis:
        assert self._stream is not None
        return self._stream

    def give(self, samples: np.ndarray, chunk: Chunk) -> None:
        """Passes a chunk's decoded samples to the listener, in whole frames until the last."""
        silence = np.zeros(chunk.silence * FRAME_SAMPLES, np.float32)
        rest = np.concatenate([self._rest, samples, silence])
        whole = len(rest) if chunk.last else len(rest) // FRAME_SAMPLES * FRAME_SAMPLES
        self._rest = rest[whole:]
        if whole:
            if self.heard_since is None:
                self.heard_since = time.perf_counter()
                self.first_audio_ms = 1000 * (self.heard_since - self.started)
            self._num_samples += whole
            self.chunks.put(rest[:whole])
        if chunk.silence:
            self.open_stream()
        if chunk.last:
            self.busy_s = time.perf_counter() - self.started
            self.complete = True
            self.chunks.end()

    # Called by the listener

    def receive(self) -> np.ndarray | None:
        """Waits for the next chunk of samples `[n]`; None after the last.

        Raises:
            ClosedError: the slot was cancelled or has failed.
        """
        chunk = self.chunks.get()
        self._num_taken += 0 if chunk is None else len(chunk)
        return chunk

    def fail(self, error: BaseException) -> None:
        """Ends the slot with an error; the listener's next `receive` raises ClosedError."""
        self.error = error
        self.chunks.close()

    def cancel(self) -> None:
        self.cancelled = True
        self.chunks.close()

    def free(self) -> None:
        """Drops references that only a running reply needs."""
        task, self._task = self._task, None
        if task is not None:
            task.close()
        self._make_stream = self._stream = self.asked = None
        self.has_text = bool  # returns False; the former callback would keep a reference cycle
        self._frames.clear()


def decode(slots: list[Slot], chunks: list[Chunk]) -> list[np.ndarray]:
    """Decodes one chunk per slot as a batch; all chunks have the same `chunk_kind`."""
    streams = [slot.stream for slot in slots]
    if not (chunks[0].frames or streams[0].begun):
        return [np.zeros(0, np.float32)] * len(slots)
    frames, phones, deliveries = [], [], []
    for slot, chunk in zip(slots, chunks, strict=True):
        frames.append(slot.model.stack_frames([frame for frame, _, _ in chunk.frames]))
        around = [phone for _, phone, _ in chunk.frames]
        phones.append(torch.stack(around) if around else torch.zeros(0, 3, dtype=torch.long))
        deliveries.append([delivery for _, _, delivery in chunk.frames])
    made = push_together(streams, frames, phones, deliveries, last=chunks[0].closes)
    return [samples.numpy() for samples in made]
