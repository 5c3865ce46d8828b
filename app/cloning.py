"""Cloning on the page: a voice is tried on a text before it is stored."""

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
    """Clones a voice from the first minute of an audio file to try it; returns its temporary name.

    Raises:
        InputError: no recording or consent, or an unsuitable recording.
    """
    if recording is None:
        raise InputError("there is no voice sample; upload or record one")
    if not consent:
        raise InputError("tick the box: using a voice requires its owner's consent")
    with Path(recording).open("rb") as file:
        samples = engines.uploads.read(file, max_seconds=_MAX_SAMPLE_S, cut=True)
    return engines.voices.try_out(engines.voices.clone([samples]))


def speak_by_each(
    engines: Engines, tried: str | None, text: str
) -> Iterator[dict[str, np.ndarray]]:
    """Speaks the text in a tried voice; yields the audio so far, `[T]` float32, several times a
    second and finally all of it. Closing the iterator cancels the reply.

    Raises:
        InputError: no voice is being tried, or the text is empty.
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
    """Stores a tried voice with the transcript of its sample.

    Args:
        engines: shared.
        tried: name of the tried voice.
        name: the voice's permanent name.
        consent: the written consent statement.
        transcript: the sample's transcript.
        recording: an audio file of the spoken consent, or None; see `app.spoken_consent`.

    Raises:
        InputError: no voice is being tried, an invalid or taken name, no consent, or an unsuitable
            recording.
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
    """A spectrogram image of samples `[T]`: `[height, width]` uint8, low frequencies at the "
    "bottom."""
    size, hop = 1024, max(240, len(samples) // 900)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, size // 2), size)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1))[:, : size // 3]
    level = 20 * np.log10(power + 1e-5)
    scaled = (level - level.max() + 70) / 70
    return (255 * np.clip(scaled, 0, 1)).astype(np.uint8).T[::-1]
