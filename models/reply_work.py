"""The task of a reply in the engine: splits text into sentences and predicts their frames."""

import copy
import functools
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch

from data.errors import InputError
from data.limits import MAX_SPOKEN
from models.delivery.delivery import Delivery
from models.delivery.lexicon import Lexicon
from models.delivery.script import Script, SentencePart
from models.dialogue_state import AGENT, DialogueState
from models.engine.engine import Engine
from models.engine.slot import FIRST_FRAMES, Slot, Task, Wait
from models.engine.text_feed import TextFeed
from models.pipe import ClosedError
from models.predictors.dialogue_model import DialogueModel
from models.predictors.generation import Sentence, generate, resumed
from models.predictors.sequence import Segment
from models.predictors.units import Units, neighbours
from models.reply_times import FRAME_S, FrameClock, TimedWord, timed_words
from models.speak_options import SpeakOptions
from models.tokenizers.semantic import LOG_F0_UNIT
from models.vocoder.decoder import Decoder
from models.vocoder.encodec import EncodecDecoder
from models.vocoder.synthesis import Synthesis, check_delivery
from models.voice import Voice

logger = logging.getLogger(__name__)

MAX_RETRIES = 2
MAX_FORCED = 2  # forced pointer advances above which a sentence not yet released is restarted
# Frames of a later sentence that are checked before it is released, while the listener still has
# more than `_MARGIN_S` seconds of audio.
HELD_FRAMES = 40
_MARGIN_S = 0.4

SpokenSentence = tuple[str, list[SentencePart]]  # a sentence as written and as spoken


class ReplySpeaker(Protocol):
    """The parts of a speaker that a running reply needs."""

    engine: Engine
    lexicon: Lexicon
    decoder: Decoder | EncodecDecoder

    def stream(
        self, voice: Voice, options: SpeakOptions, model: DialogueModel | None = None
    ) -> Synthesis: ...

    def check_text(self, units: Units, model: DialogueModel) -> None: ...


class ReplyWork:
    """The task of a `Reply`. It holds no reference to the reply, so that an abandoned reply is
    garbage-collected and cancels its work.

    Attributes:
        slot: the slot it runs in.
        mark: state of the predictor's cache before the reply.
        text, words, retries, seed, num_units: see `Reply`.
    """

    def __init__(
        self,
        speaker: ReplySpeaker,
        dialogue: DialogueState,
        text: str | Iterable[str],
        voice: Voice,
        options: SpeakOptions,
    ) -> None:
        self.text = ""
        self._words: tuple[list[TimedWord], Callable[[], list[TimedWord]] | None] = [], None
        self.retries = 0
        self.num_units = 0
        self.mark = dialogue.mark()
        self.seed = options.seed if options.seed is not None else int(torch.seed() % 2**31)
        self._clock = FrameClock()
        self._speaker, self._dialogue = speaker, dialogue
        self._voice, self._options = voice, options
        self._generator = torch.Generator().manual_seed(self.seed)
        self._source: str | TextFeed[SpokenSentence] = (
            text if isinstance(text, str) else TextFeed(text)
        )
        self.slot = Slot(dialogue.model, self._stream, self._has_text, options.streamed)

    @property
    def words(self) -> list[TimedWord]:
        """The words reached so far, timed on request since frames arrive far more often."""
        before, spoken = self._words  # read at once: the task replaces the pair meanwhile
        return list(before) if spoken is None else before + spoken()

    def start(self) -> None:
        """Submits the task to the engine."""
        self.slot.begin(self._predict())
        if isinstance(self._source, TextFeed):
            self._source.start(self._sentences, self._speaker.engine.wake)
        self._speaker.engine.submit(self.slot)

    def cancel(self) -> None:
        """See `Reply.cancel`."""
        self._speaker.engine.cancel(self.slot)

    def stop(self) -> None:
        """Cancels, and waits until nothing writes to the dialogue."""
        self._speaker.engine.stop(self.slot)

    def next_chunk(self) -> np.ndarray | None:
        """See `Slot.receive`."""
        waits = not self.slot.has_room
        chunk = self.slot.receive()
        if waits and self.slot.has_room:
            self._speaker.engine.wake()
        return chunk

    def _stream(self) -> Synthesis:
        return self._speaker.stream(self._voice, self._options, self._dialogue.model)

    def _has_text(self) -> bool:
        return isinstance(self._source, TextFeed) and self._source.ready

    def _check(self) -> None:
        if self.slot.over:
            raise ClosedError

    def _predict(self) -> Task:
        continues = False
        try:
            self.slot.open_stream()
            for item in self._written():
                if item is None:
                    yield Wait.TEXT
                    continue
                sentence, parts = item
                self.text = f"{self.text} {sentence}".strip()
                for part in parts:
                    self._pause(part.pause_s)
                    if part.units is None:
                        continue
                    self._check_part(part)
                    yield from self._speak_part(part, part.units, continues)
                    continues = True
                    yield Wait.WORK  # starting a sentence takes longer than a step
            if not continues:
                raise InputError("there is nothing to speak in the text: give words")
        finally:
            self._source = ""  # its producer may reference the reply

    def _written(self) -> Iterator[SpokenSentence | None]:
        """Sentences as they become complete; None while the next one is incomplete."""
        if isinstance(self._source, str):
            return self._sentences([self._source], whole=True)
        return iter(self._source)

    def _sentences(self, pieces: Iterable[str], whole: bool = False) -> Iterator[SpokenSentence]:
        """Cuts pieces into sentences, as written and as spoken.

        Args:
            pieces: the text.
            whole: whether this is the full text; invalid tags then raise instead of being skipped.
        """
        lexicon = self._speaker.lexicon | self._options.lexicon
        languages = self._dialogue.model.config.languages
        script, length = Script(self._options.delivery, lexicon, languages, strict=whole), 0
        for piece in pieces:
            self._check()
            length += len(piece)
            if length > MAX_SPOKEN:
                raise InputError(
                    f"the text is longer than {MAX_SPOKEN} characters; the rest is not spoken"
                )
            yield from script.push(piece)
        yield from script.flush()

    def _check_part(self, part: SentencePart) -> None:
        assert part.units is not None
        self._speaker.check_text(part.units, self._dialogue.model)
        for delivery in set(part.deliveries):
            check_delivery(self._speaker.decoder, delivery)

    def _pause(self, seconds: float) -> None:
        """Adds silence, after which a new decoder stream starts."""
        num_frames = round(seconds / FRAME_S)
        if num_frames:
            self._clock.pause(num_frames)
            self.slot.pause(num_frames)

    def _speak_part(self, part: SentencePart, units: Units, continues: bool) -> Task:
        """Predicts one sentence, sending frames to the decoder as they come."""
        dialogue, slot = self._dialogue, self.slot
        self.num_units += len(units)
        dialogue.model.make_room(dialogue.predictor)
        mark, before, clock = dialogue.mark(), self.words, copy.copy(self._clock)
        symbols = torch.tensor(units.symbols)
        # The first sentence streams at once. While the listener still hears the sentence before,
        # a later one is held back until a stalled pointer would have shown.
        hold = HELD_FRAMES if continues else FIRST_FRAMES
        for attempt in range(MAX_RETRIES + 1):
            sentence = Sentence(Segment(AGENT, continues, units.fields, self._voice.style))
            first_frame, sent, released = slot.num_sent, 0, False
            slot.position = first_frame
            steps = generate(
                dialogue.model,
                dialogue.predictor,
                sentence,
                self._options.sampling,
                self._generator,
                part.plan,
            )
            asked = next(steps, None)
            while asked is not None:
                drawn = yield asked
                assert drawn is not None
                asked = resumed(steps, drawn)
                count = len(sentence.frames)
                slot.position = first_frame + count
                if asked is None:
                    continue
                if not released and sentence.forced > MAX_FORCED and attempt < MAX_RETRIES:
                    break
                ripe = count >= hold or (count >= FIRST_FRAMES and slot.is_short(_MARGIN_S))
                released |= ripe
                if ripe and slot.streamed and count - sent >= FIRST_FRAMES:
                    said = tuple(sentence.pointer)
                    spoken = functools.partial(_spoken_words, part, said, clock)
                    self._words = before, spoken
                    sent = self._send(sentence, part, symbols, sent)
            else:
                pointer = [*sentence.pointer, len(units)]  # past the text
                self._words = before + _spoken_words(part, pointer, clock), None
                self._send(sentence, part, symbols, sent)
                self._clock.add([part.deliveries[unit] for unit in sentence.pointer])
                return
            self.retries += 1
            dialogue.return_to(mark)
            logger.info("restarted a sentence: its pointer was forced %d times", sentence.forced)

    def _send(
        self, sentence: Sentence, part: SentencePart, symbols: torch.Tensor, sent: int
    ) -> int:
        count = len(sentence.frames)
        if count > sent:
            pointer = torch.tensor(sentence.pointer[sent:count])
            phones = neighbours(symbols, pointer)
            bent = Delivery(pitch=self._pitch_factor(sentence))
            deliveries = [bent @ part.deliveries[unit] for unit in sentence.pointer[sent:count]]
            frames = list(zip(sentence.frames[sent:count], phones, deliveries, strict=True))
            self.slot.send(frames)
        return count

    def _pitch_factor(self, sentence: Sentence) -> float:
        """Factor on F0 that compensates for the predictor's flattened pitch (`pitch_gain`)."""
        config, plan = self._dialogue.model.config, sentence.segment.plan
        if not config.pitch_gain or plan is None or not self._speaker.decoder.supports_pitch_rate:
            return 1.0
        return math.exp(config.pitch_gain * LOG_F0_UNIT * config.plan_scale.pitch(plan))


def _spoken_words(part: SentencePart, pointer: Sequence[int], clock: FrameClock) -> list[TimedWord]:
    """The words that the pointer has reached in a sentence that starts at `clock`'s time."""
    assert part.units is not None
    said = [unit for unit in pointer if unit < len(part.units)]
    starts = clock.starts([part.deliveries[unit] for unit in said])
    return timed_words(part.units, pointer, starts)
