"""Ray: the same rows as in one process, and failures that drop one row."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from app.cli.build import main
from data.errors import InputError, MissingModelError
from data.ncssd.engine import Serial, run_stage
from data.ncssd.pipeline import build
from data.ncssd.sources import find_media, read_sources
from data.ncssd.stage import Context, Stage
from data.ncssd.store import Row
from tests.data.ncssd.conftest import QUICK
from tests.data.ncssd.test_engine import ROOT, ROWS, context_in, deadly, twice, wait_for
from tests.data.ncssd.test_pipeline import digest


def lacking(row: Row, context: Context, key: str) -> list[Row]:
    raise MissingModelError("no weights")


@pytest.fixture(scope="module")
def engine() -> Iterator[object]:
    from data.ncssd.ray_engine import RayEngine

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

    from data.ncssd.ray_engine import RayEngine

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
