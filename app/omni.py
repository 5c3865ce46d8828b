"""The responder of speech-to-speech: it hears the conversation's sound, and needs no recogniser."""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.replies import SPEECH_TO_SPEECH, Said
from data.errors import InputError
from models.speaker import Speaker
from models.text import normalise

if TYPE_CHECKING:
    from models.omni import Omni
    from models.predictors.thinker import Exchange

_REMEMBERED = 64  # turns of all conversations, whose features need not be made again


class OmniResponder:
    """See `app.replies.Responder`.

    The model is loaded with the first answer, so that a server without its weights runs, and says
    what is missing to whoever asks for it.

    Args:
        speaker: whose ears it hears with.
        weights: a folder of models; None for the bundled ones.
    """

    name = SPEECH_TO_SPEECH
    hears_sound = True

    def __init__(self, speaker: Speaker, weights: Path | None) -> None:
        self._speaker, self._weights = speaker, weights
        self._omni: Omni | None = None
        self._lock = threading.Lock()
        self._heard: OrderedDict[int, Exchange] = OrderedDict()

    def reply(self, history: Sequence[Said]) -> Iterator[str]:
        """Yields the answer as it is written.

        Raises:
            MissingModelError: the thinker's weights are not there.
            InputError: the last turn has neither sound nor words that can be spoken.
        """
        from models.omni import MAX_THINKER_TURNS

        omni = self._loaded()
        turns = [self._exchange(omni, said) for said in history[-MAX_THINKER_TURNS:]]
        if turns and turns[-1] is None:
            raise InputError(
                "the last turn has neither sound nor words that can be answered: say or write some"
            )
        yield from omni.think([turn for turn in turns if turn is not None])

    def _loaded(self) -> "Omni":
        from models.omni import Omni

        with self._lock:
            if self._omni is None:
                self._omni = Omni.load(self._speaker, self._weights)
            return self._omni

    def _exchange(self, omni: "Omni", said: Said) -> "Exchange | None":
        """A turn, or None where there is neither sound nor a word that can be spoken."""
        samples = said.sound() if said.sound is not None and not said.who else None
        if samples is None:
            return omni.exchange(said.who, said.text, None) if normalise(said.text, None) else None
        key = hash(samples.tobytes())
        with self._lock:
            found = self._heard.get(key)
        if found is None:
            found = omni.exchange(said.who, "", samples)
        with self._lock:
            self._heard[key] = found
            self._heard.move_to_end(key)
            while len(self._heard) > _REMEMBERED:
                self._heard.popitem(last=False)
        return found
