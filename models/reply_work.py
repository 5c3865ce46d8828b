"""What two threads do for a reply: one predicts frames, the other decodes them."""

import atexit
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch

from data.errors import InputError
from data.limits import MAX_SPOKEN
from models.delivery.delivery import Delivery
from models.delivery.script import Saying, Script
from models.dialogue_state import AGENT, DialogueState
from models.mel import FRAME_SAMPLES, SAMPLE_RATE
from models.pipe import ClosedError, Pipe
from models.predictors.generation import Sentence, generate, resumed
from models.predictors.sequence import Segment
from models.predictors.steps import Frame, FrameDrawn, FrameStep
from models.predictors.units import Units, neighbours
from models.reply_times import FRAME_S, FrameClock, TimedWord, timed_words
from models.schedule import UnwantedError
from models.speak_options import SpeakOptions
from models.vocoder.synthesis import Synthesis, check_delivery
from models.voice import Voice

if TYPE_CHECKING:
    from models.speaker import Speaker

logger = logging.getLogger(__name__)

MAX_RETRIES = 2
MAX_FORCED = 2  # more than this, before any of a sentence was let go, and it is begun again
HELD_FRAMES = 40
_MARGIN_S = 0.4
FIRST_FRAMES, MAX_FRAMES = 2, 16  # latents in the first chunk, and in later ones
_QUEUED_FRAMES = 250  # the predictor runs at most 10 s ahead of the decoder
_QUEUED_CHUNKS = 64

_Sent = tuple[Frame, torch.Tensor, Delivery]  # with the phones around the pointer
_STARTED: "weakref.WeakSet[ReplyWork]" = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """A thread that is inside PyTorch when the interpreter goes would abort the program."""
    started = list(_STARTED)
    for work in started:
        work.cancel()
    for work in started:
        for thread in work.threads:
            thread.join(timeout=1.0)


class ReplyWork:
    """Both threads of a `Reply`, and what they share. It does not know the reply, so that one
    that nobody holds is freed and calls the work off.

    Attributes:
        chunks: of samples, for the listener.
        mark: where the predictor's cache stood before.
        error: why the work ended early, if it failed.
        text, words, retries, seed, num_units, first_audio_ms, complete: see `Reply`.
        busy_s: seconds from the start until everything was decoded.
    """

    def __init__(
        self,
        speaker: "Speaker",
        dialogue: DialogueState,
        text: str | Iterable[str],
        voice: Voice,
        options: SpeakOptions,
    ) -> None:
        self.text = ""
        self.words: list[TimedWord] = []
        self.retries = 0
        self.num_units = 0
        self.first_audio_ms: float | None = None
        self.complete = False
        self.error: BaseException | None = None
        self.busy_s = 0.0
        self.mark = dialogue.mark()
        self.seed = options.seed if options.seed is not None else int(torch.seed() % 2**31)
        self.chunks: Pipe[np.ndarray] = Pipe(_QUEUED_CHUNKS)
        self._frames: Pipe[list[_Sent] | int] = Pipe(_QUEUED_FRAMES)  # a number: frames of silence
        self._clock = FrameClock()
        self._speaker, self._dialogue = speaker, dialogue
        self._voice, self._options = voice, options
        self._source = text
        self._generator = torch.Generator().manual_seed(self.seed)
        self._cancelled = threading.Event()
        self._on_dialogue = threading.Lock()  # held while the dialogue's cache is being written
        self._decoded = threading.Event()
        self._num_frames = 0
        self._started = time.perf_counter()
        self._heard_since: float | None = None  # when the first chunk was there
        self._num_samples = 0
        self.threads = [
            threading.Thread(target=self._guarded, args=(work,), daemon=True, name=f"reply-{name}")
            for name, work in (("predict", self._predict), ("decode", self._decode))
        ]

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def start(self) -> None:
        """Starts both threads."""
        self._started = time.perf_counter()
        for thread in self.threads:
            thread.start()
        _STARTED.add(self)

    def cancel(self) -> None:
        """See `Reply.cancel`."""
        self._cancelled.set()
        self._decoded.set()
        self._frames.close()
        self.chunks.close()

    def stop(self) -> None:
        """Cancels, and returns when nothing writes to the dialogue any more."""
        self.cancel()
        with self._on_dialogue:
            pass

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (ClosedError, UnwantedError):
            pass
        except BaseException as error:
            # The listener learns of it where the chunks end.
            self.error = error
            self._frames.close()
            self.chunks.close()
        finally:
            if threading.current_thread() is self.threads[0]:
                self._source = ""  # whoever writes it may hold the reply

    def _unwanted(self) -> bool:
        return self.cancelled or self.error is not None

    def _check(self) -> None:
        if self._unwanted():
            raise ClosedError

    # Predicting

    def _predict(self) -> None:
        continues = False
        for sentence, sayings in self._sentences():
            self.text = f"{self.text} {sentence}".strip()
            for saying in sayings:
                self._pause(saying.pause_s)
                if saying.units is None:
                    continue
                with self._on_dialogue:
                    self._check()
                    self._check_saying(saying)
                    self._say(saying, saying.units, continues)
                    continues = True
        if not continues:
            raise InputError("there is nothing to speak in the text: give words")
        self._frames.end()

    def _sentences(self) -> Iterator[tuple[str, list[Saying]]]:
        """Sentences as written and as said, as they become whole."""
        whole = isinstance(self._source, str)
        pieces = [self._source] if isinstance(self._source, str) else self._source
        lexicon = self._speaker.lexicon | self._options.lexicon
        languages = self._dialogue.model.config.languages
        script, length = Script(self._options.delivery, lexicon, languages, strict=whole), 0
        for piece in pieces:
            self._check()
            length += len(piece)
            if length > MAX_SPOKEN:
                raise InputError(
                    f"the text has more than {MAX_SPOKEN} characters; the rest is not spoken"
                )
            yield from script.push(piece)
        yield from script.flush()

    def _check_saying(self, saying: Saying) -> None:
        assert saying.units is not None
        self._speaker.check_text(saying.units, self._dialogue.model)
        for delivery in set(saying.deliveries):
            check_delivery(self._speaker.decoder, delivery)

    def _pause(self, seconds: float) -> None:
        """Silence, behind which the decoder begins anew."""
        num_frames = round(seconds / FRAME_S)
        if num_frames:
            self._clock.pause(num_frames)
            self._num_frames += num_frames
            self._decoded.clear()
            self._frames.put(num_frames)

    def _say(self, saying: Saying, units: Units, continues: bool) -> None:
        """One sentence: frames go to the decoder as they come."""
        dialogue = self._dialogue
        self.num_units += len(units)
        dialogue.model.make_room(dialogue.predictor)
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
                saying.plan,
            )
            asked = next(steps, None)
            while asked is not None:
                drawn = self._step(asked, first_frame + len(sentence.frames))
                self._check()
                asked = resumed(steps, drawn)
                if asked is None:
                    continue
                count = len(sentence.frames)
                if sent == 0 and sentence.forced > MAX_FORCED and attempt < MAX_RETRIES:
                    break
                ripe = count >= hold or (count >= FIRST_FRAMES and self._short())
                if ripe and count - sent >= FIRST_FRAMES:
                    self.words = before + self._spoken_words(saying, sentence.pointer)
                    sent = self._send(sentence, saying, symbols, sent)
            else:
                pointer = [*sentence.pointer, len(units)]  # it has left the text
                self.words = before + self._spoken_words(saying, pointer)
                self._send(sentence, saying, symbols, sent)
                self._clock.add([saying.deliveries[unit] for unit in sentence.pointer])
                return
            self.retries += 1
            dialogue.return_to(mark)
            logger.info("a sentence was begun again: its pointer was forced %d times", MAX_FORCED)

    def _step(self, asked: FrameStep, num_frames: int) -> FrameDrawn:
        """The next frame, when it is this reply's turn."""
        due = self._due(num_frames * FRAME_SAMPLES)
        return self._speaker.stepper.step(self._dialogue.model, asked, due, self._unwanted)

    def _due(self, num_samples: int) -> float:
        """When a listener who began with the first chunk needs what follows so many samples."""
        if self._heard_since is None:
            return self._started
        return self._heard_since + num_samples / SAMPLE_RATE

    def _short(self) -> bool:
        """Whether the listener is about to run out of sound."""
        return self._due(self._num_samples) - time.perf_counter() < _MARGIN_S

    def _send(self, sentence: Sentence, saying: Saying, symbols: torch.Tensor, sent: int) -> int:
        count = len(sentence.frames)
        if count > sent:
            pointer = torch.tensor(sentence.pointer[sent:count])
            phones = neighbours(symbols, pointer)
            deliveries = [saying.deliveries[unit] for unit in sentence.pointer[sent:count]]
            frames = list(zip(sentence.frames[sent:count], phones, deliveries, strict=True))
            self._decoded.clear()
            self._frames.put(frames)
            self._num_frames += count - sent
            # Threads of many small products slow each other: until something is heard, what may be
            # the first sound is decoded before more is predicted.
            while self._heard_since is None and not self._decoded.wait(0.1):
                self._check()
        return count

    def _spoken_words(self, saying: Saying, pointer: list[int]) -> list[TimedWord]:
        """Those that the pointer has reached."""
        assert saying.units is not None
        said = [unit for unit in pointer if unit < len(saying.units)]
        starts = self._clock.starts([saying.deliveries[unit] for unit in said])
        return timed_words(saying.units, pointer, starts)

    # Decoding

    def _decode(self) -> None:
        stream = self._speaker.stream(self._voice, self._options, self._dialogue.model)
        rest = np.zeros(0, np.float32)
        for sent, silence, last in self._batches():
            with self._speaker.schedule.work(self._due(self._num_samples), self._unwanted):
                made = self._decoded_batch(stream, sent, last or silence > 0)
            rest = np.concatenate([rest, made, np.zeros(silence * FRAME_SAMPLES, np.float32)])
            if silence:
                stream = self._speaker.stream(self._voice, self._options, self._dialogue.model)
            whole = len(rest) if last else len(rest) // FRAME_SAMPLES * FRAME_SAMPLES
            if whole:
                if self._heard_since is None:
                    self._heard_since = time.perf_counter()
                    self.first_audio_ms = 1000 * (self._heard_since - self._started)
                self._num_samples += whole
                self.chunks.put(rest[:whole])
                rest = rest[whole:]
        self.busy_s = time.perf_counter() - self._started
        self.complete = True
        self.chunks.end()

    def _decoded_batch(self, stream: Synthesis, sent: list[_Sent], last: bool) -> np.ndarray:
        if not sent and not stream.begun:
            return np.zeros(0, np.float32)
        frames = self._dialogue.model.stacked([frame for frame, _, _ in sent])
        phones = torch.zeros(0, 3, dtype=torch.long)
        if sent:
            phones = torch.stack([around for _, around, _ in sent])
        deliveries = [delivery for _, _, delivery in sent]
        return stream.push(frames, phones, last, deliveries).cpu().numpy()

    def _batches(self) -> Iterator[tuple[list[_Sent], int, bool]]:
        """What is decoded at once, how many frames of silence come behind it, and whether it is
        the last.

        How many frames those are never depends on how fast they came: a product of other rows
        rounds otherwise, and a seed would not repeat.
        """
        waiting: list[_Sent] = []
        size = FIRST_FRAMES
        while True:
            while len(waiting) < size:
                self._decoded.set()
                batch = self._frames.get()
                if batch is None:
                    yield waiting, 0, True
                    return
                if isinstance(batch, int):
                    yield waiting, batch, False
                    waiting = []
                else:
                    waiting += batch
            heard = self._heard_since is not None
            yield waiting[:size], 0, False
            waiting = waiting[size:]
            if heard:
                # About half of what the listener still has: a machine that is busy may take twice
                # as long for a chunk before it is heard.
                size = min(MAX_FRAMES, 1 + 3 * size // 2)
