"""Stage 6: what was said in each turn, with a confidence."""

import functools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import numpy as np

from data.audio.pcm import to_bytes
from data.errors import InputError, MissingModelError
from data.ncssd.config import RecogniseConfig
from data.ncssd.stage import Context
from data.ncssd.store import Row
from data.recognition.endpoint import KEY_VARIABLE, TranscriptionEndpoint

VERSION = 1
RATE = 16_000
_PAD_S = 0.15
_TIMEOUT_S = 120


class Recogniser(Protocol):
    """Samples [T] at 16 kHz to a text and a confidence from 0 to 1 (None where none is known)."""

    def __call__(self, samples: np.ndarray) -> tuple[str, float | None]: ...


def run(row: Row, context: Context, key: str) -> list[Row]:
    """Adds `text` and `confidence` to each turn of a dialogue, and `language` to the dialogue."""
    config = context.config.recognise
    if config.recogniser == "none":
        turns = [{**turn, "text": "", "confidence": None} for turn in row["turns"]]
        return [{**row, "turns": turns, "language": config.language}]
    recogniser = load(config)
    turns = []
    for turn in row["turns"]:
        start, end = turn["start"] - _PAD_S, turn["end"] + _PAD_S
        text, confidence = recogniser(context.read(row["audio"], start, end, RATE))
        confidence = None if confidence is None else round(confidence, 4)
        turns.append({**turn, "text": text, "confidence": confidence})
    return [{**row, "turns": turns, "language": config.language}]


def units(text: str, language: str) -> list[str]:
    """What is counted and scored: words, or characters in Chinese and Japanese."""
    if language.startswith(("zh", "ja")):
        return [c for c in text if not c.isspace()]
    return text.split()


def check(config: RecogniseConfig, offline: bool) -> str | None:
    """What the chosen recogniser lacks, or None.

    Raises:
        InputError: a recogniser that is not known, or that a setting rules out.
    """
    import importlib.util

    if config.recogniser == "none":
        return None
    if config.recogniser == "endpoint":
        if offline:
            raise InputError("--offline forbids the recogniser 'endpoint'; choose another")
        return None if config.endpoint else "recognise.endpoint is empty; give its /v1 address"
    if config.recogniser == "pocketsphinx":
        if not config.language.startswith("en"):
            raise InputError(
                f"pocketsphinx knows English, not {config.language!r}; "
                "choose --recogniser faster-whisper or endpoint"
            )
        found = importlib.util.find_spec("pocketsphinx")
        return None if found else "pocketsphinx is not installed: pip install pocketsphinx"
    if config.recogniser == "faster-whisper":
        if importlib.util.find_spec("faster_whisper") is None:
            return "faster-whisper is not installed: pip install faster-whisper"
        there = (Path(config.model) / "model.bin").is_file()
        return None if there else f"{config.model or 'MODEL FOLDER'}/model.bin is not there"
    raise InputError(
        f"unknown recogniser {config.recogniser!r}; "
        "choose pocketsphinx, faster-whisper, endpoint or none"
    )


@functools.cache
def load(config: RecogniseConfig) -> Recogniser:
    """The chosen recogniser, loaded once a process.

    Raises:
        MissingModelError: it is not installed, or its model is not there.
    """
    missing = check(config, offline=False)
    if missing is not None:
        raise MissingModelError(missing)
    if config.recogniser == "pocketsphinx":
        return _pocketsphinx(config)
    if config.recogniser == "faster-whisper":
        return _whisper(config)
    return _endpoint(config)


def _pocketsphinx(config: RecogniseConfig) -> Recogniser:
    from pocketsphinx import Decoder, get_model_path

    decoder = Decoder(
        lm=get_model_path("en-us/en-us.lm.bin"),
        maxhmmpf=config.max_hmm,
        maxwpf=config.max_words,
        loglevel="FATAL",
    )

    def recognise(samples: np.ndarray) -> tuple[str, float | None]:
        decoder.reinit_feat()  # each turn starts afresh: its text must not depend on the last one's
        decoder.start_utt()
        decoder.process_raw(to_bytes(samples), full_utt=True)
        decoder.end_utt()
        hypothesis = decoder.hyp()
        if hypothesis is None:
            return "", 0.0
        spoken = [s.prob for s in decoder.seg() if not s.word.startswith(("<", "["))]
        mean = sum(spoken) / max(1, len(spoken))  # posteriors of the words, 0 to 1
        return _plain(hypothesis.hypstr.split()), min(1.0, mean)

    return recognise


def _plain(words: Iterable[str]) -> str:
    """Words without the dictionary's marks of alternative pronunciations: "the(2)"."""
    return " ".join(word.split("(")[0] for word in words)


def _whisper(config: RecogniseConfig) -> Recogniser:
    from faster_whisper import WhisperModel  # type: ignore[import-not-found]

    model = WhisperModel(config.model, device="auto", cpu_threads=1, local_files_only=True)

    def recognise(samples: np.ndarray) -> tuple[str, float | None]:
        found, _ = model.transcribe(samples, language=config.language, beam_size=5)
        parts = list(found)
        text = " ".join(part.text.strip() for part in parts)
        chance = np.exp(np.mean([part.avg_logprob for part in parts])) if parts else 0.0
        return text, float(chance)

    return recognise


def _endpoint(config: RecogniseConfig) -> Recogniser:
    endpoint = TranscriptionEndpoint(
        config.endpoint,
        config.model or "whisper-1",
        os.environ.get(KEY_VARIABLE, ""),
        _TIMEOUT_S,
    )
    return lambda samples: (endpoint.transcribe(samples, RATE, config.language), None)
