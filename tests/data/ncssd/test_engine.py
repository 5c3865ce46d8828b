"""What is done is kept: resuming, quarantine, order, and workers that die."""

import os
from pathlib import Path

import pytest

from data.errors import InputError, MissingModelError
from data.ncssd.config import BuildConfig
from data.ncssd.engine import QUARANTINE, Pool, Serial, run_stage
from data.ncssd.stage import Context, Stage
from data.ncssd.store import Row, Store, read_rows, write_rows

ROWS: list[Row] = [{"sha256": f"{n:02d}", "n": n, "duration": float(n)} for n in range(6)]


def twice(row: Row, context: Context, key: str) -> list[Row]:
    """Two rows of each, and a mark in a file for every time it ran."""
    with (context.store.root / "ran.txt").open("a") as file:
        file.write(f"{row['n']}\n")
    if row["n"] == 2:
        raise InputError("it is a two")
    if row["n"] == 3:
        raise RuntimeError("a fault of ours")
    return [{**row, "part": 0}, {**row, "part": 1}]


def deadly(row: Row, context: Context, key: str) -> list[Row]:
    if row["n"] == 4:
        os._exit(9)
    return [row]


def context_in(folder: Path) -> Context:
    folder.mkdir(exist_ok=True)
    return Context(BuildConfig(), Store(folder))


def ran(context: Context) -> list[str]:
    return sorted((context.store.root / "ran.txt").read_text().split())


def test_one_fault_costs_one_row_and_says_why(tmp_path):
    made = run_stage(Stage("s", 1, twice), ROWS, context_in(tmp_path), Serial())
    assert [row["n"] for row in made] == [0, 0, 1, 1, 2, 3, 4, 4, 5, 5]
    assert made[4]["dropped"] == f"{QUARANTINE}it is a two"
    assert "a fault of ours" in made[5]["dropped"]


def test_what_is_done_is_not_done_again_but_a_fault_is_tried_again(tmp_path):
    context = context_in(tmp_path)
    first = run_stage(Stage("s", 1, twice), ROWS, context, Serial())
    assert run_stage(Stage("s", 1, twice), ROWS, context, Serial()) == first
    assert ran(context) == ["0", "1", "2", "3", "3", "4", "5"]


def test_another_version_or_setting_is_another_result(tmp_path):
    context = context_in(tmp_path)
    rows = ROWS[:1]
    run_stage(Stage("turns", 1, twice), rows, context, Serial())
    run_stage(Stage("turns", 2, twice), rows, context, Serial())
    context.config = context.config.replace("turns", min_turns=9)
    run_stage(Stage("turns", 2, twice), rows, context, Serial())
    context.config = context.config.replace("quality", min_snr_db=1.0)  # not of this stage
    run_stage(Stage("turns", 2, twice), rows, context, Serial())
    assert len(ran(context)) == 3


def test_dropped_rows_pass_through_untouched(tmp_path):
    rows: list[Row] = [{"n": 0, "dropped": "no speech"}]
    assert run_stage(Stage("s", 1, twice), rows, context_in(tmp_path), Serial()) == rows


def test_a_missing_model_ends_the_run(tmp_path):
    def lacking(row: Row, context: Context, key: str) -> list[Row]:
        raise MissingModelError("no weights")

    with pytest.raises(MissingModelError):
        run_stage(Stage("s", 1, lacking), ROWS, context_in(tmp_path), Serial())


def test_a_result_that_was_cut_off_counts_as_none(tmp_path):
    context = context_in(tmp_path)
    stage = Stage("s", 1, twice)
    made = run_stage(stage, ROWS[:1], context, Serial())
    (path,) = (tmp_path / "s").glob("*.json")
    path.write_text('[{"n": 0, "pa')
    assert run_stage(stage, ROWS[:1], context, Serial()) == made


def test_two_workers_give_what_one_gives_and_a_dead_one_costs_its_row(tmp_path):
    stage = Stage("s", 1, deadly)
    rows = [row for row in ROWS if row["n"] != 4]
    one = run_stage(stage, rows, context_in(tmp_path / "one"), Serial())
    two = run_stage(stage, ROWS, context_in(tmp_path / "two"), Pool(2))
    assert [row for row in two if row["n"] != 4] == one
    (dead,) = (row for row in two if row["n"] == 4)
    assert "worker died" in dead["dropped"]


def test_manifests_are_read_as_they_were_written(tmp_path):
    write_rows(tmp_path / "m.jsonl", ROWS)
    assert read_rows(tmp_path / "m.jsonl") == ROWS
    assert read_rows(tmp_path / "none.jsonl") == []
