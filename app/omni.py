"""The speech-to-speech responder, which processes audio without a recogniser."""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.replies import SPEECH_TO_SPEECH, ChatMessage
from data.errors import InputError
from models.speaker import Speaker
from models.text import normalise

if TYPE_CHECKING:
    from models.omni import Omni
    from models.predictors.thinker import Exchange

_REMEMBERED = 64  # turns whose features are cached, over all conversations


class OmniResponder:
    """See `app.replies.Responder`.

    The model is loaded on first use, so that a server without its weights still runs and reports
    them missing only when it is selected.

    Args:
        speaker: provides the tokenizer.
        weights: weights folder; None: bundled.
    """

    name = SPEECH_TO_SPEECH
    takes_audio = True

    def __init__(self, speaker: Speaker, weights: Path | None) -> None:
        self._speaker, self._weights = speaker, weights
        self._omni: Omni | None = None
        self._lock = threading.Lock()
        self._heard: OrderedDict[int, Exchange] = OrderedDict()

    def reply(self, history: Sequence[ChatMessage]) -> Iterator[str]:
        """Streams the answer.

        Raises:
            MissingModelError: the thinker's weights are missing.
            InputError: the last turn has neither audio nor speakable text.
        """
        from models.omni import MAX_THINKER_TURNS

        omni = self._loaded()
        turns = [self._exchange(omni, message) for message in history[-MAX_THINKER_TURNS:]]
        if turns and turns[-1] is None:
            raise InputError(
                "the last turn has neither audio nor text that can be answered: say or type "
                "something"
            )
        yield from omni.think([turn for turn in turns if turn is not None])

    def _loaded(self) -> "Omni":
        from models.omni import Omni

        with self._lock:
            if self._omni is None:
                self._omni = Omni.load(self._speaker, self._weights)
            return self._omni

    def _exchange(self, omni: "Omni", message: ChatMessage) -> "Exchange | None":
        """A turn as an exchange, or None if it has neither audio nor speakable text."""
        samples = message.sound() if message.sound is not None and not message.who else None
        if samples is None:
            return (
                omni.exchange(message.who, message.text, None)
                if normalise(message.text, None)
                else None
            )
        key = hash(samples.tobytes())
        with self._lock:
            found = self._heard.get(key)
        if found is None:
            found = omni.exchange(message.who, "", samples)
        with self._lock:
            self._heard[key] = found
            self._heard.move_to_end(key)
            while len(self._heard) > _REMEMBERED:
                self._heard.popitem(last=False)
        return found
