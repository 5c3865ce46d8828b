"""The recogniser on this machine: Whisper, or pocketsphinx where Whisper cannot be had."""

import logging
import os

from data.errors import InputError, MissingModelError
from data.recognition.recognizer import Recognizer
from data.recognition.sphinx import SphinxRecognizer
from data.recognition.whisper_recognizer import WhisperRecognizer
from data.recognition.whisper_weights import DEFAULT_MODEL

logger = logging.getLogger(__name__)


def local_recognizer(
    choice: str = "auto", model: str = "", language: str | None = None
) -> Recognizer:
    """The recogniser that was chosen.

    Args:
        choice: "auto", "whisper" or "pocketsphinx".
        model: Whisper's, a folder or a name; empty takes the default.
        language: "en" or "zh"; None finds it in each utterance.

    Raises:
        InputError: pocketsphinx cannot do what is asked.
        MissingModelError: Whisper was asked for by name and cannot be had.
    """
    if choice != "pocketsphinx":
        try:
            return WhisperRecognizer(model or DEFAULT_MODEL, language, download=True)
        except MissingModelError as error:
            if choice == "whisper" or model or language == "zh":
                raise
            recognizer = _sphinx()
            recognizer.caveat = f"{recognizer.caveat} For Whisper: {error}."
            logger.warning(recognizer.caveat)
            return recognizer
    if language == "zh":
        raise InputError("pocketsphinx knows English alone; use --asr whisper for Mandarin")
    return _sphinx()


def _sphinx() -> SphinxRecognizer:
    return SphinxRecognizer(num_processes=max(1, min(2, (os.cpu_count() or 2) - 1)))
