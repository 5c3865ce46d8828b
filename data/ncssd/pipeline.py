"""The build pipeline: sources to dialogues, with a manifest per stage."""

import json
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from data.files import atomic_write
from data.ncssd import (
    activity,
    background,
    decode,
    overlaps,
    quality,
    recognise,
    speakers,
    turns,
)
from data.ncssd.config import BuildConfig
from data.ncssd.engine import QUARANTINE, Engine, run_stage
from data.ncssd.export import export_ncssd, name_dialogues
from data.ncssd.exports import Listing, write_exports
from data.ncssd.link import link_speakers
from data.ncssd.sources import Source
from data.ncssd.stage import Context, Stage
from data.ncssd.store import Row, Store, write_rows

STAGES = (
    Stage("decode", decode.VERSION, decode.run),
    Stage("activity", activity.VERSION, activity.run),
    Stage("background", background.VERSION, background.run),
    Stage("speakers", speakers.VERSION, speakers.run, speakers.FILES),
    Stage("turns", turns.VERSION, turns.run),
    Stage("overlaps", overlaps.VERSION, overlaps.run, overlaps.FILES),
    Stage("recognise", recognise.VERSION, recognise.run),
    Stage("quality", quality.VERSION, quality.run),
)
_PACKAGES = (
    "av",
    "soxr",
    "onnxruntime",
    "silero-vad",
    "torch",
    "pocketsphinx",
    "faster-whisper",
    "speechmos",
)


@dataclass(frozen=True)
class Built:
    """The result of a build: rows by outcome, and numbers of dialogues written and removed."""

    accepted: list[Row]
    dropped: list[Row]
    quarantined: list[Row]
    written: int
    removed: int


class Watcher:
    """Receives a build's progress; this base class ignores it."""

    def stage(self, stage: Stage, rows: list[Row]) -> None:
        """Called when a stage starts, with its rows."""

    def row(self, row: Row, made: list[Row]) -> None:
        """Called when a row is done, with its results."""


def build(
    sources: list[Source],
    out: Path,
    config: BuildConfig,
    engine: Engine,
    formats: tuple[str, ...] = (),
    watcher: Watcher | None = None,
    listing: Listing | None = None,
) -> Built:
    """Builds conversations in `out/ncssd`, reusing the results of earlier runs.

    Also writes `out/work` (each stage's results and manifest), `dialogues.jsonl`,
    `dropped.jsonl`, `quarantine.jsonl`, `build.json`, and a folder per additional format.

    Raises:
        InputError: another build is running in `out`, a format is unknown, or the recogniser does
            not support the language of a source.
        MissingModelError: a model is missing.
    """
    config = recognise.resolve(config)
    for source in sources:
        if language := source.spoken.get("language"):
            recognise.check_language(config.recognise, language, source.name)
    context = Context(config, Store(out / "work"), {s.sha256: s.path for s in sources})
    with context.store.lock():
        context.store.clean()
        return _build(sources, out, context, engine, formats, watcher or Watcher(), listing)


def _build(
    sources: list[Source],
    out: Path,
    context: Context,
    engine: Engine,
    formats: tuple[str, ...],
    watcher: Watcher,
    listing: Listing | None,
) -> Built:
    config = context.config
    by_hash = {source.sha256: source for source in sources}
    rows: list[Row] = [source.row for source in sources]
    for stage in STAGES:
        watcher.stage(stage, [row for row in rows if "dropped" not in row])
        rows = run_stage(stage, rows, context, engine, watcher.row)
        write_rows(out / "work" / f"{stage.name}.jsonl", rows)
    rows = [_with_source(row, by_hash[row["sha256"]]) for row in rows]
    accepted = [row for row in rows if "dropped" not in row]
    used = tools()
    accepted = name_dialogues(link_speakers(accepted, _shows(sources)))
    accepted = [{**row, "tools": used} for row in accepted]
    dropped = [row for row in rows if "dropped" in row]
    quarantined = [row for row in dropped if row["dropped"].startswith(QUARANTINE)]
    written, removed = export_ncssd(accepted, context, out / "ncssd")
    write_rows(out / "dialogues.jsonl", accepted)
    write_rows(out / "dropped.jsonl", [row for row in dropped if row not in quarantined])
    write_rows(out / "quarantine.jsonl", [_reason_of(row) for row in quarantined])
    write_exports(formats, out, accepted, listing)
    _write_summary(out, config, sources, accepted, dropped)
    return Built(accepted, dropped, quarantined, written, removed)


def _shows(sources: list[Source]) -> dict[str, str] | None:
    """The show of each source by its hash; None if speakers are linked within sources only."""
    return {s.sha256: s.show for s in sources} if any(s.show for s in sources) else None


def tools() -> dict[str, str]:
    """Versions of the packages and stages that the result depends on."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {**found, **{f"stage-{s.name}": str(s.version) for s in STAGES}}


def _with_source(row: Row, source: Source) -> Row:
    rights = {key: source.rights.get(key) or None for key in ("license", "consent")}
    return {**row, "source": source.name, **rights}


def _described(source: Source) -> Row:
    show = {"show": source.show} if source.show else {}
    return {"name": source.name, **show, **source.rights}


def _reason_of(row: Row) -> Row:
    reason = row["dropped"].removeprefix(QUARANTINE)
    return {"source": row["source"], "source_sha256": row["sha256"], "reason": reason}


def _write_summary(
    out: Path, config: BuildConfig, sources: list[Source], accepted: list[Row], dropped: list[Row]
) -> None:
    counts: dict[str, int] = {}
    for row in dropped:
        reason = "quarantine" if row["dropped"].startswith(QUARANTINE) else row["dropped"]
        counts[reason] = counts.get(reason, 0) + 1
    summary = {
        "config": {name: config.settings(name) for name in (*(s.name for s in STAGES), "export")},
        "device": config.device,
        "tools": tools(),
        "sources": {s.sha256: _described(s) for s in sources},
        "accepted": len(accepted),
        "dropped": counts,
    }
    text = json.dumps(summary, indent=2, sort_keys=True, ensure_ascii=False)
    atomic_write(out / "build.json", text + "\n")
