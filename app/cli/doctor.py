"""`launch.py doctor`: report what is installed and what is missing.

It works before anything is installed, so only the standard library is imported at the top.
"""

import argparse
import hashlib
import importlib.metadata
import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

WEIGHTS = Path(__file__).resolve().parents[2] / "models" / "weights"
NEEDED = ("torch", "torchaudio", "gradio", "soundfile", "av", "phonemizer", "webrtcvad")


@dataclass(frozen=True)
class Finding:
    """`state` is "ok", "missing" (a required part) or "optional"."""

    state: str
    what: str


def main(argv: list[str]) -> int:
    """Reports what is installed and what is missing; exits with 1 if a required part is missing."""
    argparse.ArgumentParser(prog="launch.py doctor", description=main.__doc__).parse_args(argv)
    marks = {"ok": "ok      ", "missing": "MISSING ", "optional": "optional"}
    findings = list(examine())
    for finding in findings:
        print(f"{marks[finding.state]}  {finding.what}")
    missing = sum(finding.state == "missing" for finding in findings)
    print("\nAll required parts found." if not missing else f"\n{missing} required parts missing.")
    return 1 if missing else 0


def examine(weights: Path = WEIGHTS) -> Iterator[Finding]:
    """All findings, in reporting order."""
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info[:2] in ((3, 11), (3, 12))
    yield Finding("ok" if good else "missing", f"Python {version} (3.11 or 3.12 required)")
    for name in NEEDED:
        yield _package(name)
    yield from _checks(
        ("kernels", _kernels),
        ("GPU", _gpu),
        ("training precision", _precision),
        ("espeak-ng", _espeak),
    )
    yield from bundled(weights)
    yield _whisper()
    yield _smart_turn()
    yield from _optional()


def bundled(weights: Path) -> Iterator[Finding]:
    """The bundled models, checked against their checksums."""
    sums = weights / "SHA256SUMS"
    if not sums.is_file():
        yield Finding(
            "missing",
            f"bundled models: {sums} not found; train them with: "
            "python3 launch.py train bundle --data DIR --out models/weights",
        )
        return
    for line in sums.read_text().splitlines():
        expected, name = line.split()
        path = weights / name
        if not path.is_file():
            yield Finding("missing", f"bundled {name}: file not found")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            yield Finding("missing", f"bundled {name}: damaged (checksum mismatch)")
        else:
            yield Finding("ok", f"bundled {name}")


def _kernels() -> Finding:
    if importlib.util.find_spec("torch") is None:
        return Finding("optional", "kernels: torch is not installed")
    from kernels.processor import chosen_kernels

    return Finding("ok", f"kernels for {chosen_kernels()}")


def _package(name: str) -> Finding:
    if importlib.util.find_spec(name) is None:
        return Finding("missing", f"{name}: not installed; any verb except doctor installs it")
    owners = importlib.metadata.packages_distributions().get(name, [name])
    return Finding("ok", f"{name} {importlib.metadata.version(owners[0])}")


def _checks(*checks: tuple[str, Callable[[], Finding]]) -> Iterator[Finding]:
    for name, check in checks:
        try:
            yield check()
        except Exception as error:
            yield Finding("missing", f"{name}: {error}")


def _gpu() -> Finding:
    if importlib.util.find_spec("torch") is None:
        return Finding("optional", "GPU: not checked, torch is not installed")
    import torch

    if torch.cuda.is_available():
        from models.cuda import try_graph

        graphs = try_graph(torch.device("cuda"))
        return Finding("ok", f"GPU: {torch.cuda.get_device_name()}; {graphs}")
    return Finding("optional", "GPU: none; everything runs on the CPU")


def _precision() -> Finding:
    if importlib.util.find_spec("torch") is None:
        return Finding("optional", "training precision: torch is not installed")
    import torch

    from models.precision import describe

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return Finding("ok", f"training precision: {describe(device)}")


def _espeak() -> Finding:
    if importlib.util.find_spec("espeakng_loader") is None:
        return Finding("missing", "espeak-ng: espeakng-loader is not installed")
    from models.text import phonemize

    symbols = "".join(phonemize(["ready"])[0].symbols[1:])
    return Finding("ok", f'espeak-ng: "ready" is {symbols}')


def _whisper() -> Finding:
    from data.errors import RepError
    from data.recognition.whisper_weights import find_whisper

    try:
        return Finding("ok", f"recognition: Whisper ({find_whisper()})")
    except RepError as error:
        return Finding("optional", f"recognition: falls back to pocketsphinx: {error}")


def _smart_turn() -> Finding:
    from data.errors import RepError
    from data.recognition.smart_turn_weights import find_smart_turn

    try:
        return Finding("ok", f"turn detection: Smart Turn ({find_smart_turn()})")
    except RepError as error:
        return Finding("optional", f"turn detection: falls back to a fixed silence: {error}")


def _optional() -> Iterator[Finding]:
    for program, use in (
        ("flite", "for synthetic training data (apt-get install flite)"),
        ("festival", "for synthetic training data (apt-get install festival)"),
        ("chromium", "for the browser tests (apt-get install chromium)"),
    ):
        there = shutil.which(program) is not None
        yield Finding("ok" if there else "optional", f"{program}: {use}")
    for name, use in (
        ("demucs", "removes music in the dataset builder (pip install demucs)"),
        ("ray", "distributes the dataset builder (pip install ray)"),
    ):
        there = importlib.util.find_spec(name) is not None
        yield Finding("ok" if there else "optional", f"{name}: {use}")
