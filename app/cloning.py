"""Cloning as the page does it: a voice is tried with a text before it is kept."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from app.hub import Engines
from app.spoken_consent import consent_with
from data.errors import InputError
from data.limits import limited_text
from data.recognition.recognizer import transcribe
from models.text import language_of
from models.text.frontend import MANDARIN

_MAX_TEXT = 1000
_SHOW_S = 0.3
_MAX_SAMPLE_S = 60


def try_clone(engines: Engines, recording: str | Path | None, consent: bool) -> str:
    """The name of the voice of an audio file, of which the first minute is heard, to be tried.

    Raises:
        InputError: no recording or consent, or a bad one.
    """
    if recording is None:
        raise InputError("there is no voice sample; upload or record one")
    if not consent:
        raise InputError("tick the box: a voice may be used only with its owner's consent")
    with Path(recording).open("rb") as file:
        samples = engines.uploads.read(file, max_seconds=_MAX_SAMPLE_S, cut=True)
    return engines.voices.try_out(engines.voices.clone([samples]))


def speak_by_each(
    engines: Engines, tried: str | None, text: str
) -> Iterator[dict[str, np.ndarray]]:
    """The text in a tried voice by each speech model, `[T]` float32: what there is of it, several
    times a second, and in the end all. Closing the iterator ends the reply.

    Raises:
        InputError: nothing was tried, or there is nothing to speak.
    """
    made = engines.voices.tried(tried)
    text = limited_text(text or "", _MAX_TEXT)
    speaker, spoken = engines.speaker, {}
    for name in speaker.predictors:
        reply = speaker.speak(speaker.open_dialogue(name), text, made.voice)
        shown = time.monotonic()
        try:
            chunks = []
            for chunk in reply:
                chunks.append(chunk)
                if time.monotonic() - shown > _SHOW_S:
                    shown = time.monotonic()
                    yield {**spoken, name: np.concatenate(chunks)}
        finally:
            reply.cancel()
        spoken[name] = np.concatenate(chunks)
        yield spoken


def keep_voice(
    engines: Engines,
    tried: str | None,
    name: str,
    consent: str,
    transcript: str = "",
    recording: str | Path | None = None,
) -> str:
    """Keeps a voice that was tried, with what is said in its sample.

    Args:
        engines: shared.
        tried: under which it was tried.
        name: of the voice from now on.
        consent: who allows the use of the voice, in words.
        transcript: of the sample.
        recording: an audio file of the spoken consent, or None; see `app.spoken_consent`.

    Raises:
        InputError: nothing was tried, the name is taken or no name, there is no consent, or the
            recording will not do.
    """
    made = engines.voices.tried(tried)
    engines.voices.library.prepare(name, consent)
    if recording is not None:
        with Path(recording).open("rb") as file:
            said = engines.uploads.read(file, max_seconds=_MAX_SAMPLE_S, cut=True)
        language = "zh" if language_of(transcript) == MANDARIN else "en"
        heard = partial(transcribe, engines.recognizer)
        consent = consent_with(consent, said, heard, language, made.sample.samples)
    engines.voices.keep(made, name, consent, transcript)
    return f"Kept as **{name}**. It can be chosen in Talk after the page is loaded again."


def spectrogram(samples: np.ndarray) -> np.ndarray:
    """A picture of samples `[T]`: `[height, width]` uint8, low frequencies at the bottom."""
    size, hop = 1024, max(240, len(samples) // 900)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, size // 2), size)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1))[:, : size // 3]
    level = 20 * np.log10(power + 1e-5)
    scaled = (level - level.max() + 70) / 70
    return (255 * np.clip(scaled, 0, 1)).astype(np.uint8).T[::-1]
