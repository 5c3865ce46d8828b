"""Scores by condition, as a table and as JSON."""

import json
from collections import defaultdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from data.errors import InputError
from data.files import atomic_write
from data.ncssd.config import RecogniseConfig, recogniser_of
from data.ncssd.store import Row
from data.ncssd.truth.linking import LinkingCounts, read_shows, score_linking
from data.ncssd.truth.score import Counts, add_counts, read_recordings, score
from data.ncssd.truth.separation import SeparationCounts, score_separation
from data.ncssd.truth.words import WordCounts, score_words

# figure to (bar, whether higher is better), or None for no bar
BARS: dict[str, tuple[float, bool]] = {
    "der": (0.08, False),
    "boundary_f1": (0.90, True),
    "wrong_speaker": (0.01, False),
    "short_turn_recall": (0.80, True),
    "dialogue_recall": (0.90, True),
    "dialogue_precision": (0.95, True),
    "turn_f1": (0.92, True),
    "backchannels_kept": (0.75, True),
    "backchannel_class": (0.85, True),
    "si_sdr_gain_db": (8.0, True),
    "other_in_text": (0.05, False),
    "cpwer_minus_wer": (0.02, False),
}


def score_build(truth: Path, out: Path, with_words: bool) -> dict[str, dict[str, float]]:
    """Scores a build: figures by condition ("clean", "music 10 dB", ...) and for "all".

    Args:
        truth: output folder of `build truth`.
        out: output folder of a build of it.
        with_words: whether to transcribe the true turns too, which separates the builder's errors
            from the recogniser's.

    Raises:
        InputError: no truth, no finished build, or `with_words` for a build without words.
    """
    counts: dict[str, Counts] = defaultdict(Counts)
    separation: dict[str, SeparationCounts] = defaultdict(SeparationCounts)
    words: dict[str, WordCounts] = defaultdict(WordCounts)
    linking: dict[str, LinkingCounts] = defaultdict(LinkingCounts)
    recordings = read_recordings(truth, out)
    config = _recogniser_of(out)
    has_words = config.recogniser != "none"
    if with_words and not has_words:
        raise InputError(
            f"{out} was built with --recogniser none, so it has no words to score; "
            "leave out --words or build it with a recogniser"
        )
    shows = read_shows(out)
    linked = score_linking(recordings, shows) if shows else [LinkingCounts()] * len(recordings)
    for recording, ids in zip(recordings, linked, strict=True):
        own, separated = score(recording), score_separation(recording, out / "ncssd")
        spoken = score_words(recording, config if with_words else None) if has_words else None
        for group in _groups(recording.truth):
            add_counts(counts[group], own)
            add_counts(separation[group], separated)
            add_counts(linking[group], ids)
            if spoken is not None:
                add_counts(words[group], spoken)
    return {
        name: {
            **counts[name].figures(),
            **separation[name].figures(),
            **(words[name].figures(with_words) if has_words else {}),
            **(linking[name].figures() if shows else {}),
        }
        for name in sorted(counts, key=lambda name: (name == "all", name))
    }


def _groups(truth: Row) -> tuple[str, ...]:
    """The groups of a recording: "all", and its condition or, if clean, its kind of pair."""
    kind = truth["condition"]
    if truth.get("pair") == "monologue":
        return "monologue", "all"
    if kind in ("clean", "channels", "telephone"):
        return truth.get("pair", kind) if kind == "clean" else kind, "all"
    return f"{kind} {truth['snr_db']:.0f} dB", "all"


def _recogniser_of(out: Path) -> RecogniseConfig:
    """The recogniser settings of a build, which the scores of its words have to use as well."""
    summary = json.loads((out / "build.json").read_text(encoding="utf-8"))
    return recogniser_of(summary)


def score_and_print(truth: Path, out: Path, with_words: bool, to: Path | None) -> int:
    """Scores a build and prints the table; bars apply to the clean recordings."""
    figures = score_build(truth, out, with_words)
    table = Table(title=f"{out} against {truth}")
    table.add_column("figure")
    table.add_column("bar (clean)", justify="right")
    for name in figures:
        table.add_column(name, justify="right")
    for figure in figures["all"]:
        bar = BARS.get(figure)
        limit = "" if bar is None else f"{'≥' if bar[1] else '≤'} {bar[0]:.2f}"
        cells = [f"{values[figure]:.3f}" for values in figures.values()]
        table.add_row(figure, limit, *cells)
    Console(width=max(80, 36 + 14 * len(figures))).print(table)
    if to is not None:
        atomic_write(to, json.dumps(figures, indent=2) + "\n")
    return 0
