"""Streaming speech recognition: the protocol of the three recognisers.

* `WhisperRecognizer` (`whisper_recognizer.py`): Whisper base, offline once its weights are
installed. * `SphinxRecognizer` (`sphinx.py`): pocketsphinx with its bundled model, offline. It
  holds the GIL, so it runs in separate processes.
* `EndpointRecognizer` (`endpoint.py`): any OpenAI-compatible `/v1/audio/transcriptions`.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple, Protocol

import numpy as np

from data.audio import SAMPLE_RATE
from data.errors import RepError

_PIECE = SAMPLE_RATE // 2
_RECOGNITION_S = 300.0
_LOOK_S = 0.2


Names = tuple[str, ...]
TimedWord = tuple[str, float, float]
"""A word with its start and end, s from the start of the utterance."""


class Hypothesis(NamedTuple):
    """Words recognised quickly, and their confidence, 0 to 1."""

    text: str
    confidence: float


class Utterance(Protocol):
    """One utterance being recognised.

    Attributes:
        words: timestamped words once finished; None if the recogniser has none.
        confidences: the probability of each word, 0 to 1, likewise.
        language: language code once finished; None if unknown.
    """

    @property
    def words(self) -> tuple[TimedWord, ...] | None: ...
    @property
    def confidences(self) -> tuple[float, ...] | None: ...
    @property
    def language(self) -> str | None: ...
    @property
    def partial(self) -> str:
        """The interim transcript, possibly empty. Never blocks."""
        ...

    @property
    def draft(self) -> str:
        """The transcript of a finished utterance as far as a first look gives it; empty until then,
        or if the recogniser has only one look."""
        ...

    def push(self, samples: np.ndarray) -> None:
        """Takes samples [n], float32 at 24 kHz. Never blocks."""
        ...

    def finish(self) -> "Future[str]":
        """Ends the audio; the future yields the text or the error."""
        ...

    def abort(self) -> None:
        """Cancels recognition."""
        ...


class Recognizer(Protocol):
    """Opens utterances; serves many sessions at once.

    Attributes:
        name: display name.
        needs_whole_turn: whether it needs a turn in one piece. After a pause in mid-turn it
            receives the turn's audio from the start again, and its first transcript is dropped;
            other recognisers receive only the new audio.
        languages: language codes accepted by `open`.
        biasable: whether names and texts bias its recognition.
        caveat: limits of its quality, to show to users, or "".
    """

    @property
    def name(self) -> str: ...
    @property
    def needs_whole_turn(self) -> bool: ...
    @property
    def languages(self) -> tuple[str, ...]: ...
    @property
    def biasable(self) -> bool: ...
    @property
    def caveat(self) -> str: ...

    def open(
        self,
        language: str | None = None,
        times: bool = False,
        names: Names = (),
        interim: bool = True,
    ) -> Utterance:
        """Starts an utterance.

        Args:
            language: one of `languages`; None: detected.
            times: whether to compute `Utterance.words`, which may cost time.
            names: names that may occur, or a text before it, to bias recognition where supported.
            interim: whether `Utterance.partial` is needed, which may cost time.
        """
        ...

    def close(self) -> None:
        """Stops workers and frees memory."""
        ...


def transcribe(recognizer: Recognizer, samples: np.ndarray) -> str:
    """The transcript of samples [T] at 24 kHz; blocks.

    Raises:
        RepError: recognition failed, or took too long.
    """
    return text_of(fed(recognizer, samples))


def fed(
    recognizer: Recognizer,
    samples: np.ndarray,
    language: str | None = None,
    times: bool = False,
    names: Names = (),
) -> Utterance:
    """An utterance fed with all of samples [T] at 24 kHz, not yet finished."""
    utterance = recognizer.open(language, times, names, interim=False)
    for start in range(0, len(samples), _PIECE):
        utterance.push(samples[start : start + _PIECE])
    return utterance


def text_of(utterance: Utterance, check: Callable[[], None] = lambda: None) -> str:
    """Finishes an utterance and returns its text; blocks, see `transcribe`.

    `check` is called several times a second and may raise to stop waiting.
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
    """Recognises nothing: for a responder that processes the audio itself."""

    name = "none"
    needs_whole_turn = False
    languages = ()
    biasable = False
    caveat = ""
    partial = draft = ""
    words = confidences = language = None

    def open(
        self,
        language: str | None = None,
        times: bool = False,
        names: Names = (),
        interim: bool = True,
    ) -> "NoRecognizer":
        """See `Recognizer`; stateless, so one object serves all."""
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
    """Stands in for an utterance that could not be opened; `finish` yields the error."""

    partial = draft = ""
    words = confidences = language = None

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
