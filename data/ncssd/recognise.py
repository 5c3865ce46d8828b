"""Stage 7: transcribes turns, with confidence and language."""

import dataclasses
import functools
import importlib.util
import logging
import os
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from data.audio.pcm import to_bytes
from data.errors import InputError, MissingModelError
from data.languages import check_language_code, primary_language
from data.ncssd.config import BuildConfig, RecogniseConfig
from data.ncssd.stage import Context
from data.ncssd.store import Row
from data.ncssd.texts import agreement
from data.recognition.endpoint import KEY_VARIABLE, TranscriptionEndpoint
from data.recognition.whisper import Transcript, Whisper
from data.recognition.whisper_weights import DEFAULT_MODEL, find_whisper

VERSION = 7
RATE = 16_000
_PAD_S = 0.15  # audio around a turn that is recognised too
_TIMEOUT_S = 120
_LANGUAGE_S = 30.0  # audio of the longest turns used to detect the language
_MAX_SILENT = 0.2  # most turns without text, as a fraction, in data fit for training
_MIN_CONFIDENCE = 0.55  # least mean confidence in data fit for training
AUTO = "auto"
RECOGNISERS = (AUTO, "whisper", "pocketsphinx", "endpoint", "none")
_ENDPOINT_MODEL = "whisper-1"

log = logging.getLogger(__name__)


class Recogniser(Protocol):
    """Transcribes the turns of a dialogue."""

    def language(self, samples: np.ndarray) -> str:
        """Detects the language of samples `[T]` at 16 kHz; returns its code."""
        ...

    def __call__(self, turns: Sequence[np.ndarray], language: str) -> list[Transcript]:
        """Transcribes turns, each samples `[T]` at 16 kHz; the confidence is None if unknown.

        Args:
            turns: all turns of a dialogue, so that several can be decoded at once.
            language: code without region.
        """
        ...


def run(row: Row, context: Context, key: str) -> list[Row]:
    """Adds `text`, `confidence` and `words` to each turn of a dialogue, and its `language`.

    `words` are [word, start, end, confidence], in seconds of the working copy, and missing if the
    recogniser gives none. The language is detected unless the source's notes or settings name it.
    With a second recogniser, turns also get their `agreement`.
    """
    config = context.config.recognise
    asked = row.get("language") or config.language
    if config.recogniser == "none":
        turns = [{**turn, "text": "", "confidence": None} for turn in row["turns"]]
        return [{**row, "turns": turns, "language": "en" if asked == AUTO else asked}]
    recogniser = load(config)
    language = recogniser.language(_sample(row, context)) if asked == AUTO else asked
    spans = [padded(turn, row["turns"]) for turn in row["turns"]]
    sounds = [
        context.read_turn(row, turn, *span, RATE)
        for turn, span in zip(row["turns"], spans, strict=True)
    ]
    heard = recogniser(sounds, primary_language(language))
    entries = [_entry(one, start) for one, (start, _) in zip(heard, spans, strict=True)]
    if config.second != "none":
        entries = _with_agreement(entries, sounds, second_of(config), language)
    turns = [{**turn, **entry} for turn, entry in zip(row["turns"], entries, strict=True)]
    return [{**row, "turns": turns, "language": language}]


def padded(turn: Row, turns: list[Row]) -> tuple[float, float]:
    """A turn's start and end with padding. It stops where another speaker ends or begins, whose
    words would be recognised too, even on a separated track; a channel has only its own speaker."""
    start, end = turn["start"], turn["end"]
    first, last = max(0.0, start - _PAD_S), end + _PAD_S
    if "channel" in turn:
        return first, last
    others = [one for one in turns if one["speaker"] != turn["speaker"]]
    before = [one["end"] for one in others if one["start"] < start and one["end"] < end]
    after = [one["start"] for one in others if one["end"] > end and one["start"] > start]
    return min(start, max([first, *before])), max(end, min([last, *after]))


def _sample(row: Row, context: Context) -> np.ndarray:
    """Samples `[T]` of the longest turns, about half a minute."""
    parts, seconds = [], 0.0
    for turn in sorted(row["turns"], key=lambda turn: turn["start"] - turn["end"]):
        if seconds < _LANGUAGE_S:
            parts.append(context.read_turn(row, turn, turn["start"], turn["end"], RATE))
            seconds += turn["end"] - turn["start"]
    return np.concatenate(parts)


def _entry(heard: Transcript, start: float) -> Row:
    confidence = None if heard.confidence is None else round(heard.confidence, 4)
    words = [
        [w.text, round(start + w.start, 3), round(start + w.end, 3), round(w.confidence, 3)]
        for w in heard.words
    ]
    return {"text": heard.text, "confidence": confidence, **({"words": words} if words else {})}


def _with_agreement(
    entries: list[Row], sounds: list[np.ndarray], second: RecogniseConfig, language: str
) -> list[Row]:
    """Adds each turn's `agreement` with the second recogniser; None if one of them has no text."""
    if not supports(second, language):
        return [{**entry, "agreement": None} for entry in entries]
    heard = load(second)(sounds, primary_language(language))
    shares = [agreement(e["text"], t.text, language) for e, t in zip(entries, heard, strict=True)]
    return [
        {**entry, "agreement": None if share is None else round(share, 4)}
        for entry, share in zip(entries, shares, strict=True)
    ]


def second_of(config: RecogniseConfig) -> RecogniseConfig:
    """The settings of the second recogniser, as of a first one."""
    return dataclasses.replace(
        config,
        recogniser=config.second,
        model=config.second_model,
        language="en",  # it need not detect any: the first one does
        second="none",
        second_model="",
    )


def resolve(config: BuildConfig, offline: bool = False) -> BuildConfig:
    """Replaces the recogniser "auto" by Whisper or, with a warning, by pocketsphinx if Whisper's
    weights are unavailable.

    Raises:
        MissingModelError: no recogniser is available for the language.
    """
    if config.recognise.recogniser != AUTO:
        return config
    try:
        find_whisper(config.recognise.model or DEFAULT_MODEL, download=not offline)
    except MissingModelError as error:
        if config.recognise.model or not _is_english(config.recognise):
            raise
        log.warning("using pocketsphinx, whose transcripts are not fit for training: %s", error)
        return config.replace("recognise", recogniser="pocketsphinx")
    return config.replace("recognise", recogniser="whisper")


def unmeasured(config: RecogniseConfig, rows: list[Row]) -> str:
    """Which dialogues the second recogniser cannot check; empty if it can check all."""
    if config.second == "none":
        return ""
    second = second_of(config)
    other = [row["language"] for row in rows if not supports(second, row["language"])]
    if not other:
        return ""
    share = f"{len(other)} of {len(rows)} dialogues have no agreement"
    return f"{share}: {config.second} does not support {', '.join(sorted(set(other)))}"


def doubts(config: RecogniseConfig, rows: list[Row]) -> str:
    """Why the transcripts of a build are not fit for training; empty if they are."""
    turns = [turn for row in rows for turn in row["turns"]]
    if not turns:
        return ""
    if config.recogniser == "none":
        return "there are none (--recogniser none)"
    if config.recogniser == "pocketsphinx":
        return "pocketsphinx gets about half of the words of natural speech wrong"
    silent = sum(not turn.get("text") for turn in turns) / len(turns)
    if silent > _MAX_SILENT:
        return f"{100 * silent:.0f} % of the turns have none"
    known = [turn["confidence"] for turn in turns if turn.get("confidence") and turn.get("text")]
    if known and float(np.mean(known)) < _MIN_CONFIDENCE:
        return f"their mean confidence is only {np.mean(known):.2f}"
    return ""


def _is_english(config: RecogniseConfig) -> bool:
    return config.language == AUTO or primary_language(config.language) == "en"


def supports(config: RecogniseConfig, language: str) -> bool:
    """Whether the recogniser can transcribe a language, by its code with or without a region."""
    if config.recogniser == "pocketsphinx":
        return primary_language(language) == "en"
    if config.recogniser == "whisper" and importlib.util.find_spec("faster_whisper"):
        from faster_whisper.tokenizer import _LANGUAGE_CODES

        return primary_language(language) in _LANGUAGE_CODES
    return True


def check_language(config: RecogniseConfig, language: str, source: str) -> None:
    """Raises InputError if a language is unknown, or not one of the recogniser's; `source` says
    where it comes from."""
    check_language_code(language, source)
    if not supports(config, language):
        supported = "English only" if config.recogniser == "pocketsphinx" else "other languages"
        others = [r for r in ("whisper", "endpoint") if r != config.recogniser]
        raise InputError(
            f"{source}: {config.recogniser} supports {supported}, not {language!r}; "
            f"choose --recogniser {' or '.join(others)}"
        )


def check(config: RecogniseConfig, offline: bool) -> str | None:
    """Describes what the chosen recognisers are missing; None if they are ready.

    Raises:
        InputError: a recogniser is unknown, or contradicts another setting.
    """
    missing = _check_one(config, offline)
    if config.second == "none":
        if config.second_model:
            raise InputError("--second-asr-model needs --second-recogniser")
        return missing
    second = second_of(config)
    if config.second == AUTO:
        raise InputError("--second-recogniser auto: choose whisper, pocketsphinx or endpoint")
    if config.recogniser == "none":
        raise InputError("--second-recogniser needs a first one; choose another --recogniser")
    if _identity(config) == _identity(second):
        raise InputError(
            f"the second recogniser is the first one ({config.second}), so that both always agree; "
            "choose another --second-recogniser or --second-asr-model"
        )
    also = _check_one(second, offline)
    return "; ".join(filter(None, (missing, also))) or None


def _identity(config: RecogniseConfig) -> tuple[str, str]:
    """What tells recognisers apart: name and model."""
    defaults = {"whisper": DEFAULT_MODEL, "endpoint": _ENDPOINT_MODEL}
    if config.recogniser not in defaults:
        return config.recogniser, ""
    return config.recogniser, os.path.normpath(config.model or defaults[config.recogniser])


def _check_one(config: RecogniseConfig, offline: bool) -> str | None:
    if config.recogniser not in RECOGNISERS:
        raise InputError(
            f"unknown recogniser {config.recogniser!r}; choose one of {', '.join(RECOGNISERS)}"
        )
    if config.batch < 1:
        raise InputError(f"--asr-batch is {config.batch}; give 1 or more")
    if config.language != AUTO:
        check_language(config, config.language, "--language")
    if config.recogniser == "endpoint":
        if offline:
            raise InputError("--offline forbids the recogniser 'endpoint'; choose another")
        if config.language == AUTO:
            raise InputError("an endpoint cannot detect the language; give --language")
        return None if config.endpoint else "recognise.endpoint is empty; give a URL ending in /v1"
    if config.recogniser == "pocketsphinx":
        found = importlib.util.find_spec("pocketsphinx")
        return None if found else "pocketsphinx is not installed: pip install pocketsphinx"
    if config.recogniser == "whisper":
        try:
            find_whisper(config.model or DEFAULT_MODEL, download=not offline)
        except MissingModelError as error:
            return str(error)
    return None


@functools.cache
def load(config: RecogniseConfig) -> Recogniser:
    """The chosen recogniser, loaded once per process.

    Raises:
        MissingModelError: it is not installed, or its model is missing.
    """
    missing = check(config, offline=False)
    if missing is not None:
        raise MissingModelError(missing)
    if config.recogniser == "pocketsphinx":
        return _Pocketsphinx(config)
    if config.recogniser == "endpoint":
        return _Endpoint(config)
    return _Whisper(config)


class _Pocketsphinx:
    """English only."""

    def __init__(self, config: RecogniseConfig) -> None:
        from pocketsphinx import Decoder, get_model_path

        self._decoder = Decoder(
            lm=get_model_path("en-us/en-us.lm.bin"),
            maxhmmpf=config.max_hmm,
            maxwpf=config.max_words,
            loglevel="FATAL",
        )

    def language(self, samples: np.ndarray) -> str:
        return "en"

    def __call__(self, turns: Sequence[np.ndarray], language: str) -> list[Transcript]:
        return [self._transcribe(samples, language) for samples in turns]

    def _transcribe(self, samples: np.ndarray, language: str) -> Transcript:
        decoder = self._decoder
        decoder.reinit_feat()  # reset, so that a turn's text does not depend on the turn before
        decoder.start_utt()
        decoder.process_raw(to_bytes(samples), full_utt=True)
        decoder.end_utt()
        hypothesis = decoder.hyp()
        if hypothesis is None:
            return Transcript("", language, 0.0)
        spoken = [s.prob for s in decoder.seg() if not s.word.startswith(("<", "["))]
        mean = sum(spoken) / max(1, len(spoken))  # word posteriors
        return Transcript(_plain(hypothesis.hypstr.split()), language, min(1.0, mean))


def _plain(words: Iterable[str]) -> str:
    """Joins words, without the dictionary's marks of alternative pronunciations: "the(2)"."""
    return " ".join(word.split("(")[0] for word in words)


class _Whisper:
    """Whisper, on one CPU thread: the pool distributes work over the cores."""

    def __init__(self, config: RecogniseConfig) -> None:
        folder = find_whisper(config.model or DEFAULT_MODEL)
        self._whisper = Whisper(folder, config.device, num_threads=1)
        self._batch = config.batch

    def language(self, samples: np.ndarray) -> str:
        return self._whisper.find_language(samples)

    def __call__(self, turns: Sequence[np.ndarray], language: str) -> list[Transcript]:
        return self._whisper.transcribe_all(turns, language, self._batch)


class _Endpoint:
    """An OpenAI-compatible server."""

    def __init__(self, config: RecogniseConfig) -> None:
        self._endpoint = TranscriptionEndpoint(
            config.endpoint,
            config.model or _ENDPOINT_MODEL,
            os.environ.get(KEY_VARIABLE, ""),
            _TIMEOUT_S,
        )

    def language(self, samples: np.ndarray) -> str:
        raise InputError("an endpoint cannot detect the language; give --language")

    def __call__(self, turns: Sequence[np.ndarray], language: str) -> list[Transcript]:
        texts = [self._endpoint.transcribe(samples, RATE, language) for samples in turns]
        return [Transcript(text, language, None) for text in texts]
