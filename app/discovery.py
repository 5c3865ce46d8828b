"""Finds language models running on this machine, on the default ports of common servers."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import httpx

from data.text import valid_text

logger = logging.getLogger(__name__)

PORTS = {11434: "Ollama", 1234: "LM Studio", 8080: "llama.cpp", 8000: "vLLM"}
WITHIN_S = 0.5
_CONNECT_S = 0.15
_MAX_BYTES = 1 << 18
_MAX_MODELS = 16
_NO_CHAT = ("embed", "rerank", "whisper", "tts")


@dataclass(frozen=True)
class FoundModel:
    """A chat model.

    Attributes:
        name: the server's name of it.
        server: the program that usually uses that port.
        base_url: up to and including `/v1`.
    """

    name: str
    server: str
    base_url: str


def find_language_models(
    ports: dict[int, str] | None = None, within_s: float = WITHIN_S
) -> list[FoundModel]:
    """Queries `/v1/models` on several local ports concurrently.

    Args:
        ports: ports with the names of their servers; None: the defaults.
        within_s: timeout.
    """
    asked = PORTS if ports is None else ports
    pool = ThreadPoolExecutor(max(1, len(asked)), thread_name_prefix="discovery")
    jobs = [pool.submit(_models, port, server, within_s) for port, server in asked.items()]
    done, _ = wait(jobs, within_s)
    pool.shutdown(wait=False, cancel_futures=True)
    return [model for job in jobs if job in done for model in job.result()]


def _models(port: int, server: str, within_s: float) -> list[FoundModel]:
    base = f"http://127.0.0.1:{port}/v1"
    timeout = httpx.Timeout(within_s, connect=_CONNECT_S)
    try:
        # trust_env: no proxy for localhost
        with (
            httpx.Client(timeout=timeout, trust_env=False) as client,
            client.stream("GET", f"{base}/models") as response,
        ):
            content = bytearray()
            for chunk in response.iter_raw():
                content += chunk
                if len(content) > _MAX_BYTES:
                    return []
            names = _names(json.loads(content)) if response.status_code == 200 else []
    except (httpx.HTTPError, httpx.StreamError, OSError, ValueError, RecursionError):
        return []  # no server, or a different kind
    return [FoundModel(name, server, base) for name in names[:_MAX_MODELS]]


def _names(answer: Any) -> list[str]:
    listed = answer.get("data") if isinstance(answer, dict) else None
    entries = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    if any(one.get("owned_by") == "repartee" for one in entries):
        return []  # another server of ours
    names = [one["id"] for one in entries if isinstance(one.get("id"), str)]
    names = [valid_text(name) for name in names if 0 < len(name) <= 200 and name.isprintable()]
    return [name for name in names if not any(word in name.lower() for word in _NO_CHAT)]
