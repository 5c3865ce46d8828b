"""Stage 2: voice activity detection (silero-vad), and scenes split at long silences."""

from pathlib import Path

import numpy as np
import soundfile

from data.audio import SAMPLE_RATE, StreamResampler
from data.ncssd import models
from data.ncssd.config import ActivityConfig
from data.ncssd.features import FRAME_S
from data.ncssd.stage import Context, drop, under
from data.ncssd.store import Row

VERSION = 2
RATE = 16_000
WINDOW = 512  # silero-vad's window in samples, 32 ms
_CONTEXT = 64
_LANE = 512  # windows per lane, 16.4 s
_WARM_UP = 48  # windows before a lane's first that warm up its state, 1.5 s
_LANES = 32
_RELEASE = 0.15  # hysteresis: speech ends this far below the threshold
_NEAR_S = 0.1  # speech is at most this far from a detected span
_LEAST_OF_CHANNEL_S = 2.0  # a channel with less speech has no speaker

Span = list[float]  # start and end, seconds


def run(row: Row, context: Context, key: str) -> list[Row]:
    """A working copy to one row per scene: `start`, `end`, `speech` (spans, in seconds)."""
    config = context.config.activity
    path = context.store.root / row["audio"]
    if row.get("speaker_channels"):
        own = [speech_spans(_probabilities(path, i), row["duration"], config) for i in range(2)]
        if min(sum(b - a for a, b in spans) for spans in own) >= _LEAST_OF_CHANNEL_S:
            return _channel_scenes(row, own, config)
        row = {k: v for k, v in row.items() if k != "speaker_channels"}  # one is silent
    return _scenes(row, speech_spans(_probabilities(path), row["duration"], config), config)


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
            why = under("seconds", end - start, config.min_scene_s, "activity.min_scene_s")
            scene = drop(scene, "scene too short", why)
        elif share < config.min_speech_share:
            why = under("speech", share, config.min_speech_share, "activity.min_speech_share")
            scene = drop(scene, "too little speech", why)
        scenes.append(scene)
    return scenes or [drop(row, "no speech")]


def _within(spans: list[Span], given: list[Span], config: ActivityConfig) -> list[list[Span]]:
    """Scenes at given times, each the spans of speech inside."""
    inside = [[[max(a, s), min(b, e)] for a, b in spans if a < e and b > s] for s, e in given]
    return [part for scene in inside if scene for part in _shorten(scene, config.max_scene_s)]


def speech_spans(probabilities: np.ndarray, duration: float, config: ActivityConfig) -> list[Span]:
    """Spans of speech from one probability per 32 ms, with hysteresis."""
    step = WINDOW / RATE
    spans: list[Span] = []
    speaking = False
    for index, probability in enumerate(probabilities.tolist()):
        if not speaking and probability >= config.threshold:
            spans.append([index * step, 0.0])
            speaking = True
        elif speaking and probability < config.threshold - _RELEASE:
            spans[-1][1] = index * step
            speaking = False
    if speaking:
        spans[-1][1] = duration
    joined: list[Span] = []
    for start, end in spans:
        if joined and start - joined[-1][1] < config.min_silence_s:
            joined[-1][1] = end
        else:
            joined.append([start, end])
    kept = [s for s in joined if s[1] - s[0] >= config.min_speech_s]
    return [[round(a, 3), round(min(b, duration), 3)] for a, b in kept]


def speech_in(samples: np.ndarray, config: ActivityConfig | None = None) -> list[Span]:
    """Spans of speech, in seconds, in samples `[T]` at 16 kHz."""
    probabilities = _judge(np.zeros(_WARM_UP * WINDOW + _CONTEXT, np.float32), samples)
    return speech_spans(probabilities, len(samples) / RATE, config or ActivityConfig())


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


def _probabilities(path: Path, channel: int | None = None) -> np.ndarray:
    """Speech probability per 32 ms of a working copy, or of one channel, read in blocks."""
    out, held = [], np.zeros(_WARM_UP * WINDOW + _CONTEXT, np.float32)
    fresh = np.zeros(0, np.float32)
    block = _LANES * _LANE * WINDOW
    resampler = StreamResampler(SAMPLE_RATE, RATE)
    with soundfile.SoundFile(path) as file:
        while True:
            both = file.read(SAMPLE_RATE * 60, dtype="float32", always_2d=True)
            samples = both.mean(axis=1) if channel is None else both[:, channel]
            last = samples.shape[0] == 0
            fresh = np.concatenate([fresh, resampler.flush() if last else resampler.push(samples)])
            while fresh.shape[0] >= block or (last and fresh.shape[0]):
                part, fresh = fresh[:block], fresh[block:]
                out.append(_judge(held, part))
                held = np.concatenate([held, part])[-held.shape[0] :]
            if last:
                break
    return np.concatenate(out) if out else np.zeros(0, np.float32)


def _judge(before: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Speech probabilities of a block, computed as a batch of lanes, each with its own warm-up.

    The network's memory spans about a second, so that lanes that start 1.5 s early agree with a
    single pass, in a fraction of the time.
    """
    num = -(-samples.shape[0] // WINDOW)
    lanes = -(-num // _LANE)
    whole = np.concatenate([before, samples, np.zeros(lanes * _LANE * WINDOW, np.float32)])
    session = models.silero()
    state = np.zeros((2, lanes, 128), np.float32)
    starts = np.arange(lanes) * _LANE * WINDOW
    out = np.empty((lanes, _LANE), np.float32)
    rate = np.array(RATE, np.int64)
    for step in range(_WARM_UP + _LANE):
        at = starts + step * WINDOW
        batch = np.stack([whole[i : i + WINDOW + _CONTEXT] for i in at])
        probability, state = session.run(None, {"input": batch, "state": state, "sr": rate})
        if step >= _WARM_UP:
            out[:, step - _WARM_UP] = probability[:, 0]
    return out.reshape(-1)[:num]
