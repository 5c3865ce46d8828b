"""The local recogniser: Whisper, or pocketsphinx if Whisper's weights are missing."""

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
    """Creates the chosen recogniser.

    Args:
        choice: "auto", "whisper" or "pocketsphinx".
        model: Whisper folder or model name; empty: the default.
        language: "en" or "zh"; None: detected per utterance.

    Raises:
        InputError: pocketsphinx does not support the request.
        MissingModelError: Whisper was requested by name but is missing.
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
        raise InputError("pocketsphinx supports only English; use --asr whisper for Mandarin")
    return _sphinx()


def _sphinx() -> SphinxRecognizer:
    return SphinxRecognizer(num_processes=max(1, min(2, (os.cpu_count() or 2) - 1)))
