"""Runs the stages on a Ray cluster (optional; `pip install ray`).

Only rows are sent between nodes: all need the sources and the output folder at the same path, as
on a shared file system. Workers store results, as in the pool.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.device import check_whisper_device, find_device
from data.errors import InputError, MissingModelError
from data.ncssd.engine import QUARANTINE, Job, do_job
from data.ncssd.stage import Context, drop
from data.ncssd.store import Row

_RETRIES = 2  # of a row whose worker died


class _Worker:
    """An actor: a process that does one row after another and keeps the models it has loaded."""

    def check(self, networks: str, whisper: str) -> None:
        find_device(networks)
        check_whisper_device(whisper)

    def do(self, job: Job, context: Context) -> list[Row]:
        return do_job(job, context)


class RayEngine:
    """A pool of actors, each with one CPU core and, if asked for, a share of a GPU."""

    def __init__(
        self, workers: int | None = None, address: str | None = None, gpu: bool = False
    ) -> None:
        """Joins the cluster at `address`, or starts a local one.

        Args:
            workers: most actors; None: one per core of the cluster.
            address: None for a cluster on this machine.
            gpu: whether actors use the cluster's GPUs.

        Raises:
            InputError: fewer than one worker, or `gpu` and the cluster has none.
            MissingModelError: ray is not installed.
        """
        if workers is not None and workers < 1:
            raise InputError(f"--workers is {workers}; give 1 or more")
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
        there = self._ray.cluster_resources()
        cores, gpus = int(there.get("CPU", 0)), int(there.get("GPU", 0))
        if gpu and not gpus:
            raise InputError("Ray finds no GPU in the cluster; add one, or use the device cpu")
        number = max(1, min(workers or cores, cores))
        actor = self._ray.remote(_Worker).options(
            num_cpus=1,
            num_gpus=gpu_share(number, gpus) if gpu else 0,
            max_restarts=-1,
            max_task_retries=_RETRIES,
        )
        self._actors = [actor.remote() for _ in range(number)]

    def run(self, jobs: list[Job], context: Context) -> Iterator[tuple[int, list[Row]]]:
        """Gives each actor its next job when it has done the one before, in the order of `jobs`."""
        ray = self._ray
        shared = ray.put(context)
        waiting = iter(enumerate(jobs))
        # an actor that does not start yet, as its node is busy, must not get a job
        devices = context.config.device, context.config.recognise.device
        running = {actor.check.remote(*devices): (actor, -1) for actor in self._actors}
        left = len(jobs)
        while left:
            (done, *_), _ = ray.wait(list(running), num_returns=1)
            actor, index = running.pop(done)
            following = next(waiting, None)
            if index < 0:
                self._get(done)
            if following is not None:
                running[actor.do.remote(following[1], shared)] = (actor, following[0])
            if index >= 0:
                left -= 1
                yield index, self._answer(done, jobs[index])

    def _get(self, reference: Any) -> Any:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None

    def _answer(self, reference: Any, job: Job) -> list[Row]:
        """A job's rows; a job whose process died on every try becomes a dropped row."""
        try:
            return self._get(reference)
        except self._ray.exceptions.RayError:
            return [drop(job.row, f"{QUARANTINE}{job.stage.name}: the worker died")]

    def close(self) -> None:
        self._ray.shutdown()


def gpu_share(workers: int, gpus: int) -> float:
    """The share of one GPU that each worker gets, so that all fit; at most one whole GPU."""
    of_one = -(-workers // gpus)
    return math.floor(1e4 / of_one) / 1e4  # Ray counts in ten-thousandths


def _import() -> Any:
    try:
        import ray  # type: ignore[import-not-found]
    except ImportError:
        raise MissingModelError("ray is not installed; run: pip install ray") from None
    return ray
