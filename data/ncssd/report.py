"""`build report DIR`: one HTML page that needs nothing else, on what a build made."""

import base64
import html
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from data.audio import encode_audio
from data.errors import InputError
from data.files import atomic_write
from data.ncssd.config import BuildConfig
from data.ncssd.drawing import histogram, turn_lines
from data.ncssd.stage import Context
from data.ncssd.store import Row, Store, read_rows

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


def write_report(out: Path) -> Path:
    """Writes `DIR/report.html` and returns its path.

    Raises:
        InputError: no finished build there.
    """
    if not (out / "build.json").is_file():
        raise InputError(f"{out} holds no finished build (build.json); run launch.py build first")
    summary = json.loads((out / "build.json").read_text(encoding="utf-8"))
    rows = read_rows(out / "dialogues.jsonl")
    quarantined = read_rows(out / "quarantine.jsonl")
    parts = [
        f"<h1>{len(rows)} dialogues</h1>",
        _totals(rows, summary),
        f"<h2>How they are</h2><div class='figures'>{_histograms(rows)}</div>",
        f"<h2>What was left out</h2>{_reasons(summary, quarantined)}",
        f"<h2>Examples</h2>{_examples(out, rows)}",
        f"<h2>How it was made</h2>{_table(sorted(summary['tools'].items()))}",
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


def _totals(rows: list[Row], summary: Row) -> str:
    turns = [turn for row in rows for turn in row["turns"]]
    speech = sum(turn["end"] - turn["start"] for turn in turns)
    speakers = {name for row in rows for name in row["speaker_ids"]}
    span = sum(row["end"] - row["start"] for row in rows)
    return _table(
        [
            ("hours, first to last word of each dialogue", f"{span / 3600:.2f}"),
            ("hours of turns", f"{speech / 3600:.2f}"),
            ("turns", len(turns)),
            ("turns that overlap another", sum(turn["overlap"] > 0 for turn in turns)),
            ("backchannels", sum(turn["backchannel"] for turn in turns)),
            ("speakers", len(speakers)),
            ("sources", len(summary["sources"])),
        ]
    )


def _histograms(rows: list[Row]) -> str:
    turns = [turn for row in rows for turn in row["turns"]]
    return "".join(
        [
            histogram([t["end"] - t["start"] for t in turns], "Turn length", "s"),
            histogram([g for r in rows for g in r["gaps"]], "Gap before a turn", "s"),
            histogram([t.get("snr_db") for t in turns], "Speech over noise", "dB"),
            histogram([t.get("dnsmos") for t in turns], "DNSMOS, overall", ""),
            histogram([t.get("rate") for t in turns], "Words or characters a second", ""),
            histogram([t.get("confidence") for t in turns], "Recogniser's confidence", ""),
        ]
    )


def _reasons(summary: Row, quarantined: list[Row]) -> str:
    counts = Counter(summary["dropped"])
    table = _table(counts.most_common()) if counts else "<p>Nothing.</p>"
    items = "".join(
        f"<li>{html.escape(row['source'])}: <span>{html.escape(row['reason'])}</span></li>"
        for row in quarantined
    )
    return table + (f"<p>Files in quarantine:</p><ul>{items}</ul>" if items else "")


def _examples(out: Path, rows: list[Row]) -> str:
    """Ten dialogues, evenly over all; their first 40 s can be heard."""
    context = Context(BuildConfig(), Store(out / "work"))
    step = max(1, len(rows) // _EXAMPLES)
    return "".join(_example(context, row) for row in rows[::step][:_EXAMPLES]) or "<p>None.</p>"


def _example(context: Context, row: Row) -> str:
    end = min(row["end"], row["start"] + _EXAMPLE_S)
    samples = context.read(row["audio"], row["start"], end)
    sound = base64.b64encode(encode_audio(samples, 24_000, "mp3")).decode()
    turns = [turn for turn in row["turns"] if turn["start"] < end]
    lines = "".join(
        f"<li value='{i}'><span>{'AB'[t['speaker']]}</span> "
        f"{html.escape(t.get('text') or '…')}</li>"
        for i, t in enumerate(turns)
    )
    offset = row.get("offset", 0.0)
    return (
        f"<article><h3>{html.escape(str(row['id']))}</h3>"
        f"<p class='small'>{html.escape(row['source'])}, "
        f"{row['start'] + offset:.1f} to {row['end'] + offset:.1f} s; "
        f"SNR {html.escape(str(row['snr_db']))} dB; "
        f"DNSMOS {html.escape(str(row.get('dnsmos', 'not measured')))}</p>"
        f'<audio controls preload="none" src="data:audio/mpeg;base64,{sound}"></audio>'
        f"{turn_lines(turns, row['start'], end)}"
        f"<details><summary>Text</summary><ol>{lines}</ol></details></article>"
    )


def _table(pairs: Iterable[tuple[str, object]]) -> str:
    cells = "".join(
        f"<tr><td>{html.escape(str(name))}</td><td>{html.escape(str(value))}</td></tr>"
        for name, value in pairs
    )
    return f"<table>{cells}</table>"
