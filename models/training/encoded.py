"""What the trained encoders say of every utterance: codes, plan, style; kept beside the data.

Training and speaking see the same codes and plans, because both come from the same functions.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from models.checkpoint import load_config, load_weights, sha256
from models.predictors.plan import measure_plan
from models.predictors.units import Units
from models.tokenizers.semantic import SemanticConfig, SemanticTokenizer
from models.training.corpus import PREPARED, Corpus, Utterance
from models.vocoder.style import StyleConfig, StyleEncoder

STYLE_SECONDS = 6


@dataclass(frozen=True)
class Encoded:
    """Codes `[T]`, pointer `[T]` and style `[style_dim]` of an utterance."""

    codes: np.ndarray
    pointer: np.ndarray
    style: np.ndarray


def load_tokenizer(folder: Path) -> SemanticTokenizer:
    """The trained semantic tokenizer.

    Raises:
        MissingModelError: it is not in `folder`.
    """
    tokenizer = SemanticTokenizer(load_config(folder, "semantic", SemanticConfig))
    load_weights(folder, "semantic", tokenizer)
    return tokenizer


def encode_corpus(root: Path, corpus: Corpus, weights: Path, half: bool = True) -> list[Encoded]:
    """Encodes every utterance once; the results lie beside the data under the weights' checksums.

    Utterances without phone times get theirs by alignment with the tokenizer's own phone head.
    """
    from models.predictors.alignment import align_units  # noqa: PLC0415

    names = "".join(sha256(weights / f"{n}.safetensors")[:8] for n in ("semantic", "style"))
    folder = root / PREPARED / f"encoded-{names}"
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = load_tokenizer(weights)
    style = StyleEncoder(load_config(weights, "style", StyleConfig))
    load_weights(weights, "style", style)
    groups: dict[str, list[int]] = {}
    for index, utterance in enumerate(corpus.utterances):
        groups.setdefault(str(int(utterance.dialogue) // 100), []).append(index)
    found: list[Encoded | None] = [None] * len(corpus.utterances)
    for name, indices in track(groups.items(), "encoding", transient=True):
        path = folder / f"{name}-{len(indices)}.npz"
        if not path.exists():
            rows = [
                _encode(corpus.utterances[i], tokenizer, style, align_units, half) for i in indices
            ]
            partial = path.with_suffix(".partial.npz")
            np.savez(
                partial,
                codes=np.concatenate([r.codes for r in rows]).astype(np.int16),
                pointer=np.concatenate([r.pointer for r in rows]).astype(np.int16),
                style=np.stack([r.style for r in rows]).astype(np.float16),
            )
            partial.replace(path)
        with np.load(path) as stored:
            codes, pointer, styles = stored["codes"], stored["pointer"], stored["style"]
        at = 0
        for row, index in enumerate(indices):
            count = corpus.utterances[index].num_frames
            found[index] = Encoded(codes[at : at + count], pointer[at : at + count], styles[row])
            at += count
    return [row for row in found if row is not None]


@torch.inference_mode()
def _encode(
    utterance: Utterance,
    tokenizer: SemanticTokenizer,
    style: StyleEncoder,
    align,  # noqa: ANN001 - models.predictors.alignment.align_units
    half: bool,
) -> Encoded:
    samples = torch.from_numpy(utterance.samples.astype(np.float32) / 32767)[None]
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        vector = style.encode(samples[:, : STYLE_SECONDS * 24_000])[0].float()
        codes = tokenizer.encode(samples)
    pointer = utterance.pointer
    if pointer is None:
        phones, _ = tokenizer.inspect(codes)
        pointer = align(phones[0], utterance.units).numpy()
    return Encoded(codes[0].numpy(), pointer, vector.numpy())


def plan_of(tokenizer: SemanticTokenizer, codes: torch.Tensor, units: Units) -> torch.Tensor:
    """The plan `[4]` of codes `[T]`; see `measure_plan`."""
    return measure_plan(tokenizer.inspect(codes[None])[1], len(units))
