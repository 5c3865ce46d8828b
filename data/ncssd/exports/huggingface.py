"""A Hugging Face audiofolder: `metadata.jsonl` beside the audio, and a dataset card."""

import json
import os
import shutil
from collections import Counter
from pathlib import Path

from data.ncssd.exports.utterances import Export
from data.ncssd.store import Row

_CARD = """---
language:
{languages}
license: {license}
pretty_name: Two-speaker conversations
task_categories:
- text-to-speech
- automatic-speech-recognition
configs:
- config_name: default
  data_dir: data
---

# Two-speaker conversations

{dialogues} dialogues, {turns} turns, {hours:.2f} hours, from {sources} sources, in the order in
which they were spoken. One row is one turn: `dialogue`, `index`, `speaker` (0 spoke first),
`speaker_id` (over the dialogues of one source), `text` (from a speech recogniser, with its
`confidence`), and where in the source it lies (`start`, `end`, seconds).

Licences as given by whoever built this: {licences}.
Consent as given: {consents}.
"""


def write(export: Export) -> None:
    """Writes the folder, with hard links to the WAV files, or copies if links are unsupported."""
    root, rows = export.root, export.rows
    sound = root / "data" / "audio"
    sound.mkdir(parents=True)
    by_id = {row["id"]: row for row in rows}
    lines, seconds = [], 0.0
    for utterance in export.utterances():
        name = f"audio/{utterance.path.name}"
        _link(utterance.path, sound / utterance.path.name)
        row = by_id[utterance.dialogue]
        extra = utterance.extra
        seconds += utterance.duration
        entry = {
            "file_name": name,
            "dialogue": utterance.dialogue,
            "index": utterance.index,
            "speaker": utterance.side,
            "speaker_id": utterance.speaker,
            "text": utterance.text,
            "duration": utterance.duration,
            "start": extra.get("start"),
            "end": extra.get("end"),
            "overlap": extra.get("overlap"),
            "mixed": extra.get("mixed", False),
            "backchannel": extra.get("backchannel"),
            "confidence": extra.get("confidence"),
            "snr_db": extra.get("snr_db"),
            "dnsmos": extra.get("dnsmos"),
            "language": utterance.language,
            "source": row["source"],
            "source_sha256": row["sha256"],
            "license": row.get("license"),
        }
        lines.append(json.dumps(entry, ensure_ascii=False) + "\n")
    (root / "data" / "metadata.jsonl").write_text("".join(lines), encoding="utf-8")
    (root / "README.md").write_text(_card(rows, len(lines), seconds), encoding="utf-8")


def _card(rows: list[Row], turns: int, seconds: float) -> str:
    licences = Counter(row.get("license") or "unknown" for row in rows)
    consents = Counter(row.get("consent") or "unknown" for row in rows)
    one = next(iter(licences)) if len(licences) == 1 else "other"
    languages = sorted({row.get("language", "en") for row in rows}) or ["en"]
    return _CARD.format(
        languages="\n".join(f"- {language}" for language in languages),
        license=one.lower() if one != "unknown" else "unknown",
        dialogues=len(rows),
        turns=turns,
        hours=seconds / 3600,
        sources=len({row["sha256"] for row in rows}),
        licences=", ".join(f"{name} ({n})" for name, n in licences.items()) or "none",
        consents=", ".join(f"{name} ({n})" for name, n in consents.items()) or "none",
    )


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
