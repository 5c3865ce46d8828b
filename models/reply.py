"""A reply while it is being spoken: a predictor thread, a decoder thread, and who listens."""

import bisect
import logging
import queue
import threading
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch

from data.errors import InputError
from models.dialogue_state import AGENT, DialogueState
from models.mel import FRAME_SAMPLES, SAMPLE_RATE
from models.predictors.dialogue_model import Frame
from models.predictors.generation import Sentence, generate
from models.predictors.sequence import Segment
from models.predictors.units import Units, neighbours, units_of
from models.text import SentenceStream, normalise, phonemize
from models.voice import Voice

if TYPE_CHECKING:
    from models.speaker import Speaker, SpeakOptions

logger = logging.getLogger(__name__)

MAX_RETRIES = 2
MAX_FORCED = 2  # more than this, before any of a sentence was let go, and it is begun again
HELD_FRAMES = 40
_MARGIN_S = 0.4
MAX_UNITS = 160
FIRST_FRAMES, MAX_FRAMES = 2, 16  # latents in the first chunk, and in later ones
_QUEUED_FRAMES = 250  # the predictor runs at most 10 s ahead of the decoder
_QUEUED_CHUNKS = 64

Word = tuple[str, float, float]
_Sent = tuple[Frame, torch.Tensor]  # with the phones around the pointer


class Reply:
    """An iterator over chunks of samples, float32 `[n]` at 24 kHz, whole frames but for the last.

    Attributes:
        text: what is spoken, as far as it is known.
        words: (word, start, end) in seconds from the first sample. A word is there before its
            sound is; the end of the last one moves on while it is being spoken.
        retries: sentences that were begun again because their pointer stood still or ran away.
        first_audio_ms: from the call of `speak` to the first chunk.
        complete: whether everything was spoken.
    """

    def __init__(
        self,
        speaker: "Speaker",
        dialogue: DialogueState,
        text: str | Iterable[str],
        voice: Voice,
        options: "SpeakOptions",
    ) -> None:
        self.text = ""
        self.words: list[Word] = []
        self.retries = 0
        self.first_audio_ms: float | None = None
        self.complete = False
        self.mark = dialogue.mark()
        self._speaker, self._dialogue = speaker, dialogue
        self._voice, self._options = voice, options
        self._source = text
        seed = options.seed if options.seed is not None else int(torch.seed() % 2**31)
        self.seed = seed
        self._generator = torch.Generator().manual_seed(seed)
        self._cancelled = threading.Event()
        self._frames: queue.Queue[list[_Sent] | None] = queue.Queue(_QUEUED_FRAMES)
        self._decoded = threading.Event()
        self._chunks: queue.Queue[np.ndarray | None] = queue.Queue(_QUEUED_CHUNKS)
        self._given: list[np.ndarray] = []
        self._error: BaseException | None = None
        self._num_frames = 0
        self._busy_s = 0.0
        self._started = time.perf_counter()
        self._heard_since: float | None = None  # when the first chunk was there
        self._num_samples = 0
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), daemon=True)
            for work in (self._predict, self._decode)
        ]

    def start(self) -> None:
        """Starts both threads; `Speaker.speak` does."""
        self._started = time.perf_counter()
        for thread in self._threads:
            thread.start()

    def __iter__(self) -> Iterator[np.ndarray]:
        while True:
            chunk = self._chunks.get()
            if chunk is None:
                break
            self._given.append(chunk)
            yield chunk
        self._chunks.put(None)  # another iteration ends as well
        for thread in self._threads:  # a thread that outlives the program would abort it
            thread.join(timeout=2.0)
        if self._error is not None and not self._cancelled.is_set():
            raise self._error

    @property
    def duration_s(self) -> float:
        """Seconds given so far."""
        return sum(len(chunk) for chunk in self._given) / SAMPLE_RATE

    @property
    def rtf(self) -> float | None:
        """Seconds that the work took for a second of sound, once it is done."""
        return self._busy_s / self.duration_s if self._busy_s and self._given else None

    def samples(self) -> np.ndarray:
        """What has been given so far, `[T]`."""
        return np.concatenate(self._given) if self._given else np.zeros(0, np.float32)

    def cancel(self) -> None:
        """Stops between chunks; the iteration ends. Returns when both threads have ended."""
        self._cancelled.set()
        _drain(self._frames)
        while any(thread.is_alive() for thread in self._threads):
            _drain(self._chunks)
            for thread in self._threads:
                thread.join(0.005)
        _drain(self._chunks)
        self._chunks.put(None)

    def commit(self, played_s: float | None = None) -> None:
        """The turn enters the dialogue as it was heard.

        Args:
            played_s: how much of it was played, in seconds; text and sound are cut there. None: all
                that was given.
        """
        known = self._dialogue.open_reply
        if known is None or known() is not self:
            return
        if not self.complete or played_s is not None:
            self.cancel()
        if played_s is not None and self.complete and played_s >= self.duration_s:
            played_s = None
        self._speaker.commit(self._dialogue, self, played_s)

    def drop(self) -> None:
        """The turn was never heard: the dialogue goes back to where it was."""
        self.cancel()
        self._dialogue.return_to(self.mark)

    def _guarded(self, work) -> None:
        try:
            work()
        except _Cancelled:
            pass
        except BaseException as error:
            self._error = error
            self._cancel_quietly()

    def _cancel_quietly(self) -> None:
        # The listener learns of the error when the chunks end.
        _drain(self._chunks)
        self._chunks.put(None)
        _drain(self._frames)
        self._frames.put(None)

    def _predict(self) -> None:
        continues = False
        for sentence in self._sentences():
            whole = units_of(phonemize([sentence])[0])
            self._speaker.check_text(whole, self._dialogue.model)
            for units in _within_limit(whole):
                self._say(units, continues)
                continues = True
        if not continues:
            raise InputError("there is nothing to speak in the text: give words")
        self._put(self._frames, None)

    def _sentences(self) -> Iterator[str]:
        """Sentences to speak, normalised, as they become whole."""
        if isinstance(self._source, str):
            pieces: Iterable[str] = [self._source]
        else:
            pieces = self._source
        stream = SentenceStream()
        for piece in pieces:
            self._check()
            yield from self._spoken(stream.push(piece))
        yield from self._spoken(stream.flush())

    def _spoken(self, sentences: list[str]) -> Iterator[str]:
        for sentence in sentences:
            words = normalise(sentence)
            if words:
                self.text = f"{self.text} {sentence}".strip()
                yield words

    def _say(self, units: Units, continues: bool) -> None:
        """One sentence: frames go to the decoder as they come."""
        dialogue = self._dialogue
        mark, before = dialogue.mark(), self.words
        symbols = torch.tensor(units.symbols)
        # The first sentence streams at once. Of later ones the listener still hears what came
        # before, so a second and a half is looked at before it is let go, while that lasts.
        hold = HELD_FRAMES if continues else FIRST_FRAMES
        for attempt in range(MAX_RETRIES + 1):
            sentence = Sentence(Segment(AGENT, continues, units.fields, self._voice.style))
            first_frame, sent = self._num_frames, 0
            steps = generate(
                dialogue.model,
                dialogue.predictor,
                sentence,
                self._options.sampling,
                self._generator,
            )
            while self._step(steps, first_frame + len(sentence.frames)):
                self._check()
                count = len(sentence.frames)
                if sent == 0 and sentence.forced > MAX_FORCED and attempt < MAX_RETRIES:
                    break
                ripe = count >= hold or (count >= FIRST_FRAMES and self._short())
                if ripe and count - sent >= FIRST_FRAMES:
                    self.words = before + self._spoken_words(units, sentence.pointer, first_frame)
                    sent = self._send(sentence, symbols, sent)
            else:
                pointer = [*sentence.pointer, len(units)]  # it has left the text
                self.words = before + self._spoken_words(units, pointer, first_frame)
                self._send(sentence, symbols, sent)
                return
            self.retries += 1
            dialogue.return_to(mark)
            logger.info("a sentence was begun again: its pointer was forced %d times", MAX_FORCED)

    def _step(self, steps: Iterator[object], num_frames: int) -> bool:
        """The next frame, when it is this reply's turn; False when the sentence is over."""
        with self._speaker.schedule.work(self._due(num_frames * FRAME_SAMPLES)):
            return next(steps, None) is not None

    def _due(self, num_samples: int) -> float:
        """When a listener who began with the first chunk needs what follows so many samples."""
        if self._heard_since is None:
            return self._started
        return self._heard_since + num_samples / SAMPLE_RATE

    def _short(self) -> bool:
        """Whether the listener is about to run out of sound."""
        return self._due(self._num_samples) - time.perf_counter() < _MARGIN_S

    def _send(self, sentence: Sentence, symbols: torch.Tensor, sent: int) -> int:
        count = len(sentence.frames)
        if count > sent:
            pointer = torch.tensor(sentence.pointer[sent:count])
            phones = neighbours(symbols, pointer)
            frames = list(zip(sentence.frames[sent:count], phones, strict=True))
            self._decoded.clear()
            self._put(self._frames, frames)
            self._num_frames += count - sent
            # Threads of many small products slow each other: until something is heard, what may be
            # the first sound is decoded before more is predicted.
            while self._heard_since is None and not self._decoded.wait(0.1):
                self._check()
        return count

    def _spoken_words(self, units: Units, pointer: list[int], first_frame: int) -> list[Word]:
        """Those that the pointer has reached."""
        # The pointer only rises; a short word that it leaps over has no time of its own.
        frame_s = FRAME_SAMPLES / SAMPLE_RATE / self._options.rate
        words = []
        for word, first, end in units.words:
            if pointer[-1] < first:
                break
            start = bisect.bisect_left(pointer, first)
            stop = bisect.bisect_left(pointer, end)
            start_s, end_s = (first_frame + start) * frame_s, (first_frame + stop) * frame_s
            words.append((word, round(start_s, 3), round(end_s, 3)))
        return words

    def _decode(self) -> None:
        model = self._dialogue.model
        stream = self._speaker.stream(self._voice, self._options, model)
        rest = np.zeros(0, np.float32)
        for sent, last in self._batches():
            frames = model.stacked([frame for frame, _ in sent])
            phones = torch.zeros(0, 3, dtype=torch.long)
            if sent:
                phones = torch.stack([around for _, around in sent])
            with self._speaker.schedule.work(self._due(self._num_samples)):
                made = stream.push(frames, phones, last).cpu().numpy()
            rest = np.concatenate([rest, made])
            whole = len(rest) if last else len(rest) // FRAME_SAMPLES * FRAME_SAMPLES
            if whole:
                if self._heard_since is None:
                    self._heard_since = time.perf_counter()
                    self.first_audio_ms = 1000 * (self._heard_since - self._started)
                self._num_samples += whole
                self._put(self._chunks, rest[:whole])
                rest = rest[whole:]
        self._busy_s = time.perf_counter() - self._started
        self.complete = True
        self._put(self._chunks, None)

    def _batches(self) -> Iterator[tuple[list[_Sent], bool]]:
        """What is decoded at once, and whether it is the last.

        How many frames those are never depends on how fast they came: a product of other rows
        rounds otherwise, and a seed would not repeat.
        """
        waiting: list[_Sent] = []
        size = FIRST_FRAMES
        while True:
            while len(waiting) < size:
                self._decoded.set()
                batch = self._get()
                if batch is None:
                    yield waiting, True
                    return
                waiting += batch
            heard = self._heard_since is not None
            yield waiting[:size], False
            waiting = waiting[size:]
            if heard:
                # About half of what the listener still has: a machine that is busy may take twice
                # as long for a chunk before it is heard.
                size = min(MAX_FRAMES, 1 + 3 * size // 2)

    def _get(self) -> list[_Sent] | None:
        while True:
            self._check()
            try:
                return self._frames.get(timeout=0.1)
            except queue.Empty:
                continue

    def _put(self, target: queue.Queue, item: object) -> None:
        while True:
            self._check()
            try:
                return target.put(item, timeout=0.1)
            except queue.Full:
                continue

    def _check(self) -> None:
        if self._cancelled.is_set() or self._error is not None:
            raise _Cancelled


class _Cancelled(Exception):
    """Ends a thread of a reply; never leaves this file."""


def _drain(items: queue.Queue) -> None:
    while True:
        try:
            items.get_nowait()
        except queue.Empty:
            return


def _within_limit(units: Units) -> list[Units]:
    """Units of a long sentence in pieces that fit the predictor, cut at word starts."""
    if len(units) <= MAX_UNITS:
        return [units]
    pieces, start = [], 1
    while start < len(units):
        end = min(len(units), start + MAX_UNITS)
        while end < len(units) and end > start + 1 and not units.starts[end]:
            end -= 1
        words = tuple(
            (word, first - start + 1, last - start + 1)
            for word, first, last in units.words
            if start <= first < end
        )
        pieces.append(
            Units(
                units.symbols[:1] + units.symbols[start:end],
                units.stress[:1] + units.stress[start:end],
                units.starts[:1] + units.starts[start:end],
                words,
            )
        )
        start = end
    return pieces
