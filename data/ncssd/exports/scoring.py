"""RTTM and STM of the accepted dialogues, with times in their sources."""

from collections import defaultdict
from pathlib import Path

from data.ncssd.exports.utterances import Export
from data.ncssd.store import Row


def write(export: Export) -> None:
    """Writes `<source>.rttm` and `<source>.stm` for each source, including mixed turns."""
    root = export.root
    by_source: dict[str, list[Row]] = defaultdict(list)
    for row in export.rows:
        by_source[row["sha256"]].append(row)
    for sha, own in by_source.items():
        name = f"{Path(own[0]['source']).stem.replace(' ', '_')}-{sha[:8]}"
        rttm, stm = [], []
        for row in own:
            offset = row.get("offset", 0.0)
            for turn in row["turns"]:
                who = row["speaker_ids"][turn["speaker"]]
                start, end = turn["start"] + offset, turn["end"] + offset
                rttm.append(
                    f"SPEAKER {name} 1 {start:.3f} {end - start:.3f} <NA> <NA> {who} <NA> <NA>\n"
                )
                if turn.get("text"):
                    stm.append(f"{name} 1 {who} {start:.3f} {end:.3f} {turn['text']}\n")
        (root / f"{name}.rttm").write_text("".join(rttm), encoding="utf-8")
        (root / f"{name}.stm").write_text("".join(stm), encoding="utf-8")
