"""Streaming synthesis for a request: pieces of a file, and word timestamps."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.api.production import Production
from app.api.speech_request import SpeechOptions, SpokenLine, name_of
from app.hub import Engines
from app.multi_voice_reply import Line, lines_in, speak_lines
from app.usage import num_frames
from data.audio import SAMPLE_RATE, StreamEncoder, TempoStream
from models.delivery.delivery import LIMITS
from models.delivery.instructions import Understood, understand
from models.delivery.lexicon import Lexicon
from models.reply_times import TimedWord, shifted
from models.speak_options import SpeakOptions


@dataclass(frozen=True)
class Piece:
    """Bytes of the file, and words with final timestamps."""

    sound: bytes
    words: list[TimedWord]


class SpeechMaking:
    """One request's synthesis. The constructor validates everything except streamed text.

    Args:
        engines: shared engines.
        asked: synthesis parameters.
        text: a text, lines in several voices, or streamed pieces.

    Raises:
        InputError: an unknown voice, or an invalid tag.
    """

    def __init__(
        self, engines: Engines, asked: SpeechOptions, text: str | list[SpokenLine] | Iterator[str]
    ) -> None:
        self._engines, self._asked = engines, asked
        self.understood: Understood = understand(asked.instructions or "")
        voice = engines.voices.find(name_of(asked.voice))
        self._lines = self._lines_of(text, voice)
        self._text = text if isinstance(text, Iterator) else None
        self._voice = voice
        wanted = asked.speed * self.understood.delivery.rate
        low, high = LIMITS["rate"]
        rate = min(high, max(low, wanted))
        self._tempo = wanted / rate
        manner = self.understood.delivery
        self._options = SpeakOptions(
            seed=asked.seed,
            pitch=manner.pitch,
            rate=rate,
            energy=manner.energy,
            plan=manner.plan,
            lexicon=Lexicon.of(asked.lexicon),
        )
        self._reply: Any = None
        self._num_samples = 0
        self._num_words = 0

    def _lines_of(self, text: str | list[SpokenLine] | Iterator[str], voice: Any) -> list[Line]:
        find = self._engines.voices.find
        if isinstance(text, str):
            return lines_in(text, voice, find) or [Line(voice, text)]
        if isinstance(text, list):
            found: list[Line] = []
            for line in text:
                who = find(name_of(line.voice)) if line.voice else voice
                found += lines_in(line.text, who, find)
            return found
        return []

    @property
    def consents(self) -> str:
        """The consent statements of all cloned voices used."""
        voices = [line.voice for line in self._lines] or [self._voice]
        return "; ".join(dict.fromkeys(voice.consent for voice in voices if voice.consent))

    @property
    def done(self) -> dict[str, Any]:
        """Usage: seconds, input tokens read by the models, and output tokens (40 ms frames)."""
        read, written = int(self._reply.num_units), num_frames(self._num_samples)
        tokens = {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}
        return {"seconds": round(self._num_samples / SAMPLE_RATE, 3), "usage": tokens}

    def pieces(self, production: Production[Any]) -> Iterator[Piece]:
        """Streams the audio in the requested format."""
        tempo = TempoStream(self._tempo, SAMPLE_RATE)
        mark = self._engines.mark(self.consents)
        with StreamEncoder(self._asked.response_format, SAMPLE_RATE, mark) as encoder:

            def encoded(samples: np.ndarray) -> bytes:
                self._num_samples += len(samples)
                return encoder.push(samples)

            self._reply = self._begin(production)
            for chunk in self._reply:
                yield Piece(encoded(tempo.push(chunk)), self._new_words(final=False))
            production.check()
            rest = encoded(tempo.finish()) + encoder.finish()
            yield Piece(rest, self._new_words(final=True))

    def _begin(self, production: Production[Any]) -> Any:
        speaker, asked = self._engines.speaker, self._asked

        def open_dialogue() -> Any:
            known = speaker.predictors
            predictor = asked.model if asked.model in known else known[0]
            dialogue = speaker.open_dialogue(predictor, production.left)
            for turn in asked.history:
                speaker.add_turn(dialogue, int(turn.speaker != "user"), turn.text, None)
            production.check()
            return dialogue

        if self._text is not None:
            text: Iterable[str] = self._text
            reply = speaker.speak(open_dialogue(), text, self._voice, self._options)
        else:
            reply = speak_lines(speaker, open_dialogue, self._lines, self._options)
        production.hold(reply)
        return reply

    def _new_words(self, final: bool) -> list[TimedWord]:
        """New words, except the last, whose end may still change."""
        words = self._reply.timed_words
        ripe = words[self._num_words : len(words) if final else max(0, len(words) - 1)]
        self._num_words += len(ripe)
        return [shifted(word, 0.0, self._tempo) for word in ripe]


def words_event(words: list[TimedWord]) -> dict[str, Any]:
    """The event with word and phone timestamps, s, relative to the audio as sent."""
    return {"type": "speech.audio.words", "words": [word.public() for word in words]}
