"""The voice encoder: embeddings of 1.2 s of one person's speech, compared by their cosine.

Resemblyzer's network, fine-tuned by `voice_encoder_training` to embed speech in noise, music, rooms
and over the telephone as it embeds the same speech without them.
"""

import functools
from pathlib import Path

import numpy as np

from data.audio.voice_encoder import VoiceEncoder, VoiceEncoderConfig
from data.ncssd.network_files import load_network

WEIGHTS = Path(__file__).parent / "weights" / "voice_encoder.safetensors"


@functools.cache
def load_voice_encoder(weights: Path = WEIGHTS, device: str = "cpu") -> VoiceEncoder:
    """Loads the fine-tuned network.

    Raises:
        MissingModelError: the weights are missing.
    """
    return load_network(
        VoiceEncoder, VoiceEncoderConfig, weights, "build train-voice-encoder CORPUS", device
    )


def encode(mels: np.ndarray, device: str = "cpu") -> np.ndarray:
    """Windows of mel power `[B, T, 40]` to unit embeddings `[B, 256]`."""
    return load_voice_encoder(device=device).embed(mels)
