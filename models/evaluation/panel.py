"""Runs judges in several processes and caches their scores."""

import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from data.audio.pcm import to_float, to_int16

VERSION = 4  # increase when a judge changes, to invalidate the cache
_WORTH_A_POOL = 6


def default_cache() -> Path:
    """Cache folder of scores."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "repartee" / "judgements"


class Panel:
    """Runs judges. A judge is a plain function of sounds `[T]` (float32, 24 kHz) and strings with a
    JSON-ready result; it loads its model on first use.

    Sounds are rounded to 16 bits, as in files, and cached by content and judge, so that neither
    order nor number of processes matters.
    """

    def __init__(self, jobs: int = 2, cache: Path | None = None) -> None:
        self.jobs = max(1, jobs)
        self.cache = cache
        self._known: dict[str, dict[str, Any]] = {}
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Panel":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def ask(self, judge: Callable[..., Any], questions: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Scores in order; a question is a tuple of a judge's arguments."""
        name = f"{judge.__module__.rpartition('.')[2]}.{judge.__qualname__}"
        known = self._load(name)
        packed = [tuple(_packed(value) for value in question) for question in questions]
        keys = [_key(question) for question in packed]
        missing = {k: q for k, q in zip(keys, packed, strict=True) if k not in known}
        if missing:
            self._answer(judge, name, missing, known)
        return [known[key] for key in keys]

    def _answer(
        self, judge: Callable[..., Any], name: str, missing: dict[str, tuple], known: dict[str, Any]
    ) -> None:
        jobs = [(judge, question) for question in missing.values()]
        if self.jobs > 1 and len(jobs) >= _WORTH_A_POOL:
            answers = self._workers().map(_judge, jobs, chunksize=2)
        else:
            answers = map(_judge, jobs)
        console = Console(stderr=True)
        shown = track(
            answers,
            f"{name} ({len(jobs)})",
            len(jobs),
            transient=True,
            console=console,
            disable=not console.is_terminal,
        )
        file = None if self.cache is None else self._file(name).open("a", encoding="utf-8")
        try:
            for key, answer in zip(missing, shown, strict=True):
                known[key] = answer
                if file is not None:
                    file.write(json.dumps([key, answer]) + "\n")
                    file.flush()
        finally:
            if file is not None:
                file.close()

    def _workers(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.jobs, context, initializer=_one_thread)
        return self._pool

    def _file(self, name: str) -> Path:
        assert self.cache is not None
        self.cache.mkdir(parents=True, exist_ok=True)
        return self.cache / f"{name}-{VERSION}.jsonl"

    def _load(self, name: str) -> dict[str, Any]:
        if name not in self._known:
            self._known[name] = {}
            if self.cache is not None and self._file(name).exists():
                for line in self._file(name).read_text(encoding="utf-8").splitlines():
                    try:
                        key, answer = json.loads(line)
                    except ValueError:
                        continue  # truncated when a run was killed
                    self._known[name][key] = answer
        return self._known[name]


def _packed(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return to_int16(np.clip(value, -1, 1))
    return value


def _key(question: tuple) -> str:
    digest = hashlib.sha256()
    for value in question:
        content = value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()[:32]


def _judge(job: tuple[Callable[..., Any], tuple]) -> Any:
    judge, question = job
    sounds = [to_float(value) if isinstance(value, np.ndarray) else value for value in question]
    return judge(*sounds)


def _one_thread() -> None:
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)
