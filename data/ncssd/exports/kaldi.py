"""A Kaldi data folder, and NeMo's manifest."""

import json
import logging
from collections import defaultdict
from pathlib import Path

from data.ncssd.exports.utterances import Export

log = logging.getLogger(__name__)


def write(export: Export) -> None:
    """Writes `wav.scp`, `text`, `utt2spk`, `spk2utt`, `utt2dur` and `segments`, in C locale order.

    `text` omits turns without text; if no turn has text, it is not written, with a warning.
    """
    root = export.root
    found = sorted(export.utterances(), key=lambda u: u.name)
    of_speaker: dict[str, list[str]] = defaultdict(list)
    for u in found:
        of_speaker[u.speaker].append(u.name)
    paths = {u.name: export.name(u.path, absolute=True) for u in found}
    _write(root / "wav.scp", [f"{name} {path}" for name, path in paths.items()])
    texts = [f"{u.name} {u.text}" for u in found if u.text]
    if texts:
        _write(root / "text", texts)
    else:
        log.warning(
            "no turn has text: the Kaldi folder lacks the file `text`, which training needs"
        )
    _write(root / "utt2spk", [f"{u.name} {u.speaker}" for u in found])
    _write(root / "utt2dur", [f"{u.name} {u.duration:.4f}" for u in found])
    _write(root / "segments", [f"{u.name} {u.name} 0.0000 {u.duration:.4f}" for u in found])
    lines = [f"{speaker} {' '.join(names)}" for speaker, names in sorted(of_speaker.items())]
    _write(root / "spk2utt", lines)


def write_nemo(export: Export) -> None:
    """Writes `manifest.jsonl`: audio_filepath, duration, text, speaker and language per line."""
    lines = []
    for u in export.utterances():
        entry = {
            "audio_filepath": export.name(u.path, absolute=False),
            "duration": u.duration,
            "text": u.text,
            "speaker": u.speaker,
            "lang": u.language,
        }
        lines.append(json.dumps(entry, ensure_ascii=False))
    _write(export.root / "manifest.jsonl", lines)


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
