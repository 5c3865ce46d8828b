"""Complete, unmodified client programs, each in its own environment.

They are large and not installed by default: `REPARTEE_CLIENTS` names a folder with a virtual
environment for each; missing ones are skipped.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.clients

SCRIPTS = Path(__file__).parent / "scripts"
CLIENTS = Path(os.environ.get("REPARTEE_CLIENTS", "~/.cache/repartee/clients")).expanduser()
INSTALLED_BY = {
    "livekit": "pip install 'livekit-agents[openai]==1.8.9'",
    "pipecat": "pip install 'pipecat-ai[openai,websocket]==1.14.0'",
    "litellm": "pip install litellm==1.110.0",
    "wyoming": "python3.12 -m venv wyoming && wyoming/bin/pip install wyoming-openai==0.8.0",
    "node": "npm install openai@7.59 @openai/agents@0.20",
}


def run(url: str, client: str, script: str, says: list[str]) -> None:
    folder = CLIENTS / client
    node = client == "node"
    interpreter = shutil.which("node") if node else str(folder / "bin" / "python")
    there = (folder / "node_modules" if node else folder / "bin").is_dir() and interpreter
    if not there:
        pytest.skip(f"{client} is not in {CLIENTS}: there, {INSTALLED_BY[client]}")
    path = SCRIPTS / script
    if node:  # Node resolves modules beside the script
        path = Path(shutil.copy(path, folder))
    ended = subprocess.run(
        [str(interpreter), str(path), url], capture_output=True, text=True, timeout=150
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert [line for line in ended.stdout.splitlines() if line.endswith(" ok")] == says


def test_livekit(url: str) -> None:
    run(url, "livekit", "livekit_services.py", ["tts ok", "stt ok", "realtime ok"])


def test_pipecat(url: str) -> None:
    run(url, "pipecat", "pipecat_services.py", ["tts ok", "stt ok", "realtime ok"])


def test_litellm(url: str) -> None:
    run(url, "litellm", "litellm_calls.py", ["litellm ok"])


def test_wyoming(url: str) -> None:
    run(url, "wyoming", "wyoming_proxy.py", ["tts ok", "stt ok", "realtime ok"])


def test_node(url: str) -> None:
    run(url, "node", "openai_node.mjs", ["openai-node ok", "agents ok"])
