"""`eval report`: all results as an HTML page, a Markdown file and a JSON file."""

import base64
import json
from html import escape
from pathlib import Path
from typing import Any

from data.audio import SAMPLE_RATE, encode_audio, read_audio, write_audio
from data.errors import InputError
from data.files import atomic_write
from models.evaluation.figures import (
    Example,
    Figure,
    Result,
    Table,
    as_markdown,
    figure_from_json,
    figure_table,
)
from models.evaluation.pictures import interval_plot, spectrogram

ORDER = (
    "vocoder",
    "speech",
    "dialogue",
    "speech-to-speech",
    "clone",
    "robustness",
    "speed",
    "tokenizers",
    "compare",
    "recordings",
    "seed-tts",
)
CARD = "results.md"
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;
color:#1c1c24}
table{border-collapse:collapse;font-size:.85rem;display:block;overflow-x:auto;margin:1rem 0}
td,th{border-bottom:1px solid #d8d8e0;padding:.3rem .6rem;text-align:left;white-space:nowrap}
td.yes{color:#0a6b2d;font-weight:600}td.no{color:#b3261e;font-weight:600}
figure{margin:1rem 0}figure div{display:inline-block;vertical-align:top;margin:0 1rem 1rem 0}
figure img{display:block;height:110px;max-width:30rem;background:#0a0a28}
audio{height:2rem;width:20rem}
svg{width:100%;max-width:46rem}svg text{font-size:12px;fill:#1c1c24}.label{text-anchor:end}
.tick{text-anchor:middle;fill:#5c5c68}.bar{stroke:#b3261e}
.goal{stroke:#8a6d00;stroke-dasharray:3 3}
.interval{stroke-width:3;stroke:#4a5bb8}.interval.good{stroke:#0a6b2d}.interval.bad{stroke:#b3261e}
.point{fill:#4a5bb8}.point.good{fill:#0a6b2d}.point.bad{fill:#b3261e}.teacher{fill:none;stroke:#1c1c24}
"""


def save(folder: Path, result: Result) -> None:
    """Saves a result as JSON and its examples as WAV files, for the report."""
    folder.mkdir(parents=True, exist_ok=True)
    content = result.as_json()
    content["examples"] = []
    for number, example in enumerate(result.examples):
        sounds = {}
        for place, (name, samples) in enumerate(example.sounds.items()):
            file = f"{result.name}-{number}-{place}.wav"
            if len(samples):
                write_audio(folder / file, samples)
                sounds[name] = file
        content["examples"].append({"label": example.label, "text": example.text, "sounds": sounds})
    atomic_write(folder / f"{result.name}.json", json.dumps(content, indent=1, ensure_ascii=False))


def load(folder: Path) -> list[Result]:
    """Loads saved results in the order of the report.

    Raises:
        InputError: there are none, or a file is not a result.
    """
    results = []
    for name in ORDER:
        path = folder / f"{name}.json"
        if path.is_file():
            try:
                results.append(_result(json.loads(path.read_text()), folder))
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(
                    f"{path} is not a result of eval ({error}); measure again"
                ) from None
    if not results:
        raise InputError(f"{folder} holds no results; make them with: launch.py eval all --out DIR")
    return results


def _result(content: dict[str, Any], folder: Path) -> Result:
    examples = [
        Example(
            row["label"],
            row["text"],
            {name: read_audio(folder / file) for name, file in row["sounds"].items()},
        )
        for row in content.get("examples", [])  # a single measure saves no audio
    ]
    return Result(
        content["name"],
        content["title"],
        content["settings"],
        [figure_from_json(values) for values in content["figures"]],
        [Table(**table) for table in content["tables"]],
        examples,
        content["seconds"],
    )


def write_report(folder: Path, results: list[Result]) -> list[Path]:
    """Writes `report.html`, `report.md` and `figures.json`; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in ("report.html", "report.md", "figures.json")]
    atomic_write(paths[0], as_page(results))
    atomic_write(paths[1], as_card(results))
    merged = {result.name: result.as_json() for result in results}
    atomic_write(paths[2], json.dumps(merged, indent=1, ensure_ascii=False))
    return paths


def write_card(folder: Path, results: list[Result]) -> Path:
    """Writes the figures with bars into a bundle's `results.md`, which its model card includes."""
    path = folder / CARD
    atomic_write(path, as_markdown(figure_table("Measured", figures_with_bars(results))))
    return path


def figures_with_bars(results: list[Result]) -> list[Figure]:
    """The figures with a bar or a goal."""
    return [f for result in results for f in result.figures if f.bar or f.goal]


def as_card(results: list[Result]) -> str:
    """Markdown for a model card: figures with bars first, then everything."""
    tables = [figure_table("Figures with bars", figures_with_bars(results))]
    for result in results:
        tables.append(figure_table(result.title, result.figures))
        tables += result.tables
    return "\n".join(as_markdown(table) for table in tables)


def as_page(results: list[Result]) -> str:
    """One self-contained HTML page."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'>",
        f"<title>Repartee, measured</title><style>{_STYLE}</style><h1>Repartee, measured</h1>",
        "<p>Points with 95 % bootstrap intervals; the open circle is the teacher, the solid line "
        "the bar, the broken line the goal.</p>",
        _table(figure_table("Figures with bars", figures_with_bars(results))),
    ]
    for result in results:
        settings = ", ".join(f"{key}: {value}" for key, value in result.settings.items())
        parts.append(f"<h2 id={result.name}>{escape(result.title)}</h2><p>{escape(settings)}</p>")
        if result.name != "tokenizers":
            parts += _plots(result.figures)
        parts += [_table(table) for table in result.tables]
        parts.append(_table(figure_table("Every figure", result.figures)))
        parts += [_example(example) for example in result.examples]
    return "\n".join(parts)


def _plots(figures: list[Figure]) -> list[str]:
    found = []
    for unit in dict.fromkeys(figure.unit for figure in figures):
        plot = interval_plot([figure for figure in figures if figure.unit == unit])
        if plot:
            found.append(f"<h4>{escape(unit or 'no unit')}</h4>{plot}")
    return found


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(cell)}" for cell in table.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td class='{_kind(cell)}'>{escape(cell)}" for cell in row)
        for row in table.rows
    )
    return f"<h3>{escape(table.title)}</h3><table><tr>{head}{rows}</table>"


def _kind(cell: str) -> str:
    return cell if cell in ("yes", "no") else ""


def _example(example: Example) -> str:
    parts = []
    for name, samples in example.sounds.items():
        sound = base64.b64encode(encode_audio(samples, SAMPLE_RATE, "mp3")).decode()
        parts.append(
            f"<div><b>{escape(name)}</b><img alt='spectrogram' src='{spectrogram(samples)}'>"
            f"<audio controls preload=none src='data:audio/mpeg;base64,{sound}'></audio></div>"
        )
    heading = f"{escape(example.label)}: “{escape(example.text)}”"
    return f"<figure><figcaption>{heading}</figcaption>{''.join(parts)}</figure>"
