"""Runs the stages over all rows, in one process, a pool, or on a Ray cluster.

Each worker stores a row's result at once, so that a killed run loses only unfinished rows. Results
are joined in row order, so that the number of workers does not affect the manifests.
"""

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Protocol

from data.errors import InputError, MissingModelError, OutputError
from data.files import explain, is_trouble_of_machine
from data.ncssd.offline import inherit_offline
from data.ncssd.stage import Context, Stage, drop
from data.ncssd.store import Row, seconds_of

log = logging.getLogger(__name__)
QUARANTINE = "quarantine: "


@dataclass(frozen=True)
class Job:
    """One row for one stage, and the key of its result in the store."""

    stage: Stage
    key: str
    row: Row


class Engine(Protocol):
    """Runs jobs and yields each job's index and rows, in any order."""

    def run(self, jobs: list[Job], context: Context) -> Iterator[tuple[int, list[Row]]]: ...


def run_stage(
    stage: Stage,
    rows: list[Row],
    context: Context,
    engine: Engine,
    progress: Callable[[Row, list[Row]], None] = lambda row, made: None,
) -> list[Row]:
    """Runs one stage over a manifest; returns the manifest of its results.

    Args:
        progress: called with each finished row and its results.
    """
    settings = stage.depends(context.config)
    results: list[list[Row] | None] = [None] * len(rows)
    waiting: list[tuple[int, Job]] = []
    for index, row in enumerate(rows):
        if "dropped" in row:
            results[index] = [row]
            continue
        key = context.store.key(stage.name, stage.version, settings, row)
        kept = context.store.load(stage.name, key)
        if kept is None:
            waiting.append((index, Job(stage, key, row)))
        else:
            results[index] = kept
            progress(row, kept)
    # longest first, so that no long row starts when the other workers are done
    waiting.sort(key=lambda item: -seconds_of(item[1].row))
    for number, made in engine.run([job for _, job in waiting], context):
        index, job = waiting[number]
        results[index] = made
        progress(job.row, made)
    return [row for result in results for row in result or []]


def do_job(job: Job, context: Context) -> list[Row]:
    """Runs one job and stores its result; a failure becomes a dropped row with the reason.

    Failures caused by the input are stored; after others, the next run tries again.

    Raises:
        MissingModelError: a model is missing, which affects all rows.
        OutputError: results cannot be written, which affects all rows.
    """
    try:
        made = job.stage.run(job.row, context, job.key)
    except (MissingModelError, OutputError):
        raise
    except InputError as error:
        made = [drop(job.row, f"{QUARANTINE}{error}")]
    except Exception as error:
        if isinstance(error, OSError) and is_trouble_of_machine(error):
            raise OutputError(explain(error)) from error
        log.debug("%s failed on %s", job.stage.name, job.key, exc_info=True)
        return [drop(job.row, f"{QUARANTINE}{job.stage.name} failed ({error!r:.200})")]
    context.store.save(job.stage.name, job.key, made)
    return made


class Serial:
    """Runs all jobs in this process, in order."""

    def run(self, jobs: list[Job], context: Context) -> Iterator[tuple[int, list[Row]]]:
        for index, job in enumerate(jobs):
            yield index, do_job(job, context)


class Pool:
    """Spawned processes on one machine. A worker that dies costs its own row, not the run."""

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise InputError(f"--workers is {workers}; give 1 or more")
        self.workers = workers

    def run(self, jobs: list[Job], context: Context) -> Iterator[tuple[int, list[Row]]]:
        left = dict(enumerate(jobs))
        if not left:
            return
        try:
            for index, made in self._all(left, context, self.workers):
                del left[index]
                yield index, made
        except BrokenProcessPool:
            log.warning("a worker died; retrying unfinished rows one at a time")
            for index in list(left):
                yield index, self._alone(left[index], context)

    def _alone(self, job: Job, context: Context) -> list[Row]:
        try:
            return next(self._all({0: job}, context, 1))[1]
        except BrokenProcessPool:
            return [drop(job.row, f"{QUARANTINE}{job.stage.name}: the worker died")]

    @staticmethod
    def _all(
        jobs: dict[int, Job], context: Context, workers: int
    ) -> Iterator[tuple[int, list[Row]]]:
        spawn = multiprocessing.get_context("spawn")
        workers = min(workers, len(jobs))
        pool = ProcessPoolExecutor(workers, spawn, initializer=_start_worker)
        try:
            index_of: dict[Future[list[Row]], int] = {
                pool.submit(do_job, job, context): index for index, job in jobs.items()
            }
            pending = set(index_of)
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    yield index_of[future], future.result()
        except BaseException:
            # Ctrl-C and errors: do not wait for unfinished jobs
            for process in (getattr(pool, "_processes", None) or {}).values():
                process.terminate()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        pool.shutdown()


def _start_worker() -> None:
    """Leaves Ctrl-C, which the whole process group receives, to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    inherit_offline()


def _end_with_parent() -> None:
    """Exits with the parent; otherwise workers would outlive a parent killed by SIGKILL."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
