"""`eval vocoder`: copy synthesis through posterior and decoder."""

from typing import Any

import numpy as np

from models.evaluation import bars
from models.evaluation.figures import Example, Figure, Result, ratio
from models.evaluation.melody import compare, pitch_copy
from models.evaluation.panel import Panel
from models.evaluation.quality import (
    distillmos,
    dnsmos,
    similarity,
    stoi,
    voice_embedding,
)
from models.evaluation.replies import EvaluatedSpeaker
from models.evaluation.sets import EvaluationSet, Item
from models.evaluation.strata import by_stratum
from models.evaluation.words import WORD_ERRORS, transcribe, word_errors

NUM_EXAMPLES = 3


def evaluate(speaker: EvaluatedSpeaker, chosen: EvaluationSet, panel: Panel) -> Result:
    """Reconstructs every item and scores copy and original."""
    copies = [speaker.reconstruct(item.samples) for item in chosen.items]

    def measure(places: list[int]) -> list[Figure]:
        return copy_figures([chosen.items[i] for i in places], [copies[i] for i in places], panel)

    figures = by_stratum(chosen.items, measure)
    examples = [
        Example(item.voice, item.text, {chosen.source: item.samples, "reconstructed": copy})
        for item, copy in list(zip(chosen.items, copies, strict=True))[:NUM_EXAMPLES]
    ]
    voices = sorted({item.voice for item in chosen.items})
    settings = {"items": len(copies), "source": chosen.source, "voices": voices[:24]}
    return Result("vocoder", "Vocoder: posterior and decoder", settings, figures, examples=examples)


def copy_figures(items: list[Item], copies: list[np.ndarray], panel: Panel) -> list[Figure]:
    """All figures of time-aligned copies `[T]` of items; the items are of one language."""
    originals = [item.samples for item in items]
    pairs = list(zip(originals, copies, strict=True))
    whose = panel.ask(voice_embedding, [(x,) for x in originals + copies])
    alike = [
        similarity(a, b) for a, b in zip(whose[: len(items)], whose[len(items) :], strict=True)
    ]
    pitches = panel.ask(pitch_copy, pairs)
    cents = np.array([row["cents"] for row in pitches])
    spectra = [row for row in panel.ask(compare, pairs) if row is not None]
    return [
        *_word_figures(items, copies, panel),
        ratio("similarity", "similarity to the original", alike, **bars.VOCODER_SIMILARITY),
        *_quality_figures(items, copies, panel),
        ratio("f0_cents", "F0 error", cents[np.isfinite(cents)], unit="cents"),
        ratio("voicing", "voicing errors", [row["voicing_errors"] for row in pitches], scale=100,
              unit="%"),
        ratio("stoi", "STOI", panel.ask(stoi, pairs)),
        ratio("mcd_db", "mel-cepstral distortion, DTW", [row["mcd_db"] for row in spectra],
              unit="dB"),
    ]  # fmt: skip


def _word_figures(items: list[Item], copies: list[np.ndarray], panel: Panel) -> list[Figure]:
    language = items[0].language
    sounds = [*(item.samples for item in items), *copies]
    heard = panel.ask(transcribe, [(sound, language) for sound in sounds])
    counts = [
        word_errors(item.text, text, language)
        for item, text in zip([*items, *items], heard, strict=True)
    ]
    theirs, ours = np.array(counts[: len(items)]), np.array(counts[len(items) :])
    words = theirs[:, 1]
    same: dict[str, Any] = {"groups": [item.text for item in items], "scale": 100}
    teacher = float(100 * theirs[:, 0].sum() / max(words.sum(), 1))
    name = WORD_ERRORS[language]
    return [
        ratio("wer", name, ours[:, 0], words, unit="%", teacher=teacher, **same),
        ratio("wer_difference", f"{name} minus the original's", ours[:, 0] - theirs[:, 0], words,
              unit="points", **bars.VOCODER_WER, **same),
    ]  # fmt: skip


def _quality_figures(items: list[Item], copies: list[np.ndarray], panel: Panel) -> list[Figure]:
    """DistillMOS, its loss, and DNSMOS."""
    sounds = [(sound,) for sound in (*(item.samples for item in items), *copies)]
    num, same = len(items), dict[str, Any](groups=[item.text for item in items])
    natural, clean = (np.array(panel.ask(judge, sounds)) for judge in (distillmos, dnsmos))
    lost = natural[:num] - natural[num:]
    return [
        ratio("distillmos", "DistillMOS", natural[num:], teacher=float(natural[:num].mean()),
              **same),
        ratio("distillmos_lost", "DistillMOS lost", lost, **same,
              **bars.VOCODER_DISTILLMOS[items[0].held_out]),
        ratio("dnsmos", "DNSMOS overall", clean[num:], teacher=float(clean[:num].mean()), **same),
    ]  # fmt: skip
