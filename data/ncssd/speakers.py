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

VERSION = 1
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
    least = round(config.min_overlap_s / FRAME_S)
    both = (posterior.overlap > config.count_threshold) & speech
    overlaps = [(a, b) for a, b in runs_of(both) if b - a >= least]
    cuts = []
    for a, b in runs_of((posterior.change > config.change_threshold) & speech):
        peak = a + int(posterior.change[a:b].argmax())
        if not any(x - 10 <= peak < y + 10 for x, y in overlaps):
            # the mark is a plateau of 6 frames around the change: its middle is the change
            cuts.append((a + b) // 2 if b - a < 20 else peak)
    return runs_of(speech), overlaps, cuts


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
    long = [s for s in stretches if s.seconds >= _LONG_S] or stretches
    points = np.stack([s.embedding for s in long]).astype(np.float64)
    seconds = np.array([s.seconds for s in long])
    groups = _join(points, seconds, config.max_distance)
    totals = [float(seconds[group].sum()) for group in groups]
    least = min(config.min_cluster_s, max(totals))
    kept = [group for group, total in zip(groups, totals, strict=True) if total >= least]
    centroids = unit(np.stack([seconds[group] @ points[group] for group in kept]))
    for stretch in long:
        stretch.label = int((centroids @ stretch.embedding).argmax())
    for stretch in stretches:
        if stretch.seconds < _LONG_S and len(long) < len(stretches):
            likeness = centroids @ stretch.embedding
            near = sorted({s.label for s in _within(long, stretch.first, stretch.last)})
            stretch.label = max(near or range(len(kept)), key=lambda label: likeness[label])
    order = list(dict.fromkeys(s.label for s in stretches))
    order += [label for label in range(len(kept)) if label not in order]
    for stretch in stretches:
        stretch.label = order.index(stretch.label)
    return centroids[order]


def _join(points: np.ndarray, seconds: np.ndarray, max_distance: float) -> list[list[int]]:
    """Joins the two nearest groups until none are near: by the distance of their means.

    The mean of much speech says more of a voice than its parts, so the bound can be strict.
    """
    groups = [[i] for i in range(len(points))]
    sums = points * seconds[:, None]
    means = unit(sums)
    distance = 1.0 - means @ means.T
    np.fill_diagonal(distance, np.inf)
    while True:
        a, b = np.unravel_index(int(distance.argmin()), distance.shape)
        if distance[a, b] > max_distance:
            return [group for group in groups if group]
        groups[a], groups[b] = groups[a] + groups[b], []
        sums[a] += sums[b]
        means[a] = unit(sums[a])
        left = np.array([bool(group) for group in groups])
        left[a] = False
        distance[a, :] = distance[:, a] = np.where(left, 1.0 - means @ means[a], np.inf)
        distance[b, :] = distance[:, b] = np.inf


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
