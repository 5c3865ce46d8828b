"""Runs the stages on a Ray cluster (optional; `pip install ray`).

Only rows are sent between nodes: all need the sources and the output folder at the same path, as
on a shared file system. Workers store results, as in the pool.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.errors import InputError, MissingModelError
from data.ncssd.engine import QUARANTINE, Job, do_job
from data.ncssd.stage import Context, drop
from data.ncssd.store import Row


class RayEngine:
    """Ray tasks; worker processes keep their models between tasks."""

    def __init__(self, workers: int, address: str | None = None) -> None:
        """Joins the cluster at `address`, or starts a local one with `workers`.

        Raises:
            InputError: fewer than one worker.
            MissingModelError: ray is not installed.
        """
        if workers < 1:
            raise InputError(f"--workers is {workers}; give 1 or more")
        self.workers = workers
        self._ray = _import()
        if not self._ray.is_initialized():
            root = str(Path(__file__).resolve().parents[2])
            path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
            local: dict[str, Any] = {} if address else {"num_cpus": workers}
            self._ray.init(
                address=address,
                include_dashboard=False,
                log_to_driver=False,
                runtime_env={"env_vars": {"PYTHONPATH": path}},
                **local,
            )

    def run(self, jobs: list[Job], context: Context) -> Iterator[tuple[int, list[Row]]]:
        ray = self._ray
        task = ray.remote(num_cpus=1, max_retries=2)(do_job)
        shared = ray.put(context)
        index_of = {task.remote(job, shared): index for index, job in enumerate(jobs)}
        pending = list(index_of)
        while pending:
            done, pending = ray.wait(pending, num_returns=1)
            for reference in done:
                index = index_of[reference]
                yield index, self._answer(reference, jobs[index])

    def _answer(self, reference: Any, job: Job) -> list[Row]:
        """A job's rows; a job whose process died on every try becomes a dropped row."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except errors.RayTaskError as error:
            raise error.cause from None
        except errors.RayError:
            return [drop(job.row, f"{QUARANTINE}{job.stage.name}: the worker died")]

    def close(self) -> None:
        self._ray.shutdown()


def _import() -> Any:
    try:
        import ray  # type: ignore[import-not-found]
    except ImportError:
        raise MissingModelError("ray is not installed; run: pip install ray") from None
    return ray
