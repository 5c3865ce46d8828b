"""`eval tokenizers`: the table of "Discrete Audio Tokens" (arXiv 2506.10274) for our tokens."""

import time
from pathlib import Path

import numpy as np
import torch

from data.audio import SAMPLE_RATE
from data.edit_distance import edit_errors
from data.synthetic import VOICES
from models.evaluation import bars
from models.evaluation.codecs import (
    AcousticCodec,
    Codec,
    CodecFacts,
    EncodecCodec,
    LatentCodec,
    SemanticCodec,
    encodec_facts,
)
from models.evaluation.figures import Example, Figure, Result, Table, nothing, ratio, shown
from models.evaluation.panel import Panel
from models.evaluation.probes import Probed, code_use, probe
from models.evaluation.sets import TOKENS, Item, held_out_voices, say, sentences
from models.evaluation.vocoder import copy_figures
from models.mel import FRAME_SAMPLES, in_16_bits
from models.predictors.alignment import align_units
from models.predictors.phones import unit_ends
from models.predictors.units import MARKS, units_of_text
from models.speaker import Speaker
from models.text import normalise
from models.vocoder.encodec import KBPS

NUM_EXAMPLES = 1
PROBE_SENTENCES = 16
COLUMNS = [
    "tokens", "Hz", "kbps", "side information", "STOI", "DNSMOS", "WER %", "similarity",
    "F0, cents", "codes used %", "entropy, bits", "phone error %", "speaker probe %",
    "encode RTF", "decode RTF", "streamable",
]  # fmt: skip


def probe_voices() -> list[str]:
    """Voices of the synthesizers that share one phone set (flite and festival)."""
    named = [name for name, v in VOICES.items() if v.named and v.synthesizer != "espeak-ng"]
    held = [v for v in held_out_voices() if VOICES[v].synthesizer != "espeak-ng"]
    return named + held[: 10 - len(named)]


def evaluate(speaker: Speaker, num: int, panel: Panel, encodec: Path | None = None) -> Result:
    """Evaluates every codec on the same utterances; EnCodec only if its weights are given."""
    voices = probe_voices()
    texts = sentences(max(num, PROBE_SENTENCES), TOKENS)
    probed = [say(v, text, seed=TOKENS) for text in texts[:PROBE_SENTENCES] for v in voices]
    items = [say(voices[i % len(voices)], text, seed=TOKENS) for i, text in enumerate(texts[:num])]
    figures: list[Figure] = []
    rows: list[list[str]] = [_originals(items, panel)]
    examples = [Example(item.voice, item.text, {"original": item.samples}) for item in items[:2]]
    codecs: list[Codec] = [SemanticCodec(speaker), LatentCodec(speaker)]
    if speaker.acoustic_decoder is not None:
        codecs.append(AcousticCodec(speaker, speaker.acoustic_decoder.acoustic))
    for codec in codecs:
        found, row = _measure(codec, items, probed, panel, examples)
        figures += found
        rows.append(row)
    figures += [_own_phones(speaker, items), _own_times(speaker, items)]
    for kbps in KBPS:
        if encodec is None:
            facts = encodec_facts(kbps)
            empty = ["no weights"] + ["–"] * 11 + [facts.streamable]
            rows.append([facts.name, shown(facts.hz), shown(facts.kbps), "", *empty])
        else:
            found, row = _measure(EncodecCodec(encodec, kbps), items, probed, panel, examples)
            figures += found
            rows.append(row)
    settings = {"utterances": len(items), "probe_utterances": len(probed), "voices": voices}
    chance = f"Tokens (chance level of the speaker probe: {100 / len(voices):.0f} %)"
    return Result(
        "tokenizers", "Tokenizers", settings, figures, [Table(chance, COLUMNS, rows)], examples
    )


def _measure(
    codec: Codec, items: list[Item], probed: list[Item], panel: Panel, examples: list[Example]
) -> tuple[list[Figure], list[str]]:
    facts = codec.facts
    tokens, encode_rtf = _timed(lambda item: codec.sig_to_tokens(_tensor(item)), items)
    pairs = dict(zip(map(id, items), tokens, strict=True))
    copies, decode_rtf = _timed(lambda item: codec.tokens_to_sig(pairs[id(item)], item), items)
    copies = [_fitted(c, len(i.samples)) for c, i in zip(copies, items, strict=True)]
    for example, copy in zip(examples, copies, strict=False):
        example.sounds[facts.name] = copy
    judged = copy_figures(items, copies, panel)
    by_key = {figure.key: figure for figure in judged}
    all_tokens = [codec.sig_to_tokens(_tensor(item)) for item in probed]
    found = probe(
        [codec.features(t) for t in all_tokens],
        facts.hz,
        [item.phones for item in probed],
        [item.voice for item in probed],
        [item.text for item in probed],
    )
    use = code_use([t[0].numpy() for t in all_tokens], facts.num_codes) if facts.num_codes else None
    used = shown(100 * use[0]) if use else "–"
    row = [
        facts.name, shown(facts.hz), shown(facts.kbps), facts.inputs,
        *(shown(by_key[k].value) for k in ("stoi", "dnsmos", "wer", "similarity")),
        shown(by_key["f0_cents"].value), used, shown(use[1]) if use else "–",
        shown(100 * found.phone_error), shown(100 * found.voice_accuracy),
        shown(encode_rtf), shown(decode_rtf), facts.streamable,
    ]  # fmt: skip
    return _codec_figures(facts, judged, found, use), row


def _codec_figures(
    facts: CodecFacts, judged: list[Figure], found: Probed, use: tuple[float, float] | None
) -> list[Figure]:
    mark = facts.name.split(",")[0].replace(" ", "_").lower()
    figures = [
        Figure(f"{mark}_{f.key}", f"{facts.name}: {f.label}", f.value, f.low, f.high, f.num, f.unit,
               f.teacher, note=f.note)
        for f in judged
    ]  # fmt: skip

    figures += [
        ratio(f"{mark}_phone_error", f"{facts.name}: phone error of a linear probe",
              found.phone_errors, found.num_frames, found.texts, scale=100, unit="%"),
        ratio(f"{mark}_voice_accuracy",
              f"{facts.name}: accuracy of a linear speaker probe (chance beside)",
              found.voices_right, None, found.texts, scale=100, unit="%",
              teacher=100 * found.voice_chance),
    ]  # fmt: skip
    if use:
        for key, label, value, unit in (
            ("codes_used", "codes used", 100 * use[0], "%"),
            ("entropy", "entropy of a code", use[1], "bits"),
        ):
            nan = float("nan")
            figures.append(
                Figure(f"{mark}_{key}", f"{facts.name}: {label}", value, nan, nan, 1, unit)
            )
    return figures


def _originals(items: list[Item], panel: Panel) -> list[str]:
    found = {f.key: f for f in copy_figures(items, [i.samples for i in items], panel)}
    values = [shown(found[k].value) for k in ("stoi", "dnsmos", "wer", "similarity")]
    return ["the original", "–", "–", "", *values, "0", *["–"] * 6, ""]


def _inspected(speaker: Speaker, item: Item) -> torch.Tensor:
    """Phone log-probabilities of each frame, `[1, T, num_symbols]`, decoded from codes by the
    tokenizer's own probe."""
    tokenizer = speaker.tokenizer
    return tokenizer.inspect(tokenizer.encode(_tensor(item).to(speaker.device)))[0]


@torch.inference_mode()
def _own_phones(speaker: Speaker, items: list[Item]) -> Figure:
    """Phone error rate of the tokenizer's own probe on codes, against the frontend's phones."""
    errors, lengths = [], []
    for item in items:
        logits = _inspected(speaker, item)
        best = logits[0].argmax(-1).tolist()
        read = [s for i, s in enumerate(best) if s not in MARKS and (i == 0 or best[i - 1] != s)]
        units = units_of_text(normalise(item.text, None), None)
        said = [symbol for symbol in units.symbols if symbol not in MARKS]
        errors.append(edit_errors(said, read))
        lengths.append(len(said))
    label = "Repartee semantic: phoneme errors of its own probe"
    if not errors:
        return nothing("semantic_per", label, "no utterance")
    return ratio("semantic_per", label, errors, lengths, scale=100, unit="%")


@torch.inference_mode()
def _own_times(speaker: Speaker, items: list[Item]) -> Figure:
    """Error of phone onsets under forced alignment with the tokenizer's own probe, as training uses
    for data without phone times, against the synthesizer's times."""
    errors: list[float] = []
    of: list[int] = []
    for number, item in enumerate(items):
        units = units_of_text(normalise(item.text, None), None)
        phones_only = [i for i, s in enumerate(units.symbols) if s not in MARKS]
        true = np.concatenate([[0.0], unit_ends(item.phones, units)[:-1]])
        phones = _inspected(speaker, item)
        pointer = align_units(phones[0], units).numpy()
        found = FRAME_SAMPLES / SAMPLE_RATE * np.searchsorted(pointer, np.arange(len(units)))
        errors += np.abs(found - true)[phones_only].tolist()
        of += [number] * len(phones_only)
    label = "Repartee semantic: forced alignment, error of where phones begin"
    return ratio("alignment", label, errors, None, of, scale=1000, unit="ms", **bars.PHONE_TIMES)


def _timed(work, items: list[Item]) -> tuple[list, float]:
    work(items[0])  # warm-up
    start = time.perf_counter()
    results = [work(item) for item in items]
    seconds = sum(len(item.samples) for item in items) / SAMPLE_RATE
    return results, (time.perf_counter() - start) / seconds


def _fitted(samples: np.ndarray, length: int) -> np.ndarray:
    return np.pad(samples[:length], (0, max(0, length - len(samples))))


def _tensor(item: Item) -> torch.Tensor:
    return in_16_bits(torch.from_numpy(item.samples))[None]
