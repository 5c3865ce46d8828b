"""Stretches of single-speaker speech, and their embeddings.

Stretches are split where embeddings before and after differ, which finds speaker changes that the
segmentation network has missed.
"""

import functools
from dataclasses import dataclass

import numpy as np

from data.audio.features import FRAME_S
from data.audio.voice_embedding import Span, embed_windows, unit
from data.ncssd.config import SpeakersConfig

_ASIDE = 4  # windows compared on each side of a change


@dataclass
class Stretch:
    """Contiguous speech of one person.

    Attributes:
        spans: in frames, separated by pauses too short for another speaker.
        embedding: unit vector, `[256]`.
        label: the speaker in the scene; -1 until clustering.
        track: the local voice of the segmentation network.
    """

    spans: list[Span]
    embedding: np.ndarray
    label: int = -1
    track: int = -1

    @property
    def first(self) -> int:
        return self.spans[0][0]

    @property
    def last(self) -> int:
        return self.spans[-1][1]

    @property
    def seconds(self) -> float:
        return sum(b - a for a, b in self.spans) * FRAME_S


def runs_of(mask: np.ndarray) -> list[Span]:
    """Runs of true values in a mask `[T]`, as spans."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def make_stretches(
    samples: np.ndarray,
    groups: list[tuple[int, list[Span]]],
    change: np.ndarray,
    config: SpeakersConfig,
    device: str = "cpu",
) -> list[Stretch]:
    """Embeds each group of spans, splitting it where the voice changes.

    Args:
        samples: `[T]` at 16 kHz.
        groups: (track, spans) of single speech of one local voice.
        change: how much the active voices change at each frame, `[T // 320]`.
        config: settings of the stage.
        device: where the voice encoder runs.
    """
    from data.ncssd.voice_encoder import encode  # needs torch, which other stages do not

    all_spans = [spans for _, spans in groups]
    network = functools.partial(encode, device=device)
    windows = embed_windows(samples, all_spans, config.window_s, config.hop_s, network)
    made = []
    for (track, spans), (starts, embeddings) in zip(groups, windows, strict=True):
        for stretch in _cut(spans, starts, embeddings, change, config):
            stretch.track = track
            made.append(stretch)
    return made


def _cut(
    spans: list[Span],
    starts: np.ndarray,
    embeddings: np.ndarray,
    change: np.ndarray,
    config: SpeakersConfig,
) -> list[Stretch]:
    """Splits spans recursively where the voice changes, into stretches of at least one window."""
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
    """The most likely frame of a change within 0.5 s: the nearest pause, else the network's largest
    change."""
    frames = np.concatenate([np.arange(a, b) for a, b in spans])
    first, last = max(1, at - 25), min(frames.shape[0] - 1, at + 25)
    if last <= first:
        return at
    pauses = [i for i in range(first, last) if frames[i] - frames[i - 1] > 1]
    if pauses:
        return min(pauses, key=lambda i: abs(i - at))
    return first + int(change[frames[first:last]].argmax())


def _divide(spans: list[Span], at: int) -> tuple[list[Span], list[Span]]:
    """Splits spans at a frame counted within them."""
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
