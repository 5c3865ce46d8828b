"""Stretches of speech in which one person speaks, and their embeddings.

A change of speaker that the segmentation network did not hear shows in the embeddings: where the
voice before and the voice after differ, a stretch is cut.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from data.ncssd import models
from data.ncssd.config import SpeakersConfig
from data.ncssd.features import FRAME_S, mel_power
from data.ncssd.voice_space import VoiceSpace

Span = tuple[int, int]  # first frame of 20 ms, one past the last

_LEVEL = 10 ** (-30 / 20)  # what the encoder was trained at: -30 dB of full scale
_BATCH = 64
_ASIDE = 4  # windows on each side of a change that are compared


@dataclass
class Stretch:
    """One person's speech without a change, in frames; `label` once it is known."""

    spans: list[Span]  # parted by pauses too short for another to have spoken in
    embedding: np.ndarray
    label: int = -1
    track: int = -1  # of the local voice

    @property
    def first(self) -> int:
        return self.spans[0][0]

    @property
    def last(self) -> int:
        return self.spans[-1][1]

    @property
    def seconds(self) -> float:
        return sum(b - a for a, b in self.spans) * FRAME_S


def make_stretches(
    samples: np.ndarray,
    groups: list[tuple[int, list[Span]]],
    change: np.ndarray,
    space: VoiceSpace,
    config: SpeakersConfig,
) -> list[Stretch]:
    """Embeds each group of spans, cutting it where the voice changes.

    Args:
        samples: [T] at 16 kHz.
        groups: what one local voice says: its track, and spans.
        change: how much the voices change, per frame.
        space: in which voices are compared.
    """
    windows = embed_windows(samples, [spans for _, spans in groups], config)
    made = []
    for (track, spans), (starts, embeddings) in zip(groups, windows, strict=True):
        for stretch in _cut(spans, starts, space(embeddings), change, config):
            stretch.track = track
            made.append(stretch)
    return made


def embed_windows(
    samples: np.ndarray, groups: list[list[Span]], config: SpeakersConfig
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each group the windows' first frames in its own time, and their embeddings [N, 256].

    Speech that is shorter than a window is repeated to fill one.
    """
    mel = mel_power(samples)
    size, hop = round(config.window_s * 100), round(config.hop_s * 100)
    windows: list[np.ndarray] = []
    starts_of: list[np.ndarray] = []
    for spans in groups:
        part = np.concatenate([mel[2 * a : 2 * b] for a, b in spans])
        level = np.concatenate([samples[a * 320 : b * 320] for a, b in spans])
        part = part * (_LEVEL**2 / (float((level**2).mean()) + 1e-10))
        if part.shape[0] < size:
            part = np.tile(part, (-(-size // part.shape[0]), 1))[:size]
        starts = np.arange(0, part.shape[0] - size + 1, hop)
        windows += [part[s : s + size] for s in starts]
        starts_of.append(starts // 2)
    encoder = models.voice_encoder()
    embeddings = np.concatenate(
        [
            encoder(np.stack(windows[i : i + _BATCH]).astype(np.float32))
            for i in range(0, len(windows), _BATCH)
        ]
    )
    edges = np.cumsum([0, *(starts.shape[0] for starts in starts_of)])
    parts = [embeddings[a:b] for a, b in itertools.pairwise(edges)]
    return list(zip(starts_of, parts, strict=True))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length 1 along the last axis."""
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)


def _cut(
    spans: list[Span],
    starts: np.ndarray,
    embeddings: np.ndarray,
    change: np.ndarray,
    config: SpeakersConfig,
) -> list[Stretch]:
    """One stretch, or two and more where the voice differs enough; each at least a window long."""
    size = round(config.window_s / FRAME_S)
    best, at = config.split_distance, -1
    for place in sorted({*starts.tolist(), *(starts + size).tolist()}):
        left = embeddings[starts + size <= place][-_ASIDE:]
        right = embeddings[starts >= place][:_ASIDE]
        if left.shape[0] and right.shape[0]:
            distance = 1.0 - float(unit(left.mean(axis=0)) @ unit(right.mean(axis=0)))
            if distance > best:
                best, at = distance, place
    if at < 0:
        return [Stretch(spans, unit(embeddings.mean(axis=0)))]
    before, after = _divide(spans, _refine(spans, at, change))
    left = starts + size <= at
    right = starts >= at
    return [
        *_cut(before, starts[left], embeddings[left], change, config),
        *_cut(after, starts[right] - at, embeddings[right], change, config),
    ]


def _refine(spans: list[Span], at: int, change: np.ndarray) -> int:
    """The likeliest frame of a change within 0.5 s: a pause, or where the network thinks so."""
    frames = np.concatenate([np.arange(a, b) for a, b in spans])
    first, last = max(1, at - 25), min(frames.shape[0] - 1, at + 25)
    if last <= first:
        return at
    pauses = [i for i in range(first, last) if frames[i] - frames[i - 1] > 1]
    if pauses:
        return min(pauses, key=lambda i: abs(i - at))
    return first + int(change[frames[first:last]].argmax())


def _divide(spans: list[Span], at: int) -> tuple[list[Span], list[Span]]:
    """Spans before and after a frame of their own time."""
    before: list[Span] = []
    after: list[Span] = []
    for a, b in spans:
        cut = min(max(a + at, a), b)
        if cut > a:
            before.append((a, cut))
        if b > cut:
            after.append((cut, b))
        at -= b - a
    return before, after
