"""Voices by name or from audio files, for commands."""

from collections.abc import Iterator, Mapping
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
    aliases: Mapping[str, str] | None = None,
) -> tuple[Speaker, VoiceStore]:
    """Loads the models and all voices, bundled ones first."""
    speaker = Speaker.load(weights, device, predictor)
    return speaker, VoiceStore(speaker, library, aliases)


def resolve_voice(store: VoiceStore, name_or_path: str) -> Voice:
    """The voice of a name, or of an audio file; the first voice for an empty name.

    Raises:
        InputError: neither a voice nor a file, or the recording is unusable.
    """
    path = Path(name_or_path)
    if name_or_path and store.resolve(name_or_path) not in store.voices:
        if not path.is_file():
            raise InputError(
                f"no voice and no file is named {name_or_path!r}; the voices are "
                f"{', '.join(store.voices)}; or give an audio file of a few seconds"
            )
        return store.clone(read_clips([path]), path.stem).voice
    return store.find(name_or_path)


def synthetic_fields(*voices: Voice) -> dict[str, object]:
    """Manifest fields that mark speech as synthetic, with the consent of cloned voices."""
    consent = "; ".join(dict.fromkeys(voice.consent for voice in voices if voice.consent))
    return {"synthetic": True, **({"consent": consent} if consent else {})}


def read_clips(paths: list[Path]) -> Iterator[np.ndarray]:
    """Reads audio files lazily, each as `[T]` float32 at 24 kHz.

    Raises:
        InputError: a file is not audio.
    """
    return (read_audio(path, max_seconds=_MAX_CLIP_S) for path in paths)


def recognised(samples: np.ndarray) -> str:
    """Transcribes samples `[T]` with the local recogniser."""
    from data.recognition.local import local_recognizer
    from data.recognition.recognizer import transcribe

    recognizer = local_recognizer()
    try:
        return transcribe(recognizer, samples)
    finally:
        recognizer.close()
