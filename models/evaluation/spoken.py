"""Caches the teacher's renditions on disk between evaluations."""

import hashlib
import json
from pathlib import Path

import numpy as np

from data.audio import SAMPLE_RATE, read_audio, write_audio
from data.errors import OutputError
from data.files import atomic_folder
from data.synthetic import speak
from models.evaluation.panel import default_cache

Phone = tuple[str, float, float]


def cached_speech(
    voice: str, text: str, manner: str, seed: int
) -> tuple[np.ndarray, list[Phone]]:  # fmt: skip
    """Cached `data.synthetic.speak`; audio is rounded to 16 bits."""
    key = hashlib.sha256(repr((voice, text, manner, seed)).encode()).hexdigest()[:32]
    folder = default_cache().parent / "spoken" / key
    if not folder.is_dir():
        samples, phones = speak(voice, text, manner, seed)
        try:
            _keep(folder, samples, phones)
        except (OSError, OutputError):  # do without a cache that cannot be written
            return samples, list(phones)
    phones = json.loads((folder / "phones.json").read_text(encoding="utf-8"))
    return read_audio(folder / "sound.wav", SAMPLE_RATE), [(n, a, b) for n, a, b in phones]


def _keep(folder: Path, samples: np.ndarray, phones: list[Phone]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(folder, replace=True) as partial:
        write_audio(partial / "sound.wav", samples)
        content = json.dumps(phones, ensure_ascii=False)
        (partial / "phones.json").write_text(content, encoding="utf-8")
