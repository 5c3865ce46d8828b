"""Stage 2: voice activity detection (silero-vad), and scenes split at long silences."""

from pathlib import Path

import numpy as np
import soundfile

from data.audio import SAMPLE_RATE, StreamResampler
from data.audio.activity import (
    LANE,
    RATE,
    WINDOW,
    Span,
    no_past,
    speech_probabilities,
    speech_spans,
)
from data.audio.features import FRAME_S
from data.ncssd.config import ActivityConfig
from data.ncssd.stage import Context, drop, under
from data.ncssd.store import Row

VERSION = 3
_LANES = 32
_NEAR_S = 0.1  # speech is at most this far from a detected span
_LEAST_OF_CHANNEL_S = 2.0  # a channel with less speech has no speaker


def run(row: Row, context: Context, key: str) -> list[Row]:
    """A working copy to one row per scene: `start`, `end`, `speech` (spans, in seconds)."""
    config = context.config.activity
    path = context.store.root / row["audio"]
    device = context.config.device
    if row.get("speaker_channels"):
        own = [_spans(_probabilities(path, device, i), row["duration"], config) for i in range(2)]
        if min(sum(b - a for a, b in spans) for spans in own) >= _LEAST_OF_CHANNEL_S:
            return _channel_scenes(row, own, config)
        row = {k: v for k, v in row.items() if k != "speaker_channels"}  # one is silent
    return _scenes(row, _spans(_probabilities(path, device), row["duration"], config), config)


def _spans(probabilities: np.ndarray, duration: float, config: ActivityConfig) -> list[Span]:
    limits = config.threshold, config.min_silence_s, config.min_speech_s
    return speech_spans(probabilities, duration, *limits)


def _channel_scenes(row: Row, own: list[list[Span]], config: ActivityConfig) -> list[Row]:
    """Scenes of both channels' speech, with `channel_speech`, the spans of each channel."""
    scenes = _scenes(row, join_spans([*own[0], *own[1]]), config)
    return [
        {
            **scene,
            "channel_speech": [
                [s for s in spans if s[0] < scene["end"] and s[1] > scene["start"]] for spans in own
            ],
        }
        for scene in scenes
        if "start" in scene
    ]


def far_from(spans: list[list[float]], num_frames: int) -> np.ndarray:
    """Mask `[T]` of the 20 ms frames that are not near a span of speech."""
    mask = np.ones(num_frames, bool)
    for start, end in spans:
        mask[max(0, round((start - _NEAR_S) / FRAME_S)) : round((end + _NEAR_S) / FRAME_S)] = False
    return mask


def join_spans(spans: list[Span]) -> list[Span]:
    """The union of spans, ordered and disjoint."""
    out: list[Span] = []
    for start, end in sorted(spans):
        if out and start <= out[-1][1]:
            out[-1][1] = max(end, out[-1][1])
        else:
            out.append([start, end])
    return out


def _scenes(row: Row, spans: list[Span], config: ActivityConfig) -> list[Row]:
    if not spans:
        return [drop(row, "no speech")]
    scenes = []
    given = row.get("spans")
    row = {k: v for k, v in row.items() if k != "spans"}
    parts = split_scenes(spans, config) if given is None else _within(spans, given, config)
    for part in parts:
        start, end = part[0][0], part[-1][1]
        scene = {**row, "start": start, "end": end, "speech": part}
        share = sum(b - a for a, b in part) / (end - start)
        if end - start < config.min_scene_s:
            why = under("seconds", end - start, config.min_scene_s, "--min-scene")
            scene = drop(scene, "scene too short", why)
        elif share < config.min_speech_share:
            why = under("speech", share, config.min_speech_share, "--min-speech")
            scene = drop(scene, "too little speech", why)
        scenes.append(scene)
    return scenes or [drop(row, "no speech")]


def _within(spans: list[Span], given: list[Span], config: ActivityConfig) -> list[list[Span]]:
    """Scenes at given times, each the spans of speech inside."""
    inside = [[[max(a, s), min(b, e)] for a, b in spans if a < e and b > s] for s, e in given]
    return [part for scene in inside if scene for part in _shorten(scene, config.max_scene_s)]


def split_scenes(spans: list[Span], config: ActivityConfig) -> list[list[Span]]:
    """Groups spans into scenes, split at silences over `scene_silence_s` and at `max_scene_s`."""
    scenes: list[list[Span]] = []
    for span in spans:
        if scenes and span[0] - scenes[-1][-1][1] <= config.scene_silence_s:
            scenes[-1].append(span)
        else:
            scenes.append([span])
    return [part for scene in scenes for part in _shorten(scene, config.max_scene_s)]


def _shorten(scene: list[Span], limit: float) -> list[list[Span]]:
    """Splits a scene longer than `limit` seconds at its longest pause before each limit."""
    parts = []
    while scene[-1][1] - scene[0][0] > limit:
        begin = scene[0][0]
        inside = [i for i in range(1, len(scene)) if scene[i - 1][1] - begin <= limit]
        late = [i for i in inside if scene[i][0] - begin >= limit / 2] or inside
        if late:
            cut = max(late, key=lambda i: scene[i][0] - scene[i - 1][1])
            parts.append(scene[:cut])
            scene = scene[cut:]
        else:  # a span longer than the limit: split it in mid-speech
            middle = round(begin + limit, 3)
            parts.append([[begin, middle]])
            scene = [[middle, scene[0][1]], *scene[1:]]
    return [*parts, scene]


def _probabilities(path: Path, device: str, channel: int | None = None) -> np.ndarray:
    """Speech probability per 32 ms of a working copy, or of one channel, read in blocks."""
    out, held = [], no_past()
    fresh = np.zeros(0, np.float32)
    block = _LANES * LANE * WINDOW
    resampler = StreamResampler(SAMPLE_RATE, RATE)
    with soundfile.SoundFile(path) as file:
        while True:
            both = file.read(SAMPLE_RATE * 60, dtype="float32", always_2d=True)
            samples = both.mean(axis=1) if channel is None else both[:, channel]
            last = samples.shape[0] == 0
            fresh = np.concatenate([fresh, resampler.flush() if last else resampler.push(samples)])
            while fresh.shape[0] >= block or (last and fresh.shape[0]):
                part, fresh = fresh[:block], fresh[block:]
                out.append(speech_probabilities(held, part, device))
                held = np.concatenate([held, part])[-held.shape[0] :]
            if last:
                break
    return np.concatenate(out) if out else np.zeros(0, np.float32)
