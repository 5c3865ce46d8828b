"""Prometheus metrics. Each application has its own registry."""

import os
from pathlib import Path
from typing import Any
from weakref import WeakSet

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.2, 1.6, 2.5, 5.0, 10.0)
_RATIOS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0)


def resident_bytes() -> float:
    """Resident memory of this process and its recogniser processes; 0 if unavailable."""
    pages = 0
    try:
        for listed in Path("/proc/self/task").glob("*/children"):
            for child in listed.read_text().split():
                pages += int(Path(f"/proc/{child}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        pass  # a child has just exited
    try:
        pages += int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return float(pages * os.sysconf("SC_PAGE_SIZE"))


class Metrics:
    """Attributes are the metrics; times are in seconds."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()

        def histogram(name: str, text: str, buckets: tuple[float, ...] = _SECONDS) -> Histogram:
            return Histogram(f"repartee_{name}", text, registry=registry, buckets=buckets)

        self.sessions = Gauge("repartee_sessions", "Conversations now.", registry=registry)
        self.parked = Gauge(
            "repartee_parked", "Parked conversations without a listener.", registry=registry
        )
        self.refused = Counter("repartee_refused", "Requests refused as busy.", registry=registry)
        self.queue = Gauge("repartee_queue", "Messages waiting to be sent.", registry=registry)
        self.first_audio = histogram(
            "first_audio_seconds",
            "End of the user's speech to the first sample played, by the page.",
        )
        self.end_of_turn = histogram("end_of_turn_seconds", "Silence until a turn was ended.")
        self.recognition = histogram("recognition_seconds", "End of turn to its text.")
        self.llm = histogram("llm_seconds", "End of the question to the first words of the answer.")
        self.rtf = histogram("rtf", "Real-time factor of synthesis.", _RATIOS)
        self.interruptions = Counter(
            "repartee_interruptions", "Speech over the agent.", ["outcome"], registry=registry
        )
        self.reopened = Counter(
            "repartee_reopened", "Turns continued after their end.", registry=registry
        )
        self.answers: WeakSet[Any] = WeakSet()  # of all sessions
        making = Gauge("repartee_answers", "Answers being synthesised.", registry=registry)
        making.set_function(self.in_the_making)
        self.underruns = Counter(
            "repartee_underruns", "Buffer underruns.", ["where"], registry=registry
        )
        self.memory = Gauge("repartee_memory_bytes", "Resident memory.", registry=registry)
        self.memory.set_function(resident_bytes)
        self.rejected = Counter(
            "repartee_rejected", "Messages and requests refused.", ["code"], registry=registry
        )

    def num_sessions(self) -> int:
        """The number of conversations now."""
        return int(next(iter(self.sessions.collect())).samples[0].value)

    def in_the_making(self) -> int:
        """The number of `answers` (`app.answering.Answer`) being synthesised."""
        return sum(answer.in_the_making for answer in self.answers)

    def text(self) -> bytes:
        """The metrics in Prometheus exposition format."""
        return generate_latest(self.registry)
