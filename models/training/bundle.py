"""Turns a folder of weights into a bundle: checksums and a model card."""

import json
from pathlib import Path

import torch
from safetensors import safe_open

from data.errors import InputError
from data.files import atomic_write
from models.checkpoint import WEIGHTS, sha256
from models.precision import precision_on
from models.predictors.table import PREDICTORS, predictor_config
from models.text.symbols import LANGUAGE_NAMES
from models.training.corpus import Corpus
from models.training.loop import device
from models.training.thinker import BACKBONE_FOLDER
from models.vocoder import encodec

MAX_BYTES = 100 * 1024 * 1024
_SYNTHETIC = [
    "Trained from scratch on synthetic conversations, without third-party weights or recordings of",
    "people. The voices sound like the synthesizers that spoke the data, of which Kokoro-82M",
    "(Apache-2.0) was trained on people.",
]


def finish_bundle(out: Path, work: Path, corpus: Corpus, data: Path, seed: int) -> None:
    """Writes `SHA256SUMS` and `MODEL_CARD.md`, with measurements from `results.md` in `out`, which
    `launch.py eval` writes.

    Raises:
        InputError: `out` is the repository's folder and the weights exceed its size limit.
    """
    weights = sorted(out.glob("*.safetensors"))
    size = sum(path.stat().st_size for path in weights)
    if size > MAX_BYTES and out.resolve() == WEIGHTS.resolve():
        raise InputError(
            f"the weights in {out} take {size} bytes; in the repository they may take {MAX_BYTES}: "
            "give larger ones an --out of their own"
        )
    atomic_write(out / "MODEL_CARD.md", _card(out, work, corpus, data, seed, weights))
    files = [*weights, *sorted(out.glob("*.json"))]
    lines = [f"{sha256(path)}  {path.name}\n" for path in files]
    atomic_write(out / "SHA256SUMS", "".join(lines))


def _card(out: Path, work: Path, corpus: Corpus, data: Path, seed: int, weights: list[Path]) -> str:
    made = data / "corpus.json"
    command = json.loads(made.read_text()).get("command", "") if made.exists() else ""
    rows = ["| model | parameters | file | steps | minutes |", "|---|---|---|---|---|"]
    for path in weights:
        with safe_open(path, "pt") as file:
            count = sum(_numel(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118
        steps, minutes = _spent(work, path.stem)
        rows.append(
            f"| {path.stem} | {count / 1e6:.2f} M | {path.stat().st_size / 2**20:.1f} MB "
            f"| {steps} | {minutes} |"
        )
    results = out / "results.md"
    measured = results.read_text() if results.exists() else "Not measured yet.\n"
    # For other data, origin of the voices and licence are unknown here.
    others = (f"{encodec.FILE}.safetensors", BACKBONE_FOLDER)
    foreign = [name for name in others if (out / name).exists()]
    ours = made.exists() and not foreign
    origin = _SYNTHETIC if ours else [f"Trained on the dialogues in `{data.name}`."]
    origin += [f"`{name}` holds third-party weights." for name in foreign]
    return "\n".join(
        [
            "# Model card",
            "",
            *origin,
            "",
            f"* Data: {corpus.hours:.1f} hours, {len(corpus.by_dialogue)} dialogues, "
            f"{len(corpus.utterances)} turns, {len(corpus.voices)} voices"
            + (f", made by `{command}`." if command else "."),
            f"* Seed: {seed}. Trained by `launch.py train` on {_place()} in {_precision()}.",
            f"* Languages: {_languages(out)}.{' Licence: Apache-2.0.' if ours else ''}",
            "",
            *rows,
            "",
            "## Measured",
            "",
            measured,
        ]
    )


def _languages(out: Path) -> str:
    """The languages of the predictors in `out`, in words."""
    spoken = []
    for name in PREDICTORS:
        if (out / f"{name}.json").exists():
            known = predictor_config(out, name).languages
            spoken.append(f"{' and '.join(LANGUAGE_NAMES[one] for one in known)} by {name}")
    return ", ".join(spoken) or "none"


def _place() -> str:
    return "a CPU" if device().type == "cpu" else torch.cuda.get_device_name(device())


def _precision() -> str:
    return "bf16 autocast" if precision_on(device()) == "bf16" else "fp32"


def _numel(shape: list[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


_RUN_OF = {"semantic": "tokenizer", "posterior": "vocoder", "decoder": "vocoder"}


def _spent(work: Path, name: str) -> tuple[str, str]:
    log = work / _RUN_OF.get(name, name) / "log.jsonl"
    if not log.exists():
        return "", ""
    last = json.loads(log.read_text().splitlines()[-1])
    if "step" not in last:
        return "(k-means)", ""  # fitted, not trained by steps
    return str(last["step"]), f"{last['seconds'] / 60:.0f}"
