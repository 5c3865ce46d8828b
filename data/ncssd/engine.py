"""Runs the stages over all rows, on one process, a pool, or a Ray cluster.

A row's result is kept by the worker that made it, at once; whoever is killed, and when, the next
run finds it. Results are joined in the order of the rows, so any number of workers gives the same
manifests.
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
from data.ncssd.store import Row

log = logging.getLogger(__name__)
QUARANTINE = "quarantine: "


@dataclass(frozen=True)
class Job:
    """One row before one stage, and the name under which its result is kept."""

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
    """All rows through one stage: a manifest to a manifest.

    Args:
        progress: is told of each row that is done, and what was made of it.
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
    # the longest first: no worker then waits for one that began the longest at the end
    waiting.sort(key=lambda item: -_seconds(item[1].row))
    for number, made in engine.run([job for _, job in waiting], context):
        index, job = waiting[number]
        results[index] = made
        progress(job.row, made)
    return [row for result in results for row in result or []]


def do_job(job: Job, context: Context) -> list[Row]:
    """Runs one job and keeps its result. What cannot be used becomes a row that says why.

    An error that the input is to blame for is kept; any other is tried again by the next run.

    Raises:
        MissingModelError: a model is absent, which no other row can mend.
        OutputError: nothing can be written, which is no row's fault.
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
    """Everything in this process, in order."""

    def run(self, jobs: list[Job], context: Context) -> Iterator[tuple[int, list[Row]]]:
        for index, job in enumerate(jobs):
            yield index, do_job(job, context)


class Pool:
    """Spawned processes on one machine. One that dies costs its own row, not the run."""

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
            log.warning("a worker died; its rows are tried again one at a time")
            for index in list(left):
                yield index, self._alone(left[index], context)

    def _alone(self, job: Job, context: Context) -> list[Row]:
        try:
            return next(self._all({0: job}, context, 1))[1]
        except BrokenProcessPool:
            return [drop(job.row, f"{QUARANTINE}{job.stage.name}: the worker died of it")]

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
            # Ctrl-C and errors: nothing half done is worth waiting for
            for process in (getattr(pool, "_processes", None) or {}).values():
                process.terminate()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        pool.shutdown()


def _start_worker() -> None:
    """Ctrl-C reaches the whole group; only the parent answers it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    inherit_offline()


def _end_with_parent() -> None:
    """Without this, the workers of a parent that was killed outright would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _seconds(row: Row) -> float:
    if "start" in row:
        return row["end"] - row["start"]
    return row.get("duration", 0.0)
