"""Voices by name or by a recording, for commands."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from app.library import Library
from app.voice_store import VoiceStore
from data.audio import read_audio
from data.errors import InputError
from models.speaker import Speaker
from models.voice import Voice

_MAX_CLIP_S = 600


def load_speaker(
    weights: Path | None,
    device: str = "cpu",
    predictor: str | None = None,
    library: Library | None = None,
) -> tuple[Speaker, VoiceStore]:
    """The models, and their voices: cloned ones after the bundled ones."""
    speaker = Speaker.load(weights, device, predictor)
    return speaker, VoiceStore(speaker, library)


def resolve_voice(store: VoiceStore, name_or_path: str) -> Voice:
    """A voice by its name, or the voice of an audio file; the first there is for no name.

    Raises:
        InputError: neither, or the file is not a usable recording.
    """
    path = Path(name_or_path)
    if name_or_path and store.resolve(name_or_path) not in store.voices:
        if not path.is_file():
            raise InputError(
                f"there is no voice and no file {name_or_path!r}; voices are "
                f"{', '.join(store.voices)}; or give an audio file of a few seconds"
            )
        return store.clone(read_clips([path]), path.stem).voice
    return store.find(name_or_path)


def synthetic_fields(*voices: Voice) -> dict[str, object]:
    """What a manifest says of speech in these voices: that it is synthetic, and whose consent
    cloned ones have."""
    consent = "; ".join(dict.fromkeys(voice.consent for voice in voices if voice.consent))
    return {"synthetic": True, **({"consent": consent} if consent else {})}


def read_clips(paths: list[Path]) -> Iterator[np.ndarray]:
    """The sounds of audio files, each `[T]` float32 at 24 kHz, read when they are asked for.

    Raises:
        InputError: a file is not audio.
    """
    return (read_audio(path, max_seconds=_MAX_CLIP_S) for path in paths)


def recognised(samples: np.ndarray) -> str:
    """What is said in a sample, as the recogniser on this machine hears it."""
    from data.recognition.local import local_recognizer
    from data.recognition.recognizer import transcribe

    recognizer = local_recognizer()
    try:
        return transcribe(recognizer, samples)
    finally:
        recognizer.close()
