"""Ground truth of overlapping voices in simulated recordings, and scores of their separation.

`<recording>.voices.safetensors` has the overlapped `regions` `[R, 2]` (first sample and end at
24 kHz) and, by voice, the int16 samples `[N]` of all regions, concatenated.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save

from data.audio import SAMPLE_RATE, read_audio
from data.audio.pcm import to_int16
from data.files import atomic_write
from data.ncssd.exports.utterances import utterances_of
from data.ncssd.store import Row
from data.ncssd.truth.score import Recording, share, speaker_map
from data.ncssd.truth.words import plain

_LEAST = SAMPLE_RATE // 10  # least overlap in samples for which a turn is scored
_TELLING = 4  # length of words that identify their speaker alone; of shorter ones, two in a row


def voices_file(media: Path) -> Path:
    return media.with_suffix(".voices.safetensors")


def write_voices(media: Path, truth: Row, voices: dict[str, np.ndarray]) -> None:
    """Stores the overlapped regions of each voice `[T]`."""
    segments = sorted(truth["segments"])
    common = [
        (max(a, c), min(b, d))
        for (a, b, who), (c, d, other) in itertools.combinations(segments, 2)
        if who != other
    ]
    regions = [[round(t * SAMPLE_RATE) for t in span] for span in sorted(common)]
    regions = [[a, b] for a, b in regions if b > a]
    content: dict[str, np.ndarray] = {"regions": np.array(regions, np.int64).reshape(-1, 2)}
    for name, own in voices.items():
        parts = [own[a:b] for a, b in regions]
        content[name] = to_int16(np.concatenate(parts)) if parts else np.zeros(0, np.int16)
    atomic_write(voices_file(media), save(content))


@dataclass
class SeparationCounts:
    """Counts and sums over recordings, from which the figures are computed."""

    overlapped: int = 0  # turns of the build with overlap
    separated: int = 0
    faint: int = 0  # whose other speaker is so faint that the mixture is kept
    measured: int = 0
    sdr_db: float = 0.0
    gain_db: float = 0.0
    with_texts: int = 0
    foreign: int = 0

    def figures(self) -> dict[str, float]:
        """Fractions, and means in dB over turns; NaN without data."""
        return {
            "overlapped_turns": self.overlapped,
            "of_them_separated": share(self.separated, self.overlapped),
            "of_them_faint": share(self.faint, self.overlapped),
            "separated_si_sdr_db": share(self.sdr_db, self.measured),
            "si_sdr_gain_db": share(self.gain_db, self.measured),
            "other_in_text": share(self.foreign, self.with_texts),
        }


def score_separation(recording: Recording, ncssd: Path) -> SeparationCounts:
    """Scores separated turns: SI-SDR in true overlaps and its gain over the mixture, and whether
    their texts contain the other speaker's words; of turns whose other speaker is faint, and of
    overlapped turns in a channel of their own, only the latter."""
    counts = SeparationCounts()
    path = voices_file(recording.media)
    parts = load_file(path) if path.is_file() else {}
    mixture = read_audio(recording.media, SAMPLE_RATE) if parts else np.zeros(0, np.float32)
    for dialogue in recording.dialogues:
        voice_of = speaker_map(recording.truth, dialogue)
        utterances = utterances_of(dialogue, ncssd)
        for turn, utterance in zip(dialogue["turns"], utterances, strict=True):
            own_channel = "channel" in turn and turn["overlap"] > 0
            if not (turn.get("mixed") or "separation_db" in turn or own_channel):
                continue
            voice = voice_of.get(turn["speaker"], "")
            if turn.get("text") and not turn.get("mixed"):
                counts.with_texts += 1
                counts.foreign += has_foreign_words(recording.truth, turn, voice)
            if own_channel:
                continue
            counts.overlapped += 1
            counts.faint += "separated" not in turn and not turn.get("mixed")
            if "separated" not in turn:
                continue
            counts.separated += 1
            if voice in parts:
                sound = read_audio(utterance.path, SAMPLE_RATE)
                begin = round(float(utterance.extra["start"]) * SAMPLE_RATE)
                _measure(counts, sound, begin, mixture, parts, voice)
    return counts


def _measure(
    counts: SeparationCounts,
    sound: np.ndarray,
    begin: int,
    mixture: np.ndarray,
    parts: dict[str, np.ndarray],
    voice: str,
) -> None:
    """Adds one turn, whose audio starts at sample `begin` of the recording."""
    found, mixed, true, at = [], [], [], 0
    for first, last in parts["regions"].tolist():
        a, b = max(first, begin), min(last, begin + sound.shape[0])
        if b > a:
            found.append(sound[a - begin : b - begin])
            mixed.append(mixture[a:b])
            true.append(parts[voice][at + a - first : at + b - first] / 32768)
        at += last - first
    if not found or sum(one.shape[0] for one in found) < _LEAST:
        return
    own = np.concatenate(true)
    after, before = (si_sdr_db(np.concatenate(x), own) for x in (found, mixed))
    counts.measured += 1
    counts.sdr_db += after
    counts.gain_db += after - before


def si_sdr_db(found: np.ndarray, true: np.ndarray) -> float:
    """Scale-invariant SDR in dB of samples `[T]` (Le Roux et al. 2019)."""
    found = (found - found.mean()).astype(np.float64)
    true = (true - true.mean()).astype(np.float64)
    own = true * (found @ true) / max(float(true @ true), 1e-12)
    error = found - own
    return 10 * float(np.log10(max(own @ own, 1e-12) / max(error @ error, 1e-12)))


def has_foreign_words(truth: Row, turn: Row, voice: str) -> bool:
    """Whether a text has words of the overlapping speaker that its own speaker does not say."""
    import jiwer

    near = [t for t in truth["turns"] if t["end"] > turn["start"] and t["start"] < turn["end"]]
    own = plain(" ".join(t["text"] for t in near if t["speaker"] == voice))
    other = set(plain(" ".join(t["text"] for t in near if t["speaker"] != voice)).split())
    other -= set(own.split())
    heard = plain(turn["text"])
    if not own or not heard or not other:
        return False
    words = heard.split()
    wrong = [False] * len(words)
    for chunk in jiwer.process_words(own, heard).alignments[0]:
        if chunk.type in ("insert", "substitute"):
            for index in range(chunk.hyp_start_idx, chunk.hyp_end_idx):
                wrong[index] = words[index] in other
    telling = any(bad and len(word) >= _TELLING for word, bad in zip(words, wrong, strict=True))
    return telling or any(a and b for a, b in itertools.pairwise(wrong))
