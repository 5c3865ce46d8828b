"""Samples of a voice, before it is cloned: cleaned, and refused with the reason."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from data.audio import SAMPLE_RATE, resample
from data.errors import InputError
from data.ncssd.activity import speech_in
from data.ncssd.background import estimate_snr
from data.ncssd.config import SpeakersConfig
from data.ncssd.features import FRAME_S
from data.ncssd.stretches import embed_windows, unit
from data.ncssd.voice_space import load_voice_space

MIN_SPEECH_S = 3.0
MAX_SAMPLE_S = 20.0
MIN_SNR_DB = 12.0
MAX_CLIPPED = 0.002  # share of the samples at full scale
MIN_AGREEMENT = 0.5  # one voice has 0.74 and more, two have mostly under 0.4 (synthetic voices)
_EDGE_S = 0.1
_GAP_S = 0.2
_HEARD_HZ = 16_000
_FULL_SCALE = 0.995
_SILENT = 1e-3  # what is louder and holds speech has been brought to a working level
_MIN_SHARE = 0.2  # of the windows, for a second voice to count


@dataclass(frozen=True)
class VoiceSample:
    """A cleaned sample.

    Attributes:
        samples: `[T]`, float32 at 24 kHz, at most `MAX_SAMPLE_S`.
        speech_s: seconds of speech in it.
        snr_db: of speech over what is between it, at most 60.
        agreement: cosine of the two most different halves of its voice, -1 to 1.
    """

    samples: np.ndarray
    speech_s: float
    snr_db: float
    agreement: float

    @property
    def verdict(self) -> str:
        """The quality in words."""
        noise = "clean" if self.snr_db >= 25 else "a little noisy"
        length = "a good length" if self.speech_s >= 5 else "short: 5 to 15 s are better"
        return (
            f"{self.speech_s:.1f} s of speech ({length}), {noise} "
            f"({self.snr_db:.0f} dB over the background)"
        )


def clean_sample(clips: Iterable[np.ndarray]) -> VoiceSample:
    """Joins clips of one voice without the silence around each.

    Args:
        clips: each `[T]`, float32 at 24 kHz; no more are taken than fill `MAX_SAMPLE_S`.

    Raises:
        InputError: they are not finite, too short, clipped, noisy, or of two voices.
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
            "the voice sample is too quiet: it is silent, or nearly; record it again nearer to the "
            "microphone"
        )
    if speech_s < MIN_SPEECH_S:
        raise InputError(
            f"there are {speech_s:.1f} s of speech in the voice sample; give at least "
            f"{MIN_SPEECH_S:.0f} s, better 5 to 15 s, of one person speaking"
        )
    clipped = float((np.abs(joined) >= _FULL_SCALE).mean())
    if clipped > MAX_CLIPPED:
        raise InputError(
            f"the voice sample is clipped ({100 * clipped:.1f} % of it at full scale); record it "
            "again more softly, or further from the microphone"
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
            "there seem to be two voices in the sample; give a sample of one person speaking"
        )
    return VoiceSample(joined, speech_s, snr_db, agreement)


def voice_agreement(samples: np.ndarray, spans: list[list[float]]) -> float:
    """How alike the two most different parts of a voice are: its windows' embeddings in two
    groups (2-means), the cosine of their centres; 1 where the smaller group is nearly nothing.

    Args:
        samples: `[T]` at 16 kHz.
        spans: of speech, in seconds.
    """
    group = [(round(a / FRAME_S), round(b / FRAME_S)) for a, b in spans]
    group = [(a, b) for a, b in group if b > a]
    ((_, embeddings),) = embed_windows(samples, [group], SpeakersConfig())
    points = load_voice_space()(embeddings)
    if len(points) < 2:
        return 1.0
    # The most different pair begins; what it gathers is settled in a few rounds.
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
    """A clip from its first speech to its last, and a little silence after it."""
    if clip.ndim != 1 or not np.isfinite(clip).all():
        raise InputError("the voice sample holds NaN or infinity; the recording is damaged")
    spans = speech_in(resample(clip, SAMPLE_RATE, _HEARD_HZ)) if len(clip) else []
    if not spans:
        return []
    first = max(0, round((spans[0][0] - _EDGE_S) * SAMPLE_RATE))
    last = round((spans[-1][1] + _EDGE_S) * SAMPLE_RATE)
    last = min(last, first + round(MAX_SAMPLE_S * SAMPLE_RATE))
    return [clip[first:last].copy(), np.zeros(round(_GAP_S * SAMPLE_RATE), np.float32)]


def similarity(first: np.ndarray, second: np.ndarray) -> float:
    """Cosine of the mean embeddings of two sounds `[T]` at 24 kHz, as resemblyzer hears voices."""
    means = []
    for samples in (first, second):
        heard = resample(samples, SAMPLE_RATE, _HEARD_HZ)
        whole = [(0, round(len(heard) / _HEARD_HZ / FRAME_S))]
        ((_, embeddings),) = embed_windows(heard, [whole], SpeakersConfig())
        means.append(unit(embeddings.mean(axis=0)))
    return float(means[0] @ means[1])
