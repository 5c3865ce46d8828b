"""Whisper as the chat's recogniser: partial results during speech, the text in the pause.

Whisper processes an utterance as a whole, so the transcript of a first part is dropped when the
speaker continues (`Recognizer.needs_whole_turn`). Partial results are the words on which two
consecutive hypotheses agree (local agreement: Liu et al., arXiv 2005.11185, section 3.2).
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np

from data.audio import SAMPLE_RATE, resample
from data.languages import LANGUAGES
from data.recognition.recognizer import Hypothesis, Names, TimedWord
from data.recognition.whisper import WHISPER_HZ, Transcript, Whisper
from data.recognition.whisper_weights import DEFAULT_MODEL, find_whisper

_LOOK_EVERY = SAMPLE_RATE  # new samples between two partial recognitions


class WhisperRecognizer:
    """Speech to English or Mandarin with punctuation.

    Args:
        model: weights folder, or a faster-whisper model name.
        language: "en" or "zh"; None: detected per utterance.
        download: download missing weights.
        num_threads: CPU threads; None: half the cores, at most 2. The rest judges turns and speaks.

    Raises:
        InputError, MissingModelError: as `find_whisper` does.
    """

    name = "whisper"
    needs_whole_turn = True
    languages = LANGUAGES
    biasable = True
    caveat = ""

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        language: str | None = None,
        download: bool = False,
        num_threads: int | None = None,
    ) -> None:
        threads = num_threads or min(2, max(1, (os.cpu_count() or 1) // 2))
        self._whisper = Whisper(find_whisper(model, download), num_threads=threads, num_workers=2)
        self._language = language
        # One at a time, but nobody waits for a partial recognition to end.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="whisper")
        self._partial_pool = ThreadPoolExecutor(1, thread_name_prefix="whisper-partial")
        self._waiting = 0
        self._lock = threading.Lock()

    def open(
        self,
        language: str | None = None,
        times: bool = False,
        names: Names = (),
        interim: bool = True,
    ) -> "WhisperUtterance":
        """See `data.recognition.recognizer.Recognizer`."""
        return WhisperUtterance(self, language or self._language, times, names, interim)

    def close(self) -> None:
        """See `data.recognition.recognizer.Recognizer`."""
        self._pool.shutdown(cancel_futures=True)
        self._partial_pool.shutdown(cancel_futures=True)

    @property
    def idle(self) -> bool:
        """Whether a partial recognition now would delay no one."""
        return self._waiting == 0

    def submit(
        self,
        samples: np.ndarray,
        language: str | None,
        final: bool,
        times: bool,
        names: Names = (),
        given_up: Callable[[], bool] = bool,
        drafted: Callable[[str], object] = bool,
    ) -> "Future[Transcript]":
        """Queues samples `[T]` at 24 kHz for recognition; see `Whisper.transcribe`."""
        with self._lock:
            self._waiting += 1
        pool = self._pool if final else self._partial_pool
        future = pool.submit(
            self._transcribe, samples, language, final, times, names, given_up, drafted
        )
        future.add_done_callback(self._done)
        return future

    def recognise_quickly(
        self, samples: np.ndarray, language: str, whole: bool
    ) -> "Future[Hypothesis]":
        """Its words, possibly wrong, at once (see `Whisper.recognise_quickly`). Never blocks."""
        sound = resample(samples, SAMPLE_RATE, WHISPER_HZ)
        return self._pool.submit(
            self._whisper.recognise_quickly, sound, self._language or language, whole
        )

    def _done(self, _: "Future[Transcript]") -> None:
        with self._lock:
            self._waiting -= 1

    def _transcribe(
        self,
        samples: np.ndarray,
        language: str | None,
        final: bool,
        times: bool,
        names: Names,
        given_up: Callable[[], bool],
        drafted: Callable[[str], object],
    ) -> Transcript:
        return self._whisper.transcribe(
            resample(samples, SAMPLE_RATE, WHISPER_HZ),
            language,
            hotwords=", ".join(names) or None,
            word_times=times,
            hastily=not final,
            given_up=given_up,
            drafted=drafted,
        )


class RecognitionQueue(Protocol):
    """Recognitions one after the other: a `WhisperRecognizer`, or one on another clock."""

    @property
    def idle(self) -> bool: ...

    def submit(
        self,
        samples: np.ndarray,
        language: str | None,
        final: bool,
        times: bool,
        names: Names = (),
        given_up: Callable[[], bool] = bool,
        drafted: Callable[[str], object] = bool,
    ) -> "Future[Transcript]": ...


class WhisperUtterance:
    """See `data.recognition.recognizer.Utterance`."""

    def __init__(
        self,
        recognizer: RecognitionQueue,
        language: str | None,
        times: bool,
        names: Names,
        interim: bool,
    ) -> None:
        self.partial = self.draft = ""
        self.words: tuple[TimedWord, ...] | None = None
        self.confidences: tuple[float, ...] | None = None
        self.language: str | None = None
        self._recognizer, self._language, self._times = recognizer, language, times
        self._names, self._interim = names, interim
        self._pieces: list[np.ndarray] = []
        self._unseen = 0
        self._agreement = Agreement()
        self._found = ""  # language of the last look
        self._look: Future[Transcript] | None = None
        self._final: Future[Transcript] | None = None
        self._text: Future[str] = Future()
        self._text.set_running_or_notify_cancel()
        self._aborted = self._ended = False

    def push(self, samples: np.ndarray) -> None:
        self._pieces.append(samples)
        self._unseen += len(samples)
        if self._interim and self._unseen >= _LOOK_EVERY and self._recognizer.idle:
            self._unseen = 0
            self._look = self._submit(final=False)
            self._look.add_done_callback(self._looked)

    def finish(self) -> "Future[str]":
        if self._final is None and not self._aborted:
            self._ended = True
            if self._look is not None:
                self._look.cancel()
            self._final = self._submit(final=True)
            self._pieces.clear()
            self._final.add_done_callback(self._finished)
        return self._text

    def abort(self) -> None:
        self._aborted = True
        self._pieces.clear()
        for future in (self._look, self._final):
            if future is not None:
                future.cancel()

    def _submit(self, final: bool) -> "Future[Transcript]":
        sound = np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.float32)
        times = final and self._times

        def given_up() -> bool:
            return self._aborted or (self._ended and not final)

        return self._recognizer.submit(
            sound, self._language, final, times, self._names, given_up, self._drafted
        )

    def _drafted(self, text: str) -> None:
        self.draft = text

    def _looked(self, look: "Future[Transcript]") -> None:
        if look.cancelled() or look.exception() or self._aborted or self._ended:
            return
        found = look.result()
        self.partial = self._agreement.take(found.text)
        if found.text:
            # Detection takes a pass of the decoder, and two looks that agree settle it.
            self._language = found.language if found.language == self._found else self._language
            self._found = found.language

    def _finished(self, final: "Future[Transcript]") -> None:
        if final.cancelled():
            self._text.set_result("")  # aborted
        elif (error := final.exception()) is not None:
            self._text.set_exception(error)
        else:
            found = final.result()
            self.partial, self.language = found.text, found.language
            if self._times:
                self.words = tuple((word.text, word.start, word.end) for word in found.words)
                self.confidences = tuple(word.confidence for word in found.words)
            self._text.set_result(found.text)


class Agreement:
    """The words on which the last two hypotheses of a growing utterance agree; they only grow."""

    def __init__(self) -> None:
        self._agreed = ""
        self._last: list[str] = []

    def take(self, text: str) -> str:
        """Takes the next hypothesis; returns the agreed words so far."""
        # Mandarin is written without spaces: a character is a word.
        words = text.split() if " " in text or text.isascii() else list(text)
        count = 0
        for ours, theirs in zip(words, self._last, strict=False):
            if _plain(ours) != _plain(theirs):
                break
            count += 1
        joined = ("" if words == list(text) else " ").join(words[:count])
        self._last = words
        if len(joined) >= len(self._agreed):
            self._agreed = joined
        return self._agreed


def _plain(word: str) -> str:
    return "".join(c for c in word.lower() if c.isalnum())
