"""`eval vocoder`: what is left of an utterance after posterior and decoder."""

from typing import Any

import numpy as np

from models.evaluation import bars
from models.evaluation.figures import Example, Figure, Result, nothing, ratio
from models.evaluation.melody import compare, pitch_copy
from models.evaluation.panel import Panel
from models.evaluation.quality import (
    dnsmos,
    has_pesq,
    has_stoi,
    pesq,
    similarity,
    stoi,
    voice_embedding,
)
from models.evaluation.replies import Speaks
from models.evaluation.sets import EvaluationSet
from models.evaluation.words import transcribe, word_errors

NUM_EXAMPLES = 3


def evaluate(speaker: Speaks, chosen: EvaluationSet, panel: Panel) -> Result:
    """Reconstructs every item and judges copy and original."""
    originals = [item.samples for item in chosen.items]
    copies = [speaker.reconstruct(samples) for samples in originals]
    texts = [item.text for item in chosen.items]
    figures = copy_figures(originals, copies, texts, panel)
    examples = [
        Example(item.voice, item.text, {chosen.source: item.samples, "reconstructed": copy})
        for item, copy in list(zip(chosen.items, copies, strict=True))[:NUM_EXAMPLES]
    ]
    voices = sorted({item.voice for item in chosen.items})
    settings = {"items": len(originals), "source": chosen.source, "voices": voices[:24]}
    return Result("vocoder", "Vocoder: posterior and decoder", settings, figures, examples=examples)


def copy_figures(
    originals: list[np.ndarray], copies: list[np.ndarray], texts: list[str], panel: Panel
) -> list[Figure]:
    """Everything that is asked of copies `[T]` that run in step with their originals."""
    pairs = list(zip(originals, copies, strict=True))
    num = len(pairs)
    heard = panel.ask(transcribe, [(x,) for x in originals + copies])
    clean = np.array(panel.ask(dnsmos, [(x,) for x in originals + copies]))
    whose = panel.ask(voice_embedding, [(x,) for x in originals + copies])
    alike = [similarity(a, b) for a, b in zip(whose[:num], whose[num:], strict=True)]
    theirs = np.array([word_errors(t, h)[0] for t, h in zip(texts, heard[:num], strict=True)])
    ours = np.array([word_errors(t, h)[0] for t, h in zip(texts, heard[num:], strict=True)])
    words = np.array([word_errors(t, "")[1] for t in texts])
    pitches = panel.ask(pitch_copy, pairs)
    cents = np.array([row["cents"] for row in pitches])
    spectra = [row for row in panel.ask(compare, pairs) if row is not None]
    same: dict[str, Any] = {"groups": texts}
    teacher_wer = float(100 * theirs.sum() / max(words.sum(), 1))
    return [
        ratio("wer", "WER", ours, words, scale=100, unit="%", teacher=teacher_wer, **same),
        ratio("wer_difference", "WER minus teacher's", ours - theirs, words, scale=100,
              unit="points", **bars.VOCODER_WER, **same),
        ratio("similarity", "similarity to the original", alike, **bars.VOCODER_SIMILARITY, **same),
        ratio("dnsmos", "DNSMOS overall", clean[num:], teacher=float(clean[:num].mean()), **same),
        ratio("dnsmos_difference", "DNSMOS minus teacher's", clean[num:] - clean[:num],
              **bars.VOCODER_DNSMOS, **same),
        ratio("f0_cents", "F0 error", cents[np.isfinite(cents)], unit="cents"),
        ratio("voicing", "voicing errors", [row["voicing_errors"] for row in pitches], scale=100,
              unit="%"),
        _optional("pesq", "PESQ, wide band", has_pesq(), pesq, pairs, panel),
        _optional("stoi", "STOI", has_stoi(), stoi, pairs, panel),
        ratio("mcd_db", "mel-cepstral distortion, DTW", [row["mcd_db"] for row in spectra],
              unit="dB"),
    ]  # fmt: skip


def _optional(
    key: str, label: str, there: bool, judge: Any, pairs: list[tuple], panel: Panel
) -> Figure:
    if not there:
        return nothing(key, label, f"not judged: the package {'pystoi' if key == 'stoi' else key} "
                                   "is not installed")  # fmt: skip
    return ratio(key, label, [value for value in panel.ask(judge, pairs) if value is not None])
