"""A server under load returns freed memory while clients are connected."""

import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from anyio._backends._asyncio import WorkerThread

from app.hub import HubSettings
from app.server import ServerSettings
from tests.app.live import engines, serving
from tests.app.test_server import opened

ROOT = Path(__file__).parents[2]
# Blocks of each size are freed under one that stays, while the server has a listener.
PROGRAM = """
import ctypes, json, time
from app.memory import few_heaps
few_heaps()
from tests.app.live import engines, serving
from tests.app.test_server import opened
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def resident():
    return int(open("/proc/self/status").read().split("VmRSS:")[1].split()[0])
with serving(engines()) as (place, _), opened(place):
    seen = [resident()]
    blocks = []
    for size in (2_000, 60_000, 500_000, 2_000_000, 20_000_000):
        made = [libc.malloc(size) for _ in range(60_000_000 // size)]
        for block in made:
            ctypes.memset(block, 1, size)
        blocks += made
        libc.malloc(size)
    seen.append(resident())
    for block in blocks:
        libc.free(block)
    time.sleep(3.5)
    print(json.dumps([*seen, resident()]))
"""


def test_memory_freed_under_load_is_returned() -> None:
    arguments = [sys.executable, "-c", PROGRAM]
    run = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    before, full, after = json.loads(run.stdout)
    assert full - before > 250_000  # kB
    assert after - before < 50_000


def test_parked_conversations_are_limited_like_active_ones() -> None:
    """Each keeps its dialogue, so that many dropped connections would fill the memory."""
    settings = ServerSettings(hub=HubSettings(max_sessions=3), page=False)
    with serving(engines(), settings) as (place, app):
        names = []
        for _ in range(7):
            with opened(place) as (_, session):
                names.append(session["session"])
            end = time.monotonic() + 10
            while app.state.hub.num_live and time.monotonic() < end:
                time.sleep(0.01)
        waiting = [name for name in names if app.state.hub.find(name)]
        assert waiting == names[-3:]


def test_idle_threads_end_after_a_load_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    """They stayed until the next peak: a minute after 200 clients there were twice as many."""
    monkeypatch.setattr(WorkerThread, "MAX_IDLE_TIME", 0.5)
    shared = engines()

    def slow() -> dict[str, str]:
        time.sleep(0.5)
        return {}

    monkeypatch.setattr(shared.voices, "aliases", slow)
    with serving(shared) as (place, _):
        url = f"http://{place}/v1/audio/voices"
        with ThreadPoolExecutor(20) as pool:
            assert all(one.is_success for one in pool.map(httpx.get, [url] * 20))
        assert workers() > 10
        end = time.monotonic() + 30
        while workers() > 2 and time.monotonic() < end:
            time.sleep(0.1)
        assert workers() <= 2


def workers() -> int:
    return sum(one.name.startswith("AnyIO") for one in threading.enumerate())
