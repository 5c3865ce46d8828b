"""Voice activity of whole recordings, by silero-vad."""

import numpy as np

from data.audio import models

RATE = 16_000
WINDOW = 512  # silero-vad's window in samples, 32 ms
LANE = 512  # windows per lane, 16.4 s
CONTEXT = 64
WARM_UP = 48  # windows before a lane's first that warm up its state, 1.5 s
_RELEASE = 0.15  # hysteresis: speech ends this far below the threshold

Span = list[float]  # start and end, s


def no_past() -> np.ndarray:
    """Silence in place of the samples before a recording."""
    return np.zeros(WARM_UP * WINDOW + CONTEXT, np.float32)


def speech_in(samples: np.ndarray) -> list[Span]:
    """Spans of speech, in seconds, in samples `[T]` at 16 kHz."""
    probabilities = speech_probabilities(no_past(), samples)
    return speech_spans(probabilities, len(samples) / RATE)


def speech_spans(
    probabilities: np.ndarray,
    duration: float,
    threshold: float = 0.5,
    min_silence_s: float = 0.2,
    min_speech_s: float = 0.1,
) -> list[Span]:
    """Spans of speech from one probability per 32 ms, with hysteresis.

    Args:
        probabilities: of speech, `[N]`.
        duration: of the audio, seconds.
        threshold: probability at which speech begins.
        min_silence_s: shorter silences do not split a span.
        min_speech_s: shorter spans are dropped.
    """
    step = WINDOW / RATE
    spans: list[Span] = []
    speaking = False
    for index, probability in enumerate(probabilities.tolist()):
        if not speaking and probability >= threshold:
            spans.append([index * step, 0.0])
            speaking = True
        elif speaking and probability < threshold - _RELEASE:
            spans[-1][1] = index * step
            speaking = False
    if speaking:
        spans[-1][1] = duration
    joined: list[Span] = []
    for start, end in spans:
        if joined and start - joined[-1][1] < min_silence_s:
            joined[-1][1] = end
        else:
            joined.append([start, end])
    kept = [s for s in joined if s[1] - s[0] >= min_speech_s]
    return [[round(a, 3), round(min(b, duration), 3)] for a, b in kept]


def speech_probabilities(
    before: np.ndarray, samples: np.ndarray, device: str = "cpu"
) -> np.ndarray:
    """Speech probabilities of a block, computed as a batch of lanes, each with its own warm-up.

    The network's memory spans about a second, so that lanes that start 1.5 s early agree with a
    single pass, in a fraction of the time.
    """
    num = -(-samples.shape[0] // WINDOW)
    lanes = -(-num // LANE)
    whole = np.concatenate([before, samples, np.zeros(lanes * LANE * WINDOW, np.float32)])
    session = models.silero(device)
    state = np.zeros((2, lanes, 128), np.float32)
    starts = np.arange(lanes) * LANE * WINDOW
    out = np.empty((lanes, LANE), np.float32)
    rate = np.array(RATE, np.int64)
    for step in range(WARM_UP + LANE):
        at = starts + step * WINDOW
        batch = np.stack([whole[i : i + WINDOW + CONTEXT] for i in at])
        probability, state = session.run(None, {"input": batch, "state": state, "sr": rate})
        if step >= WARM_UP:
            out[:, step - WARM_UP] = probability[:, 0]
    return out.reshape(-1)[:num]
