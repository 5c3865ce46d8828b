"""Ray: the same rows as in one process, and failures that drop one row."""

import copy
import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from app.cli.build import main
from data.errors import InputError, MissingModelError
from data.ncssd.engine import Serial, run_stage
from data.ncssd.pipeline import build
from data.ncssd.ray_engine import RayEngine, gpu_share
from data.ncssd.sources import find_media, read_sources
from data.ncssd.stage import Context, Stage
from data.ncssd.store import Row
from tests.data.ncssd.conftest import QUICK
from tests.data.ncssd.test_engine import ROOT, ROWS, context_in, deadly, twice, wait_for
from tests.data.ncssd.test_pipeline import digest

_DONE: list[int] = []  # by this process


def lacking(row: Row, context: Context, key: str) -> list[Row]:
    raise MissingModelError("no weights")


@pytest.fixture(scope="module")
def engine() -> Iterator[object]:
    engine = RayEngine(2)
    yield engine
    engine.close()


@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_ray_matches_one_process(engine, tmp_path):
    one, many = context_in(tmp_path / "one"), context_in(tmp_path / "many")
    stage = Stage("s", 1, twice)
    assert run_stage(stage, ROWS, many, engine) == run_stage(stage, ROWS, one, Serial())
    kept = sorted(path.name for path in (tmp_path / "one" / "s").iterdir())
    assert sorted(path.name for path in (tmp_path / "many" / "s").iterdir()) == kept


@pytest.mark.filterwarnings("ignore")
def test_a_dead_worker_drops_its_row_and_a_missing_model_ends_the_run(engine, tmp_path):
    made = run_stage(Stage("s", 1, deadly), ROWS, context_in(tmp_path), engine)
    assert ["dropped" in row for row in made] == [row["n"] == 4 for row in ROWS]
    with pytest.raises(MissingModelError, match="no weights"):
        run_stage(Stage("t", 1, lacking), ROWS, context_in(tmp_path), engine)


def whose(row: Row, context: Context, key: str) -> list[Row]:
    """Notes the worker that does a row, and how many it did before."""
    _DONE.append(row["n"])
    return [{**row, "worker": os.getpid(), "before": len(_DONE) - 1}]


@pytest.mark.filterwarnings("ignore")
def test_workers_stay_from_stage_to_stage_and_start_with_the_longest(engine, tmp_path):
    context, one = context_in(tmp_path), engine._actors[:1]
    made = [run_stage(Stage(name, 1, whose), ROWS, context, engine) for name in ("s", "t")]
    workers = {row["worker"] for rows in made for row in rows}
    assert len(workers) <= 2 and os.getpid() not in workers
    assert sum(row["before"] == 0 for rows in made for row in rows) <= 2, "none starts again"
    alone = copy.copy(engine)
    alone._actors = one
    rows = run_stage(Stage("u", 1, whose), ROWS, context, alone)
    order = sorted(rows, key=lambda row: row["before"])
    assert [row["n"] for row in order] == [5, 4, 3, 2, 1, 0]


@pytest.mark.filterwarnings("ignore")
def test_a_worker_without_the_device_ends_the_run(engine, tmp_path):
    context = context_in(tmp_path)
    context.config = dataclasses.replace(context.config, device="cuda")
    with pytest.raises(InputError, match="PyTorch finds no CUDA GPU"):
        run_stage(Stage("s", 1, twice), ROWS, context, engine)
    assert not (tmp_path / "ran.txt").exists()


@pytest.mark.filterwarnings("ignore")
def test_gpus_are_shared_by_the_workers(engine, monkeypatch):
    asked = []

    class Actor:
        def options(self, **resources: float) -> "Actor":
            asked.append(resources)
            return self

        def remote(self) -> None:
            pass

    monkeypatch.setattr(engine._ray, "cluster_resources", lambda: {"CPU": 9.0, "GPU": 2.0})
    monkeypatch.setattr(engine._ray, "remote", lambda kind: Actor())
    assert len(RayEngine(7, gpu=True)._actors) == 7
    assert len(RayEngine()._actors) == len(RayEngine(99)._actors) == 9, "a core for each"
    assert [(one["num_cpus"], one["num_gpus"]) for one in asked] == [(1, 0.25), (1, 0), (1, 0)]
    monkeypatch.setattr(engine._ray, "cluster_resources", lambda: {"CPU": 2.0})
    with pytest.raises(InputError, match="no GPU in the cluster"):
        RayEngine(2, gpu=True)


@pytest.mark.parametrize(("workers", "gpus"), [(1, 1), (1, 4), (3, 2), (7, 1), (16, 3)])
def test_all_workers_fit_on_the_gpus(workers, gpus):
    share = gpu_share(workers, gpus)
    assert gpus * int(1 / share + 1e-9) >= workers
    assert share == 1 if workers <= gpus else share > 0.99 / (workers / gpus + 1)


@pytest.mark.filterwarnings("ignore")
def test_a_whole_build_on_two_workers_gives_the_same_bytes(engine, built, recordings, tmp_path):
    rights = {"license": "CC0-1.0", "consent": "made by a machine"}
    sources = read_sources(find_media([recordings]), rights, True)
    build(sources, tmp_path, QUICK, engine)
    mine = digest(tmp_path)
    assert mine and mine == {name: value for name, value in digest(built).items() if name in mine}


def test_offline_and_ray_exclude_each_other(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"x")
    command = [str(tmp_path / "a.wav"), "--out", str(tmp_path / "out"), "--engine", "ray"]
    with pytest.raises(InputError, match="--engine pool"):
        main([*command, "--offline"])


def test_missing_ray_is_named(monkeypatch):
    import builtins

    real = builtins.__import__

    def absent(name: str, *rest: object) -> object:
        if name == "ray":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingModelError, match="pip install ray"):
        RayEngine(1)
    with pytest.raises(InputError, match="--workers"):
        RayEngine(0)


_BUILD = """
import sys
from pathlib import Path
from data.ncssd.pipeline import build
from data.ncssd.ray_engine import RayEngine
from data.ncssd.sources import find_media, read_sources
from tests.data.ncssd.conftest import QUICK

rights = {"license": "CC0-1.0", "consent": "made by a machine"}
sources = read_sources(find_media([Path(sys.argv[1])]), rights, True)
build(sources, Path(sys.argv[2]), QUICK, RayEngine(2))
"""


@pytest.mark.slow  # a minute: Ray starts three times
def test_a_build_that_is_killed_under_ray_resumes_with_the_same_bytes(built, recordings, tmp_path):
    command = [sys.executable, "-c", _BUILD, str(recordings), str(tmp_path)]
    child = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
    begun = tmp_path / "work" / "activity"
    assert wait_for(lambda: any(begun.glob("*.json")) or child.poll() is not None, 120.0)
    child.kill()
    child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL, "the build ended before it was killed"

    # Ray ends its own processes, not at once: rows in work may still be written
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").glob("*/*.json")}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    mine = digest(tmp_path)
    assert mine and mine == {name: value for name, value in digest(built).items() if name in mine}
    assert kept == {path: path.stat().st_mtime_ns for path in kept}, "nothing is done again"
