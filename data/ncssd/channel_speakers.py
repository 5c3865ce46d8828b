"""Diarisation of a scene with one speaker per channel.

The segmentation network runs on each channel alone, so that overlaps are as easy as single speech.
Speech no louder than the cross-talk from the other channel is attributed to the other speaker.
"""

import functools

import numpy as np

from data.audio.features import FRAME_S, RATE
from data.audio.voice_embedding import Span, embed_windows, unit
from data.ncssd.activity import far_from
from data.ncssd.config import BuildConfig
from data.ncssd.powerset import best_path
from data.ncssd.segmentation import load_segmentation, segment
from data.ncssd.stage import Context
from data.ncssd.store import Row
from data.ncssd.voice_encoder import encode

_CLEAR_DB = 10.0  # level difference at which the softer channel's speaker is surely silent
_OVER_LEAK_DB = 8.0
_FRAME = round(FRAME_S * RATE)
_EMBEDDED = round(60.0 / FRAME_S)  # frames of speech used to embed a channel's voice


def channel_tracks(row: Row, context: Context) -> tuple[np.ndarray, list[np.ndarray]]:
    """Whether each channel's speaker is active per frame `[2, T]`, and the channels' samples at
    16 kHz."""
    sounds = [
        context.read(row["audio"], row["start"], row["end"], RATE, channel) for channel in (0, 1)
    ]
    tracks = np.stack(
        [
            _speech(samples, row["start"], spans, context.config)
            for samples, spans in zip(sounds, row["channel_speech"], strict=True)
        ]
    )
    return tracks & ~_leaks(sounds), sounds


def channel_voices(
    tracks: np.ndarray,
    sounds: list[np.ndarray],
    runs: list[list[Span]],
    config: BuildConfig,
    channels: list[int],
) -> list[np.ndarray]:
    """The centroid of each channel's voice, from speech while the other channel is silent."""
    own = config.speakers
    network = functools.partial(encode, device=config.device)
    found = []
    for channel in channels:
        alone = [(a, b) for a, b in runs[channel] if not tracks[1 - channel, a:b].any()] or runs[
            channel
        ]
        kept, frames = [], 0
        for a, b in sorted(alone, key=lambda span: span[0] - span[1]):
            if frames < _EMBEDDED:
                kept.append((a, b))
                frames += b - a
        ((_, embeddings),) = embed_windows(
            sounds[channel], [sorted(kept)], own.window_s, own.hop_s, network
        )
        found.append(unit(embeddings.mean(axis=0)))
    return found


def _speech(
    samples: np.ndarray, begin: float, spans: list[list[float]], config: BuildConfig
) -> np.ndarray:
    """Mask `[T]` of a channel's frames with speech."""
    probabilities = segment(load_segmentation(device=config.device), samples)
    speech = [[a - begin, b - begin] for a, b in spans]
    probabilities[far_from(speech, probabilities.shape[0])] = np.eye(probabilities.shape[1])[0]
    own = config.speakers
    return best_path(probabilities, own.switch_cost, own.overlap_gain) > 0


def _leaks(sounds: list[np.ndarray]) -> np.ndarray:
    """Mask `[2, T]` of frames in which a channel has only cross-talk from the other."""
    num = min(samples.shape[0] for samples in sounds) // _FRAME
    frames = np.stack([samples[: num * _FRAME].reshape(num, _FRAME) for samples in sounds])
    level = 10 * np.log10(np.square(frames, dtype=np.float64).mean(axis=2) + 1e-12)
    loud = np.quantile(level, 0.95, axis=1, keepdims=True)
    out = np.zeros(level.shape, bool)
    for channel in (0, 1):
        behind = level[channel] - level[1 - channel]
        clear = (level[1 - channel] > loud[1 - channel] - 20.0) & (behind < -_CLEAR_DB)
        if clear.any():
            out[channel] = clear & (behind < np.median(behind[clear]) + _OVER_LEAK_DB)
    return out
