"""Monitors machine load during a measurement."""

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MAX_LAG_MS = 20.0  # a frame of the microphone
MAX_STEAL = 5.0
MAX_OTHERS = 25.0
_STEP_S = 0.05
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Load:
    """Measured machine load.

    Attributes:
        lag_ms_p95, lag_ms_max: wake-up delay of a sleeping thread.
        steal_percent: share of all cores' time stolen by the hypervisor.
        others_percent: share of all cores' time used by processes that are not part of the
            measurement; None if unknown.
        cores: cores available to this process.
    """

    lag_ms_p95: float
    lag_ms_max: float
    steal_percent: float
    others_percent: float | None
    cores: int

    @property
    def too_busy(self) -> str | None:
        """Why figures measured meanwhile are unreliable, or None."""
        found = []
        if self.lag_ms_p95 > MAX_LAG_MS:
            found.append(f"the test itself was {self.lag_ms_p95:.0f} ms late (95th percentile)")
        if self.steal_percent > MAX_STEAL:
            found.append(f"the host stole {self.steal_percent:.0f} % of CPU time")
        if self.others_percent is not None and self.others_percent > MAX_OTHERS:
            found.append(f"other programs used {self.others_percent:.0f} % of CPU time")
        return "; ".join(found) or None


class MachineWatch:
    """Monitors the machine inside a `with` block.

    Args:
        sessions: ids of process sessions that belong to the measurement beside this process; None
            if it runs elsewhere or they are unknown.
    """

    def __init__(self, sessions: tuple[int, ...] | None = None) -> None:
        self._sessions = sessions
        self._lags: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "MachineWatch":
        self._began = (_processor_times(), self._ours())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._ended = (_processor_times(), self._ours())

    def load(self) -> Load:
        """The measured load; available after the block."""
        spent = {key: self._ended[0][key] - self._began[0][key] for key in self._ended[0]}
        total = max(sum(spent.values()), _TICK_S)
        busy = total - spent["idle"] - spent["iowait"] - spent["steal"]
        others = None
        if self._sessions is not None:
            others = round(max(0.0, 100 * (busy - self._ended[1] + self._began[1]) / total), 1)
        lags = np.array(self._lags or [0.0]) * 1000
        return Load(
            round(float(np.percentile(lags, 95)), 1),
            round(float(lags.max()), 1),
            round(100 * spent["steal"] / total, 1),
            others,
            len(os.sched_getaffinity(0)),
        )

    def _watch(self) -> None:
        while not self._over.is_set():
            asked = time.monotonic() + _STEP_S
            time.sleep(_STEP_S)
            self._lags.append(time.monotonic() - asked)

    def _ours(self) -> float:
        """Processor seconds of this process and of those that take part."""
        seconds = time.process_time()
        for stat in Path("/proc").glob("[0-9]*/stat") if self._sessions else ():
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            if int(fields[3]) in (self._sessions or ()):
                seconds += (int(fields[11]) + int(fields[12])) * _TICK_S
        return seconds


def _processor_times() -> dict[str, float]:
    """CPU seconds of all cores since boot, by kind."""
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    values: list[Any] = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    return {name: int(value) * _TICK_S for name, value in zip(names, values, strict=False)}
