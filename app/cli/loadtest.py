"""`launch.py loadtest`: scripted conversations with a server, in real time.

They use the real WebSocket and check for mix-ups between sessions: the user audio stored by the
server against the audio sent, the agent audio against the audio received, its voice against the
requested one, and the names it mentions against the session's own. The last line on stdout is one
JSON object, which also reports whether the machine was too busy for meaningful figures. The test
ends at most 30 s after `--minutes`, whatever the server does.
"""

import argparse
import asyncio
import contextlib
import json
import math
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from app.machine import MachineWatch
from app.simulated_user import Outcome, SimulatedUser
from data.audio import SAMPLE_RATE, read_audio
from data.audio.pcm import from_bytes
from data.errors import InputError, RepError

_REFERENCE = "This is how I sound when I say a sentence or two. It is enough to know me again."
_SPOKEN = (
    "What do you think about the weather?",
    "I had a really good day at work today.",
    "My sister has two cats and a dog.",
    "We had soup and bread for dinner.",
    "I would like to hear more about music.",
)
_START_S = 120.0
# The 30 s beyond --minutes are for finishing replies, comparing voices and stopping the server.
_PREPARATION_S = 3.0
_GRACE_S = 10.0
_LIMIT_S = 22.0
_END_S = 5.0
_ANSWER_S = 15.0  # for one request
_CLEARLY = 0.08  # cosine: voices of replies of two seconds are known no better than that
_SETTLED_S = 60.0  # after which the server's memory should be stable


def main(argv: list[str]) -> int:
    """Runs scripted conversations against a server and prints the measurements."""
    parser = argparse.ArgumentParser(prog="launch.py loadtest", description=main.__doc__)
    add = parser.add_argument
    add("--url", default="", help="URL of a running server (default: start one)")
    add("--token", default="", help="bearer token of that server")
    add("--sessions", type=int, default=4, help="concurrent conversations (default: %(default)s)")
    add("--minutes", type=float, default=1.0, help="duration (default: %(default)g)")
    add("--typed", action="store_true", help="type all turns instead of speaking")
    add("--device", default="cpu", help="device of the started server: cpu or cuda (default: cpu)")
    add(
        "--speech",
        type=Path,
        nargs="*",
        default=[],
        help="audio files of the user's turns (default: synthesised by the server)",
    )
    args = parser.parse_args(argv)
    if args.sessions < 1 or args.minutes <= 0:
        raise InputError("--sessions must be 1 or more and --minutes more than 0")
    from models.device import parse_device

    parse_device(args.device)  # reports a bad device here rather than in the server
    speech = [read_audio(path, max_seconds=30) for path in args.speech]
    with _server_of(args) as (url, sessions), MachineWatch(sessions) as watch:
        end = time.monotonic() + args.minutes * 60 + _LIMIT_S
        server = Server(url, args.token, end)
        try:
            outcomes, memory = _converse(server, args, speech)
            strange = _compared(outcomes, server)
            summary = {**summarise(outcomes, memory), "strange_voices": strange}
        except httpx.HTTPError as error:
            raise RepError(f"{url} does not answer ({error}); is a server running there?") from None
    load = watch.load()
    summary |= {"machine": asdict(load), "too_busy": load.too_busy}
    if load.too_busy:
        print(
            f"this machine is too busy for meaningful figures: {load.too_busy}; repeat when idle",
            file=sys.stderr,
        )
    print(json.dumps(summary))
    wrong = summary["errors"] or summary["mixed"] or summary["strange_voices"]
    return 1 if wrong else 0


def _compared(outcomes: list[Outcome], server: "Server") -> int | None:
    """`strange_voices`; None, with an error, if the server does not answer in time."""
    try:
        return strange_voices(outcomes, server)
    except httpx.TimeoutException as error:
        outcomes[0].errors.append(f"the voices could not be compared: {error}")
        return None


def _converse(
    server: "Server", args: argparse.Namespace, speech: list[np.ndarray]
) -> tuple[list[Outcome], list[dict[str, float]]]:
    """Prepares the user's speech and runs the conversations, together within the time limit."""
    began = time.monotonic()
    if not speech and not args.typed:
        voice = server.voices()[-1]
        speech = [server.speak(text, voice) for text in _SPOKEN]
    late = max(0.0, time.monotonic() - began - _PREPARATION_S)
    seconds = max(1.0, args.minutes * 60 - late)
    return asyncio.run(drive(server, args.sessions, seconds, speech))


class Server:
    """The server's HTTP interface, as far as the test needs it."""

    def __init__(self, url: str, token: str = "", end: float = math.inf) -> None:
        """`end`, on the monotonic clock, is the deadline of all requests."""
        self.url, self.token = url.rstrip("/"), token
        self.end = end
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(base_url=self.url, headers=headers)

    def voices(self) -> list[str]:
        """The names of the server's voices."""
        return [voice["name"] for voice in json.loads(self._get("/v1/conversation"))["voices"]]

    def speak(self, text: str, voice: str) -> np.ndarray:
        """`text` in `voice`, samples [T] at 24 kHz."""
        body = {"input": text, "voice": voice, "response_format": "pcm", "seed": 1}
        content = self._ask("POST", "/v1/audio/speech", json=body)
        return from_bytes(content)

    def figures(self) -> dict[str, float]:
        """Resident memory in MB and server-side underruns, from `/metrics`."""
        text = self._get("/metrics").decode()

        def value(name: str) -> float:
            found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
            return float(found[1]) if found else 0.0

        return {
            "memory_mb": round(value("repartee_memory_bytes") / 1e6, 1),
            "late": value('repartee_underruns_total{where="server"}'),
        }

    def _get(self, path: str) -> bytes:
        return self._ask("GET", path)

    def _ask(self, method: str, path: str, **more: Any) -> bytes:
        """The response body; it must arrive completely within `_ANSWER_S`."""
        end = min(self.end, time.monotonic() + _ANSWER_S)
        timeout = max(0.1, end - time.monotonic())
        content = bytearray()
        with self._client.stream(method, path, timeout=timeout, **more) as answer:
            answer.raise_for_status()
            for piece in answer.iter_bytes():
                content += piece
                if time.monotonic() > end:
                    raise httpx.ReadTimeout(f"{path} not complete within {_ANSWER_S:.0f} s")
        return bytes(content)


async def drive(
    server: Server, sessions: int, seconds: float, speech: list[np.ndarray]
) -> tuple[list[Outcome], list[dict[str, float]]]:
    """Runs all conversations concurrently.

    Returns:
        The outcome of each, and the server's figures every few seconds with their time, s.
    """
    began = time.monotonic()
    users = [SimulatedUser(server.url, index, speech, server.token) for index in range(sessions)]
    running = {asyncio.create_task(user.run(began + seconds)): user for user in users}
    watcher = asyncio.create_task(_watch(server, began, began + seconds))
    _, late = await asyncio.wait(running, timeout=seconds + _GRACE_S)
    for task in late:
        running[task].give_up()
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    return [user.outcome for user in users], await watcher


def summarise(outcomes: list[Outcome], figures: list[dict[str, float]]) -> dict[str, Any]:
    """Aggregate figures of all conversations."""
    spoken = [ms for outcome in outcomes for ms in outcome.first_audio_ms]
    typed = [ms for outcome in outcomes for ms in outcome.first_typed_ms]
    settled = [one["memory_mb"] for one in figures if one["at_s"] >= _SETTLED_S]
    return {
        "sessions": len(outcomes),
        "replies": sum(len(outcome.replies) for outcome in outcomes),
        "audio_s": round(sum(len(s) for o in outcomes for s in o.replies) / SAMPLE_RATE, 1),
        "first_audio_ms_p50": _percentile(spoken, 50),
        "first_audio_ms_p95": _percentile(spoken, 95),
        "first_audio_typed_ms_p50": _percentile(typed, 50),
        "first_audio_typed_ms_p95": _percentile(typed, 95),
        "underruns": sum(outcome.underruns for outcome in outcomes),
        "underruns_server": int(figures[-1]["late"] - figures[0]["late"]) if figures else None,
        "mixed": mixed(outcomes),
        "compared": sum(outcome.compared for outcome in outcomes),
        "memory_mb": [one["memory_mb"] for one in figures],
        "memory_growth_mb": round(settled[-1] - settled[0], 1) if len(settled) > 1 else None,
        "unfinished": sum(outcome.unfinished for outcome in outcomes),
        "errors": [error for outcome in outcomes for error in outcome.errors],
    }


def mixed(outcomes: list[Outcome]) -> int:
    """Counts mix-ups: answers with another session's name or, when asked, without their own, and
    audio that differs from what was sent or received."""
    names = {outcome.name for outcome in outcomes}
    count = sum(outcome.altered for outcome in outcomes)
    for outcome in outcomes:
        for said, answer in outcome.texts:
            others = any(other in re.findall(r"\w+", answer) for other in names - {outcome.name})
            forgotten = "my name" in said.lower() and outcome.name not in answer
            count += others or forgotten
    return count


def strange_voices(outcomes: list[Outcome], server: Server) -> int:
    """Counts replies whose voice is clearly closer to another session's than to the requested one,
    by the bundled style encoder; the server speaks one sentence in each voice as the reference."""
    import torch

    from models.checkpoint import WEIGHTS
    from models.vocoder.style import load_style

    encoder = load_style(WEIGHTS)

    def style(samples: np.ndarray) -> torch.Tensor:
        found = encoder.encode(torch.from_numpy(np.ascontiguousarray(samples))[None])[0]
        return torch.nn.functional.normalize(found, dim=0)

    names = sorted({outcome.voice for outcome in outcomes if outcome.voice})
    known = [style(server.speak(_REFERENCE, name)) for name in names]
    strange = 0
    for outcome in outcomes:
        for reply in outcome.replies:
            if time.monotonic() > server.end:
                outcome.errors.append(f"{outcome.name}: no time left to compare all voices")
                break
            heard = style(reply)
            own = float(known[names.index(outcome.voice)] @ heard)
            strange += max(float(each @ heard) for each in known) > own + _CLEARLY
    return strange


def _percentile(values: list[float], percent: float) -> float | None:
    return round(float(np.percentile(values, percent)), 1) if values else None


async def _watch(server: Server, began: float, stop_at: float) -> list[dict[str, float]]:
    found: list[dict[str, float]] = []
    while True:
        try:
            figures = await asyncio.to_thread(server.figures)
        except httpx.TimeoutException:  # the conversations report it; a missing figure is harmless
            figures = None
        if figures is not None:
            found.append({"at_s": time.monotonic() - began, **figures})
        left = stop_at - time.monotonic()
        if left <= 0:
            return found
        await asyncio.sleep(min(5.0, left))


@contextlib.contextmanager
def _server_of(args: argparse.Namespace) -> Iterator[tuple[str, tuple[int, ...] | None]]:
    """The server's URL and, if started here, the session ids of its processes."""
    if args.url:
        yield args.url, None
        return
    with _own_server(args.sessions, args.device) as (url, session):
        yield url, (session,)


@contextlib.contextmanager
def _own_server(sessions: int, device: str) -> Iterator[tuple[str, int]]:
    """Runs `launch.py serve` in its own process and session during the test."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = Path(__file__).resolve().parents[2] / "launch.py"
    command = [sys.executable, str(program), "--no-venv", "serve", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    command += ["--max-sessions", str(sessions), "--device", device]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        _wait(process, url)
        yield url, process.pid
    finally:
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen, url: str) -> None:
    end = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url + "/healthz", timeout=5).is_success:
                return
        time.sleep(0.2)
    raise RepError("the server did not start; run `launch.py serve` to see why")
