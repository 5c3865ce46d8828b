"""Stage 4: who speaks when in a scene.

The segmentation network tells where there is speech, where two speak at once and where one gives
way to another. Between those marks one person speaks: an embedding of each such stretch, and a
clustering of the scene's embeddings, tell who. Nothing forces two speakers on a scene.
"""

import itertools
from pathlib import Path

import numpy as np

from data.ncssd.config import SpeakersConfig
from data.ncssd.features import FRAME_S, RATE, Posterior
from data.ncssd.stage import Context, drop
from data.ncssd.store import Row
from data.ncssd.stretches import Span, Stretch, make_stretches, unit
from data.ncssd.voice_space import load_voice_space

VERSION = 2
_FOLDER = Path(__file__).parent / "weights"
FILES = (_FOLDER / "segmentation.safetensors", _FOLDER / "voices.safetensors")
_NEAR_S = 0.3  # speech lies at most this far from what silero-vad heard
_LONG_S = 1.0  # a stretch of this length is told by its voice; clusters are made of these
_MIN_RUN = 4  # frames: shorter speech or silence is a flicker
_EDGE = 6  # frames
_PARTNER_S = 20.0


def run(row: Row, context: Context, key: str) -> list[Row]:
    """Adds `segments` ([start, end, label], seconds in the copy) and `voices` (embeddings)."""
    # here, since it brings torch, which the processes of the other stages can do without
    from data.ncssd.segmentation import load_segmentation, segment

    config = context.config.speakers
    samples = context.read(row["audio"], row["start"], row["end"], RATE)
    posterior = segment(load_segmentation(), samples)
    near = _near([[a - row["start"], b - row["start"]] for a, b in row["speech"]], posterior)
    runs, overlaps, cuts = find_marks(posterior, near, config)
    groups = group_spans(solo_spans(runs, overlaps, cuts), posterior.change, config)
    if not groups:
        return [drop(row, "no speech")]
    stretches = make_stretches(samples, groups, posterior.change, load_voice_space(), config)
    centroids = cluster(stretches, config)
    tracks = paint(stretches, overlaps, centroids.shape[0], posterior.speech.shape[0])
    segments = [
        [round(row["start"] + a * FRAME_S, 3), round(row["start"] + b * FRAME_S, 3), label]
        for label, track in enumerate(tracks)
        for a, b in _bridged(runs_of(track), round(config.bridge_s / FRAME_S))
    ]
    voices = [[round(float(v), 4) for v in c] for c in centroids]
    return [{**row, "segments": sorted(segments), "voices": voices}]


def runs_of(mask: np.ndarray) -> list[Span]:
    """Where a mask [T] is true, as spans."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _bridged(spans: list[Span], pause: int) -> list[Span]:
    out: list[Span] = []
    for a, b in spans:
        if out and a - out[-1][1] < pause:
            out[-1] = (out[-1][0], b)
        else:
            out.append((a, b))
    return out


def find_marks(
    posterior: Posterior, near: np.ndarray, config: SpeakersConfig
) -> tuple[list[Span], list[Span], list[int]]:
    """Runs of speech, spans of overlap inside them, and frames at which the speaker changes."""
    speech = (posterior.speech > config.count_threshold) & near
    for a, b in runs_of(~speech):
        if b - a < _MIN_RUN and a > 0 and b < speech.shape[0]:
            speech[a:b] = True
    for a, b in runs_of(speech):
        if b - a < _MIN_RUN:
            speech[a:b] = False
    overlaps = find_overlaps(posterior.overlap * speech, config)
    cuts = []
    for a, b in runs_of((posterior.change > config.change_threshold) & speech):
        peak = a + int(posterior.change[a:b].argmax())
        if not any(x - 10 <= peak < y + 10 for x, y in overlaps):
            # the mark is a plateau of 6 frames around the change: its middle is the change
            cuts.append((a + b) // 2 if b - a < 20 else peak)
    return runs_of(speech), overlaps, cuts


def find_overlaps(chance: np.ndarray, config: SpeakersConfig) -> list[Span]:
    """Where two speak at once: around each frame that is surely so, as far as it may be so."""
    least = round(config.min_overlap_s / FRAME_S)
    maybe = runs_of(chance > config.overlap_floor)
    surely = [(a, b) for a, b in maybe if chance[a:b].max() > config.overlap_threshold]
    return [(a, b) for a, b in surely if b - a >= least]


def solo_spans(runs: list[Span], overlaps: list[Span], cuts: list[int]) -> list[Span]:
    """The stretches in which one person speaks, in order."""
    spans = []
    for first, last in runs:
        # a change that is marked at the edge of speech is the edge
        edges = [first, last, *(c for c in cuts if first + _EDGE < c < last - _EDGE)]
        inside = [o for o in overlaps if o[0] >= first and o[1] <= last]
        edges += [edge for overlap in inside for edge in overlap]
        edges = sorted(set(edges))
        for a, b in itertools.pairwise(edges):
            if not any(x <= a and b <= y for x, y in inside):
                spans.append((a, b))
    return spans


def group_spans(spans: list[Span], change: np.ndarray, config: SpeakersConfig) -> list[list[Span]]:
    """Joins stretches over short pauses at whose end no change of speaker is marked."""
    groups: list[list[Span]] = []
    pause = round(config.bridge_s / FRAME_S)
    for a, b in spans:
        if groups and 0 < a - groups[-1][-1][1] < pause:
            near = change[max(0, a - _EDGE) : a + _EDGE]
            if near.max(initial=0.0) < config.same_threshold:
                groups[-1].append((a, b))
                continue
        groups.append([(a, b)])
    return groups


def cluster(stretches: list[Stretch], config: SpeakersConfig) -> np.ndarray:
    """Labels every stretch; returns the voices' centroids [K, 256], by first appearance.

    A short stretch tells little of its voice: it goes to one of the voices heard around it.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    long = [s for s in stretches if s.seconds >= _LONG_S] or stretches
    points = np.stack([s.embedding for s in long]).astype(np.float64)
    if len(long) == 1:
        groups = np.array([1])
    else:
        tree = linkage(points, "average", metric="cosine")
        groups = fcluster(tree, config.max_distance, "distance")
    seconds = np.array([s.seconds for s in long])
    totals = {int(g): float(seconds[groups == g].sum()) for g in np.unique(groups)}
    least = min(config.min_cluster_s, max(totals.values()))
    kept = [g for g, total in totals.items() if total >= least]
    centroids = unit(np.stack([seconds[groups == g] @ points[groups == g] for g in kept]))
    likeness = [centroids @ stretch.embedding for stretch in stretches]
    for stretch, like in zip(stretches, likeness, strict=True):
        stretch.label = int(like.argmax())
    for stretch, like in zip(stretches, likeness, strict=True):
        near = {s.label for s in _within(long, stretch.first, stretch.last)}
        if stretch.seconds < _LONG_S and near:
            stretch.label = max(sorted(near), key=lambda label, like=like: like[label])
    order = list(dict.fromkeys(s.label for s in stretches))
    order += [label for label in range(len(kept)) if label not in order]
    for stretch in stretches:
        stretch.label = order.index(stretch.label)
    return centroids[order]


def paint(
    stretches: list[Stretch], overlaps: list[Span], num_labels: int, num_frames: int
) -> np.ndarray:
    """Who is heard in each frame: [K, T]. In an overlap two are: those on its two sides.

    Where one person speaks before and after it, it is an interjection by whoever else speaks
    most within 20 s.
    """
    tracks = np.zeros((num_labels, num_frames), bool)
    for stretch in stretches:
        for a, b in stretch.spans:
            tracks[stretch.label, a:b] = True
    for a, b in overlaps:
        pair = _around(stretches, a, b)
        for label in pair:
            tracks[label, a:b] = True
    return tracks


def _around(stretches: list[Stretch], first: int, last: int) -> list[int]:
    """Who is heard in an overlap: two labels, or one where nobody else speaks near it."""
    before = [s.label for s in stretches if s.last <= first]
    after = [s.label for s in stretches if s.first >= last]
    sides = {*before[-1:], *after[:1]}
    if len(sides) == 2:
        return sorted(sides)
    spoken: dict[int, float] = {}
    for stretch in _within(stretches, first, last):
        if stretch.label not in sides:
            spoken[stretch.label] = spoken.get(stretch.label, 0.0) + stretch.seconds
    return sorted([*sides, *sorted(spoken, key=lambda label: -spoken[label])[:1]])


def _within(stretches: list[Stretch], first: int, last: int) -> list[Stretch]:
    """What is said from 20 s before to 20 s after some frames."""
    reach = round(_PARTNER_S / FRAME_S)
    return [s for s in stretches if s.last > first - reach and s.first < last + reach]


def _near(spans: list[list[float]], posterior: Posterior) -> np.ndarray:
    mask = np.zeros(posterior.speech.shape[0], bool)
    for start, end in spans:
        mask[max(0, round((start - _NEAR_S) / FRAME_S)) : round((end + _NEAR_S) / FRAME_S)] = True
    return mask
