"""Stage 4: diarisation of a scene.

The segmentation network finds the local voices in each frame, including overlaps. Embeddings of
the stretches in which one person speaks are clustered to identify the voices; the number of
speakers is not fixed. In recordings with one speaker per channel, the channels identify them
(`channel_speakers`).
"""

import functools
import itertools
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from data.audio.features import FRAME_S, RATE
from data.audio.voice_embedding import Span, embed_windows, unit
from data.ncssd.activity import far_from
from data.ncssd.config import SpeakersConfig
from data.ncssd.one_person import centre_of, load_two_people_model, split_into_people
from data.ncssd.powerset import Part, best_path, changes, parts_of
from data.ncssd.stage import Context, drop
from data.ncssd.store import Row
from data.ncssd.stretches import Stretch, make_stretches, runs_of

VERSION = 10
FILES = (
    Path(__file__).parent / "weights" / "segmentation.safetensors",
    Path(__file__).parent / "weights" / "one_person.json",
    Path(__file__).parent / "weights" / "voice_encoder.safetensors",
)
_LONG_S = 1.0  # stretches of at least this length are clustered
_SAME_S = 5.0  # within which a local voice is surely one person
_PARTNER_S = 20.0


def run(row: Row, context: Context, key: str) -> list[Row]:
    """Adds `segments` ([start, end, label], seconds in the copy), `voices` (an embedding per label)
    and `two_people` ([label, label, probability of two people] for each pair)."""
    if "given" in row:
        return [_as_given(row, context)]
    if row.get("speaker_channels"):
        return [_by_channel(row, context)]
    config = context.config.speakers
    samples = context.read(row["audio"], row["start"], row["end"], RATE)
    speech = [[a - row["start"], b - row["start"]] for a, b in row["speech"]]
    stretches, parts, num_frames = scene_stretches(samples, speech, config, context.config.device)
    if not stretches:
        return [drop(row, "no speech")]
    centroids, tracks = tell_apart(stretches, parts, num_frames, config)
    return [
        {
            **row,
            "segments": _segments(row, tracks, config),
            "voices": _rounded(centroids),
            "two_people": two_people(stretches),
        }
    ]


def _as_given(row: Row, context: Context) -> Row:
    """The same results from external diarisation; `two_people` is computed."""
    from data.ncssd.given import segments_within
    from data.ncssd.voice_encoder import encode

    offset = row.get("offset", 0.0)
    given = [[a - offset, b - offset, who] for a, b, who in row["given"]]
    segments, number = segments_within(given, row["start"], row["end"])
    row = {k: v for k, v in row.items() if k != "given"}
    if not segments:
        return drop(row, "no speech")
    samples = context.read(row["audio"], row["start"], row["end"], RATE)
    spans = [(_frame(a, row), max(_frame(a, row) + 1, _frame(b, row))) for a, b, _ in segments]
    config = context.config.speakers
    network = functools.partial(encode, device=context.config.device)
    windows = embed_windows(
        samples, [[span] for span in spans], config.window_s, config.hop_s, network
    )
    stretches = [
        Stretch([span], unit(embeddings.mean(axis=0)), int(segment[2]))
        for span, segment, (_, embeddings) in zip(spans, segments, windows, strict=True)
    ]
    return {
        **row,
        "segments": segments,
        "voices": _centroids(stretches, number),
        "two_people": two_people(stretches),
    }


def _frame(seconds: float, row: Row) -> int:
    last = round((row["end"] - row["start"]) / FRAME_S) - 2
    return max(0, min(last, round((seconds - row["start"]) / FRAME_S)))


def _by_channel(row: Row, context: Context) -> Row:
    """The same results from one speaker per channel, with `label_channels`, the channel of each
    label."""
    from data.ncssd.channel_speakers import channel_stretches, channel_tracks, with_overlaps

    config = context.config.speakers
    tracks, sounds = channel_tracks(row, context)
    order = [channel for channel in (0, 1) if tracks[channel].any()]
    order.sort(key=lambda channel: int(tracks[channel].argmax()))
    if not order:
        return drop(row, "no speech")
    stretches = channel_stretches(tracks, sounds, context.config, order)
    return {
        **row,
        "segments": _segments(row, tracks[order], config),
        "voices": _centroids(stretches, len(order)),
        "two_people": [
            [a, b, round(with_overlaps(chance, tracks), 4)]
            for a, b, chance in two_people(stretches)
        ],
        "label_channels": order,
    }


def _segments(row: Row, tracks: np.ndarray, config: SpeakersConfig) -> list[list[float]]:
    """Tracks `[K, T]` to [start, end, label], in seconds of the copy, with short pauses bridged."""
    return sorted(
        [round(row["start"] + a * FRAME_S, 3), round(row["start"] + b * FRAME_S, 3), label]
        for label, track in enumerate(tracks)
        for a, b in _bridged(runs_of(track), round(config.bridge_s / FRAME_S))
    )


def _centroids(stretches: list[Stretch], number: int) -> list[list[float]]:
    """The voice of each of `number` labels."""
    own = [[s for s in stretches if s.label == label] for label in range(number)]
    return _rounded(centre_of(group) for group in own)


def _rounded(vectors: Iterable[np.ndarray]) -> list[list[float]]:
    return [[round(float(v), 4) for v in vector] for vector in vectors]


def scene_stretches(
    samples: np.ndarray,
    speech: list[list[float]],
    config: SpeakersConfig,
    device: str = "cpu",
) -> tuple[list[Stretch], list[Part], int]:
    """The stretches and parts of a scene, and its number of frames.

    Args:
        samples: `[T]` at 16 kHz.
        speech: spans of speech in seconds, from voice activity detection.
        config: settings of the stage.
        device: where the networks run.
    """
    # imported here since it needs torch, which other stages do not
    from data.ncssd.segmentation import load_segmentation, segment

    probabilities = segment(load_segmentation(device=device), samples)
    probabilities[far_from(speech, probabilities.shape[0])] = np.eye(probabilities.shape[1])[0]
    parts = parts_of(best_path(probabilities, config.switch_cost, config.overlap_gain))
    groups = group_parts(parts, config)
    if not groups:
        return [], parts, probabilities.shape[0]
    made = make_stretches(samples, groups, changes(probabilities), config, device)
    return made, parts, probabilities.shape[0]


def two_people(stretches: list[Stretch]) -> list[list[float]]:
    """For each pair of labels: [label, label, probability that they are two people]."""
    groups: dict[int, list[Stretch]] = defaultdict(list)
    for stretch in stretches:
        groups[stretch.label].append(stretch)
    for label, own in groups.items():
        groups[label] = [s for s in own if s.seconds >= _LONG_S] or own
    judge = load_two_people_model()
    return [
        [a, b, round(judge.two_people(groups[a], groups[b]), 4)]
        for a, b in itertools.combinations(sorted(groups), 2)
    ]


def _bridged(spans: list[Span], pause: int) -> list[Span]:
    out: list[Span] = []
    for a, b in spans:
        if out and a - out[-1][1] < pause:
            out[-1] = (out[-1][0], b)
        else:
            out.append((a, b))
    return out


def group_parts(parts: list[Part], config: SpeakersConfig) -> list[tuple[int, list[Span]]]:
    """Groups single speech of one local voice over short pauses: its track and spans, in order."""
    groups: list[tuple[int, list[Span]]] = []
    pause = round(config.bridge_s / FRAME_S)
    last: Part | None = None
    for part in parts:
        same = last is not None and last.tracks == part.tracks and part.first - last.last < pause
        last = part
        if len(part.tracks) > 1:
            continue
        if same:
            groups[-1][1].append((part.first, part.last))
        else:
            track = next(iter(part.tracks))
            groups.append((track, [(part.first, part.last)]))
    return groups


def cluster(stretches: list[Stretch], config: SpeakersConfig) -> np.ndarray:
    """Labels every stretch; returns the voices' centroids `[K, 256]`, by first appearance.

    Embeddings of short stretches are unreliable, so these are assigned to a voice active nearby.
    """
    long = [s for s in stretches if s.seconds >= _LONG_S] or stretches
    groups = split_into_people(long, config.min_cluster_s, load_two_people_model())
    centroids = np.stack([centre_of(group) for group in groups])
    likeness = [centroids @ stretch.embedding for stretch in stretches]
    for stretch, like in zip(stretches, likeness, strict=True):
        stretch.label = int(like.argmax())
    clustered = {id(stretch) for stretch in long}
    for stretch, like in zip(stretches, likeness, strict=True):
        if id(stretch) not in clustered:
            stretch.label = _likeliest(stretch, like, long)
    order = list(dict.fromkeys(s.label for s in stretches))
    order += [label for label in range(len(groups)) if label not in order]
    for stretch in stretches:
        stretch.label = order.index(stretch.label)
    return centroids[order]


def _likeliest(stretch: Stretch, like: np.ndarray, long: list[Stretch]) -> int:
    """The label of a short stretch, from its similarity to each voice `[K]` and the voices
    nearby."""
    around = _within(long, stretch.first, stretch.last, round(_PARTNER_S / FRAME_S))
    near = sorted({other.label for other in around}) or list(range(like.shape[0]))
    return max(near, key=lambda label: float(like[label]))


def tell_apart(
    stretches: list[Stretch], parts: list[Part], num_frames: int, config: SpeakersConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Labels the output of `scene_stretches`; returns the voices' centroids `[K, 256]`, by first
    appearance, and when each is active, bool `[K, T]`."""
    centroids = cluster(stretches, config)
    overlaps = [part for part in parts if len(part.tracks) > 1]
    return centroids, paint(stretches, overlaps, len(centroids), num_frames)


def paint(
    stretches: list[Stretch], overlaps: list[Part], num_labels: int, num_frames: int
) -> np.ndarray:
    """Active speakers per frame, bool `[K, T]`; two in an overlap."""
    tracks = np.zeros((num_labels, num_frames), bool)
    for stretch in stretches:
        for a, b in stretch.spans:
            tracks[stretch.label, a:b] = True
    for part in overlaps:
        for label in _pair(stretches, part):
            tracks[label, part.first : part.last] = True
    return tracks


def _pair(stretches: list[Stretch], part: Part) -> list[int]:
    """The labels active in an overlap: two, or one if nobody else speaks near it.

    These are the speakers of its local voices if they also speak alone nearby; else the speakers
    before and after it; if those are one, also whoever else speaks most within 20 s.
    """
    reach = round(_SAME_S / FRAME_S)
    found = set()
    for track in part.tracks:
        own = [s for s in _within(stretches, part.first, part.last, reach) if s.track == track]
        if own:
            found.add(min(own, key=lambda s: max(s.first - part.last, part.first - s.last)).label)
    if len(found) == 2:
        return sorted(found)
    before = [s.label for s in stretches if s.last <= part.first]
    after = [s.label for s in stretches if s.first >= part.last]
    sides = {*before[-1:], *after[:1]}
    if len(sides) == 2:
        return sorted(sides)
    spoken: dict[int, float] = {}
    for stretch in _within(stretches, part.first, part.last, round(_PARTNER_S / FRAME_S)):
        if stretch.label not in sides:
            spoken[stretch.label] = spoken.get(stretch.label, 0.0) + stretch.seconds
    return sorted([*sides, *sorted(spoken, key=lambda label: -spoken[label])[:1]])


def _within(stretches: list[Stretch], first: int, last: int, reach: int) -> list[Stretch]:
    """Stretches within `reach` frames of a range."""
    return [s for s in stretches if s.last > first - reach and s.first < last + reach]
