"""The engine: resuming, quarantine, order, and dying workers."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data.errors import InputError, MissingModelError
from data.ncssd.config import BuildConfig
from data.ncssd.engine import QUARANTINE, Pool, Serial, run_stage
from data.ncssd.stage import Context, Stage
from data.ncssd.store import Row, Store, read_rows, write_rows

ROOT = Path(__file__).resolve().parents[3]
ROWS: list[Row] = [{"sha256": f"{n:02d}", "n": n, "duration": float(n)} for n in range(6)]


def twice(row: Row, context: Context, key: str) -> list[Row]:
    """Makes two rows of each, and appends to a file at every run."""
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


def sleeps(row: Row, context: Context, key: str) -> list[Row]:
    """Writes its process id and never ends."""
    (context.store.root / f"{os.getpid()}.pid").touch()
    time.sleep(120)
    return [row]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_for(what, seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.1)
    return False


def context_in(folder: Path) -> Context:
    folder.mkdir(exist_ok=True)
    return Context(BuildConfig(), Store(folder))


def ran(context: Context) -> list[str]:
    return sorted((context.store.root / "ran.txt").read_text().split())


def test_a_failure_drops_one_row_with_the_reason(tmp_path):
    made = run_stage(Stage("s", 1, twice), ROWS, context_in(tmp_path), Serial())
    assert [row["n"] for row in made] == [0, 0, 1, 1, 2, 3, 4, 4, 5, 5]
    assert made[4]["dropped"] == f"{QUARANTINE}it is a two"
    assert "a fault of ours" in made[5]["dropped"]


def test_results_are_reused_and_failures_retried(tmp_path):
    context = context_in(tmp_path)
    first = run_stage(Stage("s", 1, twice), ROWS, context, Serial())
    assert run_stage(Stage("s", 1, twice), ROWS, context, Serial()) == first
    assert ran(context) == ["0", "1", "2", "3", "3", "4", "5"]


def test_results_depend_on_version_and_settings(tmp_path):
    context = context_in(tmp_path)
    rows = ROWS[:1]
    run_stage(Stage("turns", 1, twice), rows, context, Serial())
    run_stage(Stage("turns", 2, twice), rows, context, Serial())
    context.config = context.config.replace("turns", min_turns=9)
    run_stage(Stage("turns", 2, twice), rows, context, Serial())
    context.config = context.config.replace("quality", min_snr_db=1.0)  # of another stage
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


def test_a_truncated_result_is_recomputed(tmp_path):
    context = context_in(tmp_path)
    stage = Stage("s", 1, twice)
    made = run_stage(stage, ROWS[:1], context, Serial())
    (path,) = (tmp_path / "s").glob("*.json")
    path.write_text('[{"n": 0, "pa')
    assert run_stage(stage, ROWS[:1], context, Serial()) == made


def test_two_workers_match_one_and_a_dead_worker_drops_only_its_row(tmp_path):
    stage = Stage("s", 1, deadly)
    rows = [row for row in ROWS if row["n"] != 4]
    one = run_stage(stage, rows, context_in(tmp_path / "one"), Serial())
    two = run_stage(stage, ROWS, context_in(tmp_path / "two"), Pool(2))
    assert [row for row in two if row["n"] != 4] == one
    (dead,) = (row for row in two if row["n"] == 4)
    assert "worker died" in dead["dropped"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_a_parent_that_is_killed_or_interrupted(tmp_path, how):
    code = (
        "import signal, sys; from pathlib import Path\n"
        # Background jobs inherit an ignored SIGINT.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from data.ncssd.engine import Pool, run_stage\n"
        "from data.ncssd.stage import Stage\n"
        "from tests.data.ncssd.test_engine import ROWS, context_in, sleeps\n"
        "if __name__ == '__main__':\n"
        "    context = context_in(Path(sys.argv[1]))\n"
        "    run_stage(Stage('s', 1, sleeps), ROWS, context, Pool(2))\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "w")], env=environment, stderr=subprocess.PIPE
    )
    assert wait_for(lambda: len(list((tmp_path / "w").glob("*.pid"))) == 2)
    workers = [int(path.stem) for path in (tmp_path / "w").glob("*.pid")]
    parent.send_signal(how)
    parent.communicate(timeout=60)
    assert wait_for(lambda: not any(map(is_alive, workers)))
    assert parent.returncode != 0
    assert not list((tmp_path / "w").rglob("*.json"))


def test_two_builds_in_one_folder_do_not_mix(tmp_path):
    with (
        Store(tmp_path / "work").lock(),
        pytest.raises(InputError, match="another build"),
        Store(tmp_path / "work").lock(),
    ):
        pass
    with Store(tmp_path / "work").lock():
        pass


def test_manifests_are_read_as_they_were_written(tmp_path):
    write_rows(tmp_path / "m.jsonl", ROWS)
    assert read_rows(tmp_path / "m.jsonl") == ROWS
    assert read_rows(tmp_path / "none.jsonl") == []
