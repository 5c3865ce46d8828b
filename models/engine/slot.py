"""A reply's place in the engine: what it asks of a predictor, and what waits to be decoded."""

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
from models.predictors.steps import Frame, FrameDrawn, FrameStep
from models.vocoder.synthesis import Synthesis, push_together

FIRST_FRAMES, MAX_FRAMES = 2, 16  # decoded at once, at first and later
UNHEARD_FRAMES = 128  # where nobody listens: about a sentence
AHEAD_FRAMES = 1000  # 40 s that may wait for the listener before the predictor waits too


class Wait(enum.Enum):
    """What a task waits for, if not for a step."""

    WORK = enum.auto()  # a thread: what comes next takes longer than a step
    TEXT = enum.auto()  # that more of it is written


Task = Generator[FrameStep | Wait, FrameDrawn | None, None]
Sent = tuple[Frame, torch.Tensor, Delivery]  # with the phones around the pointer


@dataclass(frozen=True)
class Chunk:
    """What is decoded at once: frames, how many frames of silence come behind them, and whether
    nothing comes after it."""

    frames: list[Sent]
    silence: int = 0
    last: bool = False

    @property
    def closes(self) -> bool:
        """Whether the stream ends with it."""
        return self.last or self.silence > 0


class Slot:
    """One reply as the engine runs it: its task asks for steps and sends frames, which are
    decoded in chunks while it goes on. Engine and task change it; nobody else does.

    Args:
        model: the predictor that the task speaks with.
        stream: makes a stream of speech that decodes it.
        has_text: whether a task that waits for text would go on.
        streamed: whether somebody listens while it is being made; else it is never due.

    Attributes:
        position: frames before the one that the task asks for.
        chunks: of samples, for the listener.
        error: why it ended early, if it failed.
        complete: whether everything was spoken.
        first_audio_ms: from the start to the first chunk.
        busy_s: seconds from the start until everything was decoded.
        predicting, decoding: whether a thread is at it.
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
        self._frames: deque[Sent | int] = deque()  # a number: frames of silence
        self._num_pauses = self._num_pauses_taken = 0  # each is counted by one thread alone
        self._ended = False  # the task sends no more
        self._size = FIRST_FRAMES if streamed else UNHEARD_FRAMES
        self._rest = np.zeros(0, np.float32)
        self._num_samples = self._num_taken = 0
        self.started = time.perf_counter()
        self.heard_since: float | None = None

    def begin(self, task: Task) -> None:
        """The clock starts; the engine runs the task from here on."""
        self._task = task
        self.started = time.perf_counter()

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.cancelled or self.complete or self.error is not None

    @property
    def busy(self) -> bool:
        return self.predicting or self.decoding

    # What it wants

    @property
    def predict_due(self) -> float:
        """`time.perf_counter` at which its listener needs the frame that it asks for."""
        return self._due(self.position * FRAME_SAMPLES)

    @property
    def decode_due(self) -> float:
        """When its listener runs out of sound."""
        return self._due(self._num_samples)

    def wants_work(self) -> bool:
        """Whether its task can go on in a thread."""
        waits = self.asked is Wait.WORK or (self.asked is Wait.TEXT and self.has_text())
        return waits and self._may_predict()

    def wants_step(self) -> bool:
        return isinstance(self.asked, FrameStep) and self._may_predict()

    def wants_decoding(self) -> bool:
        """Whether a chunk of frames is there that nobody decodes."""
        return not self.over and not self.decoding and self._chunk_there()

    @property
    def has_room(self) -> bool:
        """Whether its listener is less than `AHEAD_FRAMES` behind."""
        untaken = (self._num_samples - self._num_taken) // FRAME_SAMPLES
        return untaken + len(self._frames) < AHEAD_FRAMES

    def _may_predict(self) -> bool:
        # Until something is heard, what may be the first sound is decoded before more is predicted.
        first = self.streamed and self.heard_since is None
        waits = first and (self.decoding or self._chunk_there())
        return not (self.over or self.predicting or waits) and self.has_room

    def _chunk_there(self) -> bool:
        """Whether there is a `next_chunk`, asked before every piece of work."""
        pauses = self._num_pauses > self._num_pauses_taken
        return self._ended or pauses or len(self._frames) >= self._size

    def _due(self, num_samples: int) -> float:
        if not self.streamed:
            return math.inf
        if self.heard_since is None:
            return self.started
        return self.heard_since + num_samples / SAMPLE_RATE

    # The task's side

    def open_stream(self) -> None:
        """Begins a stream of speech: at first, and behind a silence."""
        assert self._make_stream is not None
        self._stream = self._make_stream()

    def send(self, frames: list[Sent]) -> None:
        """Frames that are to be heard."""
        self._frames.extend(frames)
        self.num_sent += len(frames)

    def pause(self, num_frames: int) -> None:
        """Silence, behind which the decoder begins anew."""
        self._frames.append(num_frames)
        self._num_pauses += 1
        self.num_sent += num_frames

    def is_short(self, margin_s: float) -> bool:
        """Whether its listener runs out of sound within `margin_s`."""
        return self.decode_due - time.perf_counter() < margin_s

    def resume(self, drawn: FrameDrawn | None) -> None:
        """The task goes on until it asks for something else."""
        assert self._task is not None
        try:
            self.asked = self._task.send(drawn)  # pyright: ignore[reportArgumentType]
        except StopIteration:
            self.asked, self._ended = None, True

    # The decoder's side

    def next_chunk(self) -> Chunk | None:
        """What is decoded next; None: it is not there yet.

        How many frames those are never depends on how fast they came: a seed would not repeat.
        """
        ended = self._ended  # before the frames: the last of them come before the end
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
        """Slots whose next chunks are of one kind are decoded as one batch."""
        assert self._stream is not None
        kind = self._stream.kind([delivery for _, _, delivery in chunk.frames])
        return kind, len(chunk.frames), chunk.closes

    def take(self, chunk: Chunk) -> None:
        """Its next chunk is about to be decoded."""
        self.decoding = True
        self._num_pauses_taken += chunk.silence > 0
        for _ in range(len(chunk.frames) + (chunk.silence > 0)):
            self._frames.popleft()
        if self.streamed and not chunk.closes and self.heard_since is not None:
            # About half of what the listener still has: a machine that is busy may take twice as
            # long for a chunk before it is heard.
            self._size = min(MAX_FRAMES, 1 + 3 * self._size // 2)

    @property
    def stream(self) -> Synthesis:
        assert self._stream is not None
        return self._stream

    def give(self, samples: np.ndarray, chunk: Chunk) -> None:
        """What was decoded of a chunk goes to the listener in whole frames."""
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

    # The listener's side

    def heard(self) -> np.ndarray | None:
        """Waits for the next chunk of samples; None after the last.

        Raises:
            ClosedError: it was cancelled, or has failed.
        """
        chunk = self.chunks.get()
        self._num_taken += 0 if chunk is None else len(chunk)
        return chunk

    def fail(self, error: BaseException) -> None:
        """It ends; its listener learns of it where the chunks end."""
        self.error = error
        self.chunks.close()

    def cancel(self) -> None:
        self.cancelled = True
        self.chunks.close()

    def free(self) -> None:
        """Lets go of all that only a running reply needs."""
        task, self._task = self._task, None
        if task is not None:
            task.close()
        self._make_stream = self._stream = self.asked = None
        self.has_text = bool  # False; the other one knows the reply, which knows this slot
        self._frames.clear()


def decode(slots: list[Slot], chunks: list[Chunk]) -> list[np.ndarray]:
    """The samples of slots' next chunks, which are of one kind."""
    streams = [slot.stream for slot in slots]
    if not (chunks[0].frames or streams[0].begun):
        return [np.zeros(0, np.float32)] * len(slots)
    frames, phones, deliveries = [], [], []
    for slot, chunk in zip(slots, chunks, strict=True):
        frames.append(slot.model.stacked([frame for frame, _, _ in chunk.frames]))
        around = [phone for _, phone, _ in chunk.frames]
        phones.append(torch.stack(around) if around else torch.zeros(0, 3, dtype=torch.long))
        deliveries.append([delivery for _, _, delivery in chunk.frames])
    made = push_together(streams, frames, phones, deliveries, last=chunks[0].closes)
    return [samples.cpu().numpy() for samples in made]
