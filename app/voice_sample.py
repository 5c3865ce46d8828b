"""Cleaning and validating voice samples before cloning."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from data.audio import SAMPLE_RATE, resample
from data.audio.activity import speech_in
from data.audio.features import FRAME_S
from data.audio.snr import estimate_snr
from data.audio.voice_embedding import embed_windows, unit
from data.audio.voice_space import load_voice_space
from data.errors import InputError

MIN_SPEECH_S = 3.0
MAX_SAMPLE_S = 20.0
MIN_SNR_DB = 12.0
MAX_CLIPPED = 0.002  # maximum share of clipped samples
# one voice has 0.73 or more, two at most 0.6 (measured on synthetic voices)
MIN_AGREEMENT = 0.5
_EDGE_S = 0.1
_GAP_S = 0.2
_HEARD_HZ = 16_000
_FULL_SCALE = 0.995
_SILENT = 1e-3  # louder speech has already been levelled
_MIN_SHARE = 0.2  # minimum share of windows for a second voice


@dataclass(frozen=True)
class VoiceSample:
    """A cleaned sample.

    Attributes:
        samples: `[T]`, float32 at 24 kHz, at most `MAX_SAMPLE_S`.
        speech_s: seconds of speech.
        snr_db: speech level over the level between speech, dB, at most 60.
        agreement: cosine between its two most dissimilar parts, -1 to 1.
    """

    samples: np.ndarray
    speech_s: float
    snr_db: float
    agreement: float

    @property
    def verdict(self) -> str:
        """The quality as text."""
        noise = "clean" if self.snr_db >= 25 else "a little noisy"
        length = "a good length" if self.speech_s >= 5 else "short: 5 to 15 s are better"
        return (
            f"{self.speech_s:.1f} s of speech ({length}), {noise} "
            f"({self.snr_db:.0f} dB over the background)"
        )


def clean_sample(clips: Iterable[np.ndarray]) -> VoiceSample:
    """Trims and concatenates clips of one voice.

    Args:
        clips: each `[T]`, float32 at 24 kHz; consumed only up to `MAX_SAMPLE_S`.

    Raises:
        InputError: they are not finite, too short, clipped, noisy, or contain two voices.
    """
    kept: list[np.ndarray] = []
    loudest = 0.0
    most = round(MAX_SAMPLE_S * SAMPLE_RATE)
    for clip in clips:
        clip = np.asarray(clip, np.float32)
        loudest = max(loudest, float(np.abs(clip).max(initial=0.0)))
        kept += _trimmed(clip)
        if sum(map(len, kept)) >= most:
            break
    joined = np.concatenate(kept)[:most] if kept else np.zeros(0, np.float32)
    heard = resample(joined, SAMPLE_RATE, _HEARD_HZ)
    spans = speech_in(heard) if len(heard) else []
    speech_s = sum(end - start for start, end in spans)
    if speech_s < MIN_SPEECH_S and loudest < _SILENT:
        raise InputError(
            "the voice sample is too quiet: it is (nearly) silent; record it again closer to the "
            "microphone"
        )
    if speech_s < MIN_SPEECH_S:
        raise InputError(
            f"the voice sample contains {speech_s:.1f} s of speech; give at least "
            f"{MIN_SPEECH_S:.0f} s, better 5 to 15 s, of one person speaking"
        )
    clipped = float((np.abs(joined) >= _FULL_SCALE).mean())
    if clipped > MAX_CLIPPED:
        raise InputError(
            f"the voice sample is clipped ({100 * clipped:.1f} % of it at full scale); record it "
            "at a lower level, or further from the microphone"
        )
    snr_db = estimate_snr(heard, spans)
    if snr_db < MIN_SNR_DB:
        raise InputError(
            f"the voice sample is noisy (speech is {snr_db:.0f} dB over the background, "
            f"{MIN_SNR_DB:.0f} are needed); record it in a quiet room, without music"
        )
    agreement = voice_agreement(heard, spans)
    if agreement < MIN_AGREEMENT:
        raise InputError(
            "the sample seems to contain two voices; give a sample of one person speaking"
        )
    return VoiceSample(joined, speech_s, snr_db, agreement)


def voice_agreement(samples: np.ndarray, spans: list[list[float]]) -> float:
    """Similarity of the two most dissimilar parts of a sample: cosine between the centres of a
    2-means clustering of window embeddings; 1 if the smaller cluster is negligible.

    Args:
        samples: `[T]` at 16 kHz.
        spans: speech spans, s.
    """
    group = [(round(a / FRAME_S), round(b / FRAME_S)) for a, b in spans]
    group = [(a, b) for a, b in group if b > a]
    ((_, embeddings),) = embed_windows(samples, [group])
    points = load_voice_space()(embeddings)
    if len(points) < 2:
        return 1.0
    # Initialise with the most dissimilar pair; a few iterations converge.
    first, second = np.unravel_index(np.argmin(points @ points.T), (len(points), len(points)))
    centres = points[[first, second]]
    for _ in range(10):
        side = (points @ centres.T).argmax(axis=1)
        if side.min() == side.max():
            return 1.0
        centres = unit(np.stack([points[side == k].mean(axis=0) for k in (0, 1)]))
    share = float(min(side.mean(), 1 - side.mean()))
    return float(centres[0] @ centres[1]) if share >= _MIN_SHARE else 1.0


def _trimmed(clip: np.ndarray) -> list[np.ndarray]:
    """A clip trimmed to its speech, with a little silence at the end."""
    if clip.ndim != 1 or not np.isfinite(clip).all():
        raise InputError("the voice sample contains NaN or infinity; the recording is damaged")
    spans = speech_in(resample(clip, SAMPLE_RATE, _HEARD_HZ)) if len(clip) else []
    if not spans:
        return []
    first = max(0, round((spans[0][0] - _EDGE_S) * SAMPLE_RATE))
    last = round((spans[-1][1] + _EDGE_S) * SAMPLE_RATE)
    last = min(last, first + round(MAX_SAMPLE_S * SAMPLE_RATE))
    return [clip[first:last].copy(), np.zeros(round(_GAP_S * SAMPLE_RATE), np.float32)]


def similarity(first: np.ndarray, second: np.ndarray) -> float:
    """Cosine of the resemblyzer embeddings of two recordings `[T]` at 24 kHz."""
    means = []
    for samples in (first, second):
        heard = resample(samples, SAMPLE_RATE, _HEARD_HZ)
        whole = [(0, round(len(heard) / _HEARD_HZ / FRAME_S))]
        ((_, embeddings),) = embed_windows(heard, [whole])
        means.append(unit(embeddings.mean(axis=0)))
    return float(means[0] @ means[1])
