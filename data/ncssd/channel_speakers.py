"""Diarisation of a scene with one speaker per channel.

The segmentation network runs on each channel alone, so that overlaps are as easy as single speech.
Speech no louder than the cross-talk from the other channel is attributed to the other speaker.
"""

import functools

import numpy as np

from data.audio.features import FRAME_S, RATE
from data.audio.voice_embedding import embed_windows, unit
from data.ncssd.activity import far_from
from data.ncssd.config import BuildConfig
from data.ncssd.powerset import best_path
from data.ncssd.segmentation import load_segmentation, segment
from data.ncssd.stage import Context
from data.ncssd.store import Row
from data.ncssd.stretches import Stretch, runs_of
from data.ncssd.voice_encoder import encode

_CLEAR_DB = 10.0  # level difference at which the softer channel's speaker is surely silent
_OVER_LEAK_DB = 8.0
_FRAME = round(FRAME_S * RATE)
_EMBEDDED = round(60.0 / FRAME_S)  # frames of speech used to embed a channel's voice
# Evidence for two people per share of overlapped speech. Natural conversations have 1.5 to 7 %,
# which adds 2 to 10 nats; one reader on alternating channels has none.
_NATS_OF_OVERLAP = 150.0


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


def channel_stretches(
    tracks: np.ndarray, sounds: list[np.ndarray], config: BuildConfig, channels: list[int]
) -> list[Stretch]:
    """Stretches of each channel's voice, while the other channel is silent if possible; labelled by
    the channel's place in `channels`."""
    own = config.speakers
    network = functools.partial(encode, device=config.device)
    found = []
    for label, channel in enumerate(channels):
        alone = runs_of(tracks[channel] & ~tracks[1 - channel]) or runs_of(tracks[channel])
        kept, frames = [], 0
        for a, b in sorted(alone, key=lambda span: span[0] - span[1]):
            if frames < _EMBEDDED:
                kept.append((a, b))
                frames += b - a
        groups = [[span] for span in sorted(kept)]
        windows = embed_windows(sounds[channel], groups, own.window_s, own.hop_s, network)
        found += [
            Stretch(spans, unit(embeddings.mean(axis=0)), label)
            for spans, (_, embeddings) in zip(groups, windows, strict=True)
        ]
    return found


def with_overlaps(chance: float, tracks: np.ndarray) -> float:
    """The probability that two channels have two speakers, given that their voices are two people's
    with probability `chance`, and how often both speak at once, which one person cannot."""
    share = tracks.all(axis=0).sum() / max(1, tracks.any(axis=0).sum())
    odds_of_one = (1.0 - chance) / max(chance, 1e-9) * np.exp(-_NATS_OF_OVERLAP * share)
    return float(1.0 / (1.0 + odds_of_one))


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
