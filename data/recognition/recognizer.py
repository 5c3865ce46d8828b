"""Speech to text while it arrives: the protocol of the three recognisers.

* `WhisperRecognizer` (`whisper_recognizer.py`): Whisper base, offline once its weights are there.
* `SphinxRecognizer` (`sphinx.py`): pocketsphinx with its package's model, offline. It holds the
  interpreter lock while it works, so it runs in processes of its own.
* `EndpointRecognizer` (`endpoint.py`): any OpenAI-compatible `/v1/audio/transcriptions`.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

import numpy as np

from data.audio import SAMPLE_RATE
from data.errors import RepError

_PIECE = SAMPLE_RATE // 2
_RECOGNITION_S = 300.0
_LOOK_S = 0.2


Names = tuple[str, ...]
TimedWord = tuple[str, float, float]
"""A word and where it starts and ends, in seconds from the start of the utterance."""


class Utterance(Protocol):
    """One stretch of speech being recognised.

    Attributes:
        words: once it is finished, those of the text with their times; None where the recogniser
            does not say them.
        language: once it is finished, the code of what was spoken; None where that is not known.
    """

    @property
    def words(self) -> tuple[TimedWord, ...] | None: ...
    @property
    def language(self) -> str | None: ...
    @property
    def partial(self) -> str:
        """The words so far; may be empty. Never waits."""
        ...

    def push(self, samples: np.ndarray) -> None:
        """Takes samples [n], float32 at 24 kHz. Never waits."""
        ...

    def finish(self) -> "Future[str]":
        """No more sound will come; the future holds the text, or the error."""
        ...

    def abort(self) -> None:
        """The text is not wanted any more."""
        ...


class Recognizer(Protocol):
    """Opens utterances; serves many sessions at once.

    Attributes:
        name: shown to people.
        rehears: whether it needs a stretch of speech as a whole. After a pause in the middle of a
            turn it is given the turn from its start again, and what it made of the first part is
            dropped; others are given only what is new.
        languages: codes that `open` takes.
        caveat: what people should know of how well it hears, or empty.
    """

    @property
    def name(self) -> str: ...
    @property
    def rehears(self) -> bool: ...
    @property
    def languages(self) -> tuple[str, ...]: ...
    @property
    def caveat(self) -> str: ...

    def open(
        self, language: str | None = None, times: bool = False, names: Names = ()
    ) -> Utterance:
        """Begins an utterance.

        Args:
            language: one of `languages`; None leaves it to the recogniser.
            times: whether `Utterance.words` are wanted; they may cost time.
            names: that may occur; a recogniser that cannot listen for them does without.
        """
        ...

    def close(self) -> None:
        """Ends workers and frees memory."""
        ...


def transcribe(recognizer: Recognizer, samples: np.ndarray) -> str:
    """What is said in samples [T] at 24 kHz. Waits for it.

    Raises:
        RepError: recognition failed, or took too long.
    """
    return text_of(fed(recognizer, samples))


def fed(
    recognizer: Recognizer, samples: np.ndarray, language: str | None = None, times: bool = False
) -> Utterance:
    """An utterance that has taken all of samples [T] at 24 kHz; its text is still to come."""
    utterance = recognizer.open(language, times)
    for start in range(0, len(samples), _PIECE):
        utterance.push(samples[start : start + _PIECE])
    return utterance


def text_of(utterance: Utterance, check: Callable[[], None] = lambda: None) -> str:
    """The text of an utterance to which no more sound comes. Waits for it; see `transcribe`.

    `check` is called several times a second, and may raise to wait no longer.
    """
    future, until = utterance.finish(), time.monotonic() + _RECOGNITION_S
    while time.monotonic() < until:
        try:
            return future.result(_LOOK_S)
        except TimeoutError:
            check()
    utterance.abort()
    raise RepError("recognition took too long; send a shorter recording")


class NoRecognizer:
    """Recognises nothing, at once: for a responder that hears the sound itself."""

    name = "none"
    rehears = False
    languages = ()
    caveat = ""
    partial = ""
    words = language = None

    def open(
        self, language: str | None = None, times: bool = False, names: Names = ()
    ) -> "NoRecognizer":
        """See `Recognizer`; it remembers nothing, so one serves all."""
        return self

    def push(self, samples: np.ndarray) -> None:
        """See `Utterance`."""

    def finish(self) -> "Future[str]":
        """See `Utterance`."""
        nothing: Future[str] = Future()
        nothing.set_result("")
        return nothing

    def abort(self) -> None:
        """See `Utterance`."""

    def close(self) -> None:
        """See `Recognizer`."""


class FailedUtterance:
    """Stands in for an utterance that could not be opened; its text is the error."""

    partial = ""
    words = language = None

    def __init__(self, error: RepError) -> None:
        self._error = error

    def push(self, samples: np.ndarray) -> None:
        """See `Utterance`."""

    def finish(self) -> "Future[str]":
        """See `Utterance`."""
        failed: Future[str] = Future()
        failed.set_exception(self._error)
        return failed

    def abort(self) -> None:
        """See `Utterance`."""
