"""Stage 2: speech activity by silero-vad, and scenes cut at long silence."""

import numpy as np
import soundfile

from data.audio import SAMPLE_RATE, StreamResampler
from data.ncssd import models
from data.ncssd.config import ActivityConfig
from data.ncssd.stage import Context, drop
from data.ncssd.store import Row

VERSION = 1
RATE = 16_000
WINDOW = 512  # samples that silero-vad judges at once: 32 ms
_CONTEXT = 64
_LANE = 512  # windows a lane: 16.4 s
_WARM_UP = 48  # windows that a lane hears before its own: 1.5 s
_LANES = 32
_RELEASE = 0.15  # speech ends at this much below the threshold

Span = list[float]  # start and end, seconds


def run(row: Row, context: Context, key: str) -> list[Row]:
    """A working copy to one row a scene: `start`, `end`, `speech` (spans, in seconds)."""
    config = context.config.activity
    probabilities = _probabilities(context.store.root / row["audio"])
    spans = speech_spans(probabilities, row["duration"], config)
    if not spans:
        return [drop(row, "no speech")]
    scenes = []
    for part in split_scenes(spans, config):
        start, end = part[0][0], part[-1][1]
        scene = {**row, "start": start, "end": end, "speech": part}
        share = sum(b - a for a, b in part) / (end - start)
        if end - start < config.min_scene_s:
            scene = drop(scene, "scene too short")
        elif share < config.min_speech_share:
            scene = drop(scene, "too little speech")
        scenes.append(scene)
    return scenes


def speech_spans(probabilities: np.ndarray, duration: float, config: ActivityConfig) -> list[Span]:
    """Spans of speech from probabilities, one each 32 ms, by hysteresis."""
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
    """Spans of speech in samples at 16 kHz, [T], in seconds."""
    probabilities = _judge(np.zeros(_WARM_UP * WINDOW + _CONTEXT, np.float32), samples)
    return speech_spans(probabilities, len(samples) / RATE, config or ActivityConfig())


def split_scenes(spans: list[Span], config: ActivityConfig) -> list[list[Span]]:
    """Scenes: runs of spans without a silence over `scene_silence_s`, none too long."""
    scenes: list[list[Span]] = []
    for span in spans:
        if scenes and span[0] - scenes[-1][-1][1] <= config.scene_silence_s:
            scenes[-1].append(span)
        else:
            scenes.append([span])
    return [part for scene in scenes for part in _shorten(scene, config.max_scene_s)]


def _shorten(scene: list[Span], limit: float) -> list[list[Span]]:
    """Cuts a scene that is too long, each time at its longest pause before the limit."""
    parts = []
    while scene[-1][1] - scene[0][0] > limit:
        begin = scene[0][0]
        inside = [i for i in range(1, len(scene)) if scene[i - 1][1] - begin <= limit]
        late = [i for i in inside if scene[i][0] - begin >= limit / 2] or inside
        if late:
            cut = max(late, key=lambda i: scene[i][0] - scene[i - 1][1])
            parts.append(scene[:cut])
            scene = scene[cut:]
        else:  # one span beyond the limit: cut it in the middle of sound
            middle = round(begin + limit, 3)
            parts.append([[begin, middle]])
            scene = [[middle, scene[0][1]], *scene[1:]]
    return [*parts, scene]


def _probabilities(path: str) -> np.ndarray:
    """Speech probability of each 32 ms of a working copy, read in blocks."""
    out, held = [], np.zeros(_WARM_UP * WINDOW + _CONTEXT, np.float32)
    fresh = np.zeros(0, np.float32)
    block = _LANES * _LANE * WINDOW
    resampler = StreamResampler(SAMPLE_RATE, RATE)
    with soundfile.SoundFile(path) as file:
        while True:
            samples = file.read(SAMPLE_RATE * 60, dtype="float32")
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
    """Probabilities of a block. It is heard in lanes side by side, each with its own warm-up.

    The network remembers about a second, so lanes that begin 1.5 s early agree with one pass, and
    a batch of lanes takes a fraction of the time.
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
