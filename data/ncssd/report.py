"""`build report DIR`: a self-contained HTML report of a build."""

import base64
import html
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from data.audio import encode_audio
from data.files import atomic_write
from data.ncssd.config import BuildConfig, recogniser_of
from data.ncssd.recognise import doubts, unmeasured
from data.ncssd.reference import Reference, read_reference
from data.ncssd.report_figures import (
    DISTRIBUTIONS,
    BuildRows,
    balance,
    changed_settings,
    distributions,
    hours_by_source,
    read_build,
    speakers,
    totals,
)
from data.ncssd.stage import Context
from data.ncssd.store import Row, Store, seconds_of
from data.ncssd.svg import histogram, turn_lines

_DOUBTFUL = 6
_OF_A_REASON = 3  # audible examples per reason for rejection
_LISTED = 30
_TABLED = 200  # most rows of a collapsed table
_EXAMPLES = 10
_EXAMPLE_S = 40.0
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff }
h1, h2 { line-height: 1.2 } td, th { padding: .2rem .8rem .2rem 0; text-align: left }
td:last-child { text-align: right; font-variant-numeric: tabular-nums }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: 1rem }
figure { margin: 0 } figcaption { font-size: .9rem } svg text { font-size: 11px; fill: #555 }
svg { width: 100%; height: auto } audio { width: 100% } .small { color: #555; font-size: .9rem }
article { border-top: 1px solid #ddd; padding: 1rem 0 } li span { color: #555 }
summary { cursor: pointer }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd }
  svg text, .small, li span { fill: #aaa; color: #aaa } article { border-color: #444 } }
"""


def write_report(out: Path, beside: Path | None = None, reference: Path | None = None) -> Path:
    """Writes `DIR/report.html` and returns its path.

    Args:
        out: the folder of a build.
        beside: the folder of another build to compare with.
        reference: any data set in NCSSD layout, whose distributions are shown too.

    Raises:
        InputError: no finished build in a folder, or no data set in `reference`.
    """
    build = read_build(out)
    other = None if beside is None else read_build(beside)
    context = Context(BuildConfig(), Store(out / "work"))
    title = f"{len(build.accepted)} dialogues"
    if other is not None:
        title += f", compared with {beside}"
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        _warnings(build),
        _totals(build, other),
        f"<h2>Hours by source</h2>{_hours(build)}",
        f"<h2>Least certain speaker pairs</h2>{_doubtful(context, build)}",
        f"<h2>Rejected</h2>{_left_out(context, build)}",
        f"<h2>Distributions</h2>{_histograms(build, other, reference)}",
        f"<h2>Speakers</h2>{_speakers(build)}",
        f"<h2>Examples</h2>{_examples(context, build.accepted)}",
        f"<h2>Settings and versions</h2>{_made(build)}",
    ]
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Dataset report</title><style>{_STYLE}</style>"
        f"<body>{''.join(parts)}</body></html>\n"
    )
    path = out / "report.html"
    atomic_write(path, page)
    return path


def _warnings(build: BuildRows) -> str:
    """Why its texts are not fit for training, if so, and what the second recogniser left out."""
    config = recogniser_of(build.summary)
    why = doubts(config, build.accepted)
    found = [f"The transcripts are not fit for training: {why}; see --recogniser." if why else ""]
    found.append(unmeasured(config, build.accepted))
    return "".join(f"<p><strong>{html.escape(one)}</strong></p>" for one in found if one)


def _totals(build: BuildRows, other: BuildRows | None) -> str:
    mine = totals(build)
    if other is None:
        return _table(mine.items())
    theirs = totals(other)
    return _table(
        ((name, value, theirs[name]) for name, value in mine.items()), "", "this", "other"
    )


def _hours(build: BuildRows) -> str:
    rows = hours_by_source(build)
    lines = [
        (name, f"{total:.2f}", f"{kept:.2f}", _reasons(reasons))
        for name, total, kept, reasons in rows[:_LISTED]
    ]
    sums: dict[str, float] = defaultdict(float)
    for _, _, _, reasons in rows:
        for reason, hours in reasons.items():
            sums[reason] += hours
    total, kept = sum(row[1] for row in rows), sum(row[2] for row in rows)
    lines.insert(0, ("all", f"{total:.2f}", f"{kept:.2f}", _reasons(sums)))
    return _table(lines, "source", "hours in", "kept", "rejected")


def _reasons(hours: dict[str, float]) -> str:
    found = sorted(hours.items(), key=lambda item: -item[1])
    return ", ".join(f"{reason} {value:.2f}" for reason, value in found) or "nothing"


def _doubtful(context: Context, build: BuildRows) -> str:
    """The accepted dialogues with the lowest probability of two people, then a table of all."""
    rows = sorted(build.accepted, key=_chance)
    examples = "".join(
        _example(
            context,
            row,
            f"probability of two people {_chance(row):.2f}, "
            f"the less active one has {100 * balance(row):.0f} % of the speech",
        )
        for row in rows[:_DOUBTFUL]
    )
    cells = [
        (
            row["id"],
            row["source"],
            f"{_chance(row):.4f}",
            f"{100 * balance(row):.0f} %",
            f"{row['end'] - row['start']:.1f}",
        )
        for row in rows
    ]
    head = ("dialogue", "source", "two people", "less active", "seconds")
    title = "All pairs, the least certain first"
    return examples + _details(title, cells, "dialogues.jsonl", *head) if rows else "<p>None.</p>"


def _chance(row: Row) -> float:
    """The probability that a dialogue's speakers are two people."""
    return row.get("two_people", 1.0)


def _left_out(context: Context, build: BuildRows) -> str:
    """Rejected rows by reason: their number, the longest ones as examples, and a table."""
    by_reason: dict[str, list[Row]] = defaultdict(list)
    for row in build.dropped:
        by_reason[row["dropped"]].append(row)
    parts = []
    for reason, rows in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        rows.sort(key=lambda row: -seconds_of(row))
        heard = [row for row in rows if "start" in row and "audio" in row][:_OF_A_REASON]
        parts.append(f"<h3>{html.escape(reason)}: {len(rows)}</h3>")
        parts += [_example(context, row, row.get("why", "")) for row in heard]
        head = ("source", "from", "to", "seconds", "DNSMOS", "SNR in dB", "why")
        cells = [_account(row) for row in rows]
        parts.append(_details("All, the longest first", cells, "dropped.jsonl", *head))
    if build.quarantined:
        parts.append(f"<h3>Files in quarantine: {len(build.quarantined)}</h3>")
        parts += [_quarantined(context, build, row) for row in build.quarantined]
    return "".join(parts) or "<p>Nothing.</p>"


def _account(row: Row) -> tuple[str, ...]:
    """The cells of a rejected row; dashes for what was not measured."""
    offset = row.get("offset", 0.0)
    begin = row.get("start", 0.0) + offset
    figures = ("–" if row.get(key) is None else f"{row[key]:.2f}" for key in ("dnsmos", "snr_db"))
    return (
        row["source"],
        f"{begin:.1f}",
        f"{begin + seconds_of(row):.1f}",
        f"{seconds_of(row):.1f}",
        *figures,
        row.get("why", "–"),
    )


def _quarantined(context: Context, build: BuildRows, row: Row) -> str:
    """A quarantined file and its reason, with its audio if a later stage than decoding failed."""
    line = f"<p>{html.escape(row['source'])}: <span>{html.escape(row['reason'])}</span></p>"
    sha = row.get("source_sha256")
    decoded = [found for found in build.sources if found["sha256"] == sha and "audio" in found]
    if not decoded:
        return line
    whole = {**decoded[0], "start": 0.0, "end": decoded[0]["duration"], "source": row["source"]}
    return line + _example(context, whole)


def _histograms(build: BuildRows, other: BuildRows | None, folder: Path | None) -> str:
    """The distributions, beside those of another build and of a reference set."""
    mine = distributions(build.accepted)
    sets, notes = [], ""
    if other is not None:
        sets.append(("the other", distributions(other.accepted)))
    if folder is not None:
        reference = _reference(folder, mine)
        sets.append(("the reference", distributions(reference.rows)))
        hours = sum(t["end"] - t["start"] for row in reference.rows for t in row["turns"]) / 3600
        what = f"{folder}: {len(reference.rows)} dialogues, {hours:.2f} hours of turns"
        text = "; ".join([f"The reference is {what}", *reference.notes])
        notes = f"<p class='small'>{html.escape(text)}.</p>"
    figures = "".join(
        histogram(
            mine[name], name, unit, others=tuple((label, found[name]) for label, found in sets)
        )
        for name, unit in DISTRIBUTIONS.items()
    )
    return f"{notes}<div class='figures'>{figures}</div>"


def _reference(folder: Path, mine: dict[str, list[float]]) -> Reference:
    """A reference set, with the measures that the build has too."""
    measures = {"SNR": "snr_db", "DNSMOS, overall": "dnsmos", "Bandwidth": "bandwidth_hz"}
    return read_reference(folder, tuple(key for name, key in measures.items() if mine[name]))


def _speakers(build: BuildRows) -> str:
    rows = [(name, f"{hours:.2f}", turns) for name, hours, turns in speakers(build)[:_LISTED]]
    return _table(rows, "speaker", "hours", "turns")


def _made(build: BuildRows) -> str:
    changed = changed_settings(build.summary)
    settings = _table(changed) if changed else "<p>All settings have their defaults.</p>"
    return f"<h3>Settings</h3>{settings}<h3>Versions</h3>" + _table(
        sorted(build.summary["tools"].items())
    )


def _examples(context: Context, rows: list[Row]) -> str:
    """Ten evenly spaced dialogues."""
    step = max(1, len(rows) // _EXAMPLES)
    return "".join(_example(context, row) for row in rows[::step][:_EXAMPLES]) or "<p>None.</p>"


def _example(context: Context, row: Row, note: str = "") -> str:
    """A dialogue or scene: the audio of its first 40 s, timeline, text and measurements."""
    end = min(row["end"], row["start"] + _EXAMPLE_S)
    samples = context.read(row["audio"], row["start"], end)
    sound = base64.b64encode(encode_audio(samples, 24_000, "mp3")).decode()
    turns = [turn for turn in row.get("turns", ()) if turn["start"] < end]
    lines = "".join(
        f"<li value='{i}'><span>{'AB'[t['speaker']]}</span> "
        f"{html.escape(t.get('text') or '…')}</li>"
        for i, t in enumerate(turns)
    )
    offset = row.get("offset", 0.0)
    facts = [
        note,
        row["source"],
        f"{row['start'] + offset:.1f} to {row['end'] + offset:.1f} s",
        f"SNR {row.get('snr_db', 'not measured')} dB",
        f"DNSMOS {row.get('dnsmos', 'not measured')}",
    ]
    drawing = turn_lines(turns, row["start"], end) if turns else ""
    texts = f"<details><summary>Text</summary><ol>{lines}</ol></details>" if lines else ""
    return (
        f"<article><h4>{html.escape(str(row.get('id', '')))}</h4>"
        f"<p class='small'>{html.escape('; '.join(filter(None, facts)))}</p>"
        f'<audio controls preload="none" src="data:audio/mpeg;base64,{sound}"></audio>'
        f"{drawing}{texts}</article>"
    )


def _table(rows: Iterable[tuple[object, ...]], *head: str) -> str:
    titles = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    cells = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(value))}</td>" for value in row) + "</tr>"
        for row in rows
    )
    return f"<table>{f'<tr>{titles}</tr>' if head else ''}{cells}</table>"


def _details(title: str, rows: list[tuple[str, ...]], file: str, *head: str) -> str:
    """A collapsed table of at most 200 rows; the rest are counted, with the file that has them."""
    rest = len(rows) - _TABLED
    more = f"<p class='small'>{rest} more are in {file}.</p>" if rest > 0 else ""
    table = _table(rows[:_TABLED], *head)
    return f"<details><summary>{html.escape(title)}</summary>{table}{more}</details>"
