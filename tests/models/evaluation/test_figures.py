"""Correct sums, calibrated intervals, bars that can fail, lossless JSON."""

import json
import math

import numpy as np
import pytest

from models.evaluation.figures import (
    Bar,
    Result,
    Table,
    as_markdown,
    as_text,
    figure_as_json,
    figure_from_json,
    figure_table,
    nothing,
    quantile,
    ratio,
    shown,
)


def test_a_rate_pools_all_words() -> None:
    figure = ratio("wer", "WER", [1, 0], [2, 98], scale=100)
    assert figure.value == pytest.approx(1.0)
    assert figure.low <= figure.value <= figure.high


def test_interval_coverage() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        figure = ratio("x", "x", rng.random(60) < 0.3)
        covered += figure.low <= 0.3 <= figure.high
    assert 0.88 <= covered / 200 <= 0.99


def test_bootstrap_resamples_whole_sentences() -> None:
    values = np.repeat(np.arange(10.0), 3)
    alone = ratio("x", "x", values)
    grouped = ratio("x", "x", values, groups=list(np.repeat(np.arange(10), 3)))
    assert grouped.value == alone.value
    assert grouped.high - grouped.low > 1.3 * (alone.high - alone.low)


def test_a_bar_is_met_missed_or_between() -> None:
    assert Bar(low=85).met(85) and not Bar(low=85).met(84.9)
    assert Bar(high=3).met(3) and not Bar(high=3).met(3.1)
    assert Bar(34, 66).met(50) and not Bar(34, 66).met(0) and not Bar(34, 66).met(100)
    assert [str(b) for b in (Bar(low=85), Bar(high=3), Bar(34, 66))] == ["≥ 85", "≤ 3", "34 to 66"]


def test_a_missing_measurement_meets_no_bar() -> None:
    for figure in (ratio("x", "x", [], bar=Bar(high=5)), quantile("x", "x", [], 0.5, note="why")):
        assert math.isnan(figure.value) and figure.note
        assert figure.meets_bar is not True


def test_figures_round_trip_through_json() -> None:
    figure = ratio("x", "x", [1, 0, 1], unit="%", scale=100, teacher=80.0, bar=Bar(low=50))
    again = figure_from_json(json.loads(json.dumps(figure_as_json(figure))))
    assert again.bar == figure.bar and again.value == pytest.approx(figure.value, abs=1e-4)
    empty = figure_from_json(
        json.loads(json.dumps(figure_as_json(nothing("y", "y", "no weights"))))
    )
    assert math.isnan(empty.value) and empty.note == "no weights"


def test_tables_show_the_bar_beside_the_figure() -> None:
    table = figure_table("T", [ratio("x", "a|b", [1, 1], bar=Bar(low=2.0), teacher=1.5)])
    assert table.rows[0][1:6] == ["1", "1 to 1", "1.5", "≥ 2", "no"]
    assert "a\\|b" in as_markdown(table) and "≥ 2" in as_text(table)
    result = Result("speech", "Speech", {}, [], [Table("a", ["b"], [["c"]])])
    assert result.as_json()["tables"][0]["rows"] == [["c"]]


def test_numbers_are_short() -> None:
    assert [shown(x) for x in (0.98765, 12.345, 99.96, 4321.4, float("nan"), None)] == [
        "0.988", "12.35", "100", "4321", "–", "–"
    ]  # fmt: skip
