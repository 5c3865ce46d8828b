"""`build report DIR`: a self-contained HTML report of a build."""

import base64
import html
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from data.audio import encode_audio
from data.files import atomic_write
from data.ncssd.config import BuildConfig, RecogniseConfig
from data.ncssd.recognise import doubts, unmeasured
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
from data.ncssd.store import Row, Store
from data.ncssd.svg import histogram, turn_lines

_DOUBTFUL = 6
_OF_A_REASON = 3  # audible examples per reason for rejection
_LISTED = 30
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
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd }
  svg text, .small, li span { fill: #aaa; color: #aaa } article { border-color: #444 } }
"""


def write_report(out: Path, beside: Path | None = None) -> Path:
    """Writes `DIR/report.html` and returns its path.

    Args:
        out: the folder of a build.
        beside: the folder of another build to compare with.

        Raises:
            InputError: no finished build in a folder.
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
        f"<h2>Distributions</h2><div class='figures'>{_histograms(build, other)}</div>",
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
    config = RecogniseConfig(**build.summary["config"]["recognise"])
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
    """The accepted dialogues with the lowest probability of two people."""
    rows = sorted(build.accepted, key=lambda row: row.get("two_people", 1.0))[:_DOUBTFUL]
    return "".join(
        _example(
            context,
            row,
            f"probability of two people {row.get('two_people', 1.0):.2f}, "
            f"the less active one has {100 * balance(row):.0f} % of the speech",
        )
        for row in rows
    ) or ("<p>None.</p>")


def _left_out(context: Context, build: BuildRows) -> str:
    """Rejected rows by reason: their number, and the longest ones as examples."""
    by_reason: dict[str, list[Row]] = defaultdict(list)
    for row in build.dropped:
        by_reason[row["dropped"]].append(row)
    parts = []
    for reason, rows in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        rows.sort(key=lambda row: row.get("start", 0.0) - row.get("end", 0.0))
        heard = [row for row in rows if "start" in row and "audio" in row][:_OF_A_REASON]
        parts.append(f"<h3>{html.escape(reason)}: {len(rows)}</h3>")
        parts += [_example(context, row, row.get("why", "")) for row in heard]
    items = "".join(
        f"<li>{html.escape(row['source'])}: <span>{html.escape(row['reason'])}</span></li>"
        for row in build.quarantined
    )
    if items:
        parts.append(f"<h3>Files in quarantine: {len(build.quarantined)}</h3><ul>{items}</ul>")
    return "".join(parts) or "<p>Nothing.</p>"


def _histograms(build: BuildRows, other: BuildRows | None) -> str:
    mine = distributions(build)
    theirs = {} if other is None else distributions(other)
    return "".join(
        histogram(mine[name], name, unit, beside=theirs.get(name, []))
        for name, unit in DISTRIBUTIONS.items()
    )


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
