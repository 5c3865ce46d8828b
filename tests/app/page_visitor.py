"""A visitor of the cloning tab without a browser, by the requests that the page sends."""

import json
import secrets
import time

import httpx


def clone_on_page(url: str, clip: bytes, leave_after_s: float = 60.0) -> str:
    """Uploads a clip and clones it; the last line that came of it by the time the visitor leaves.

    Args:
        url: of the server.
        clip: an audio file.
        leave_after_s: seconds after which the connection is closed, whatever has come.
    """
    until = time.monotonic() + leave_after_s
    with httpx.Client(base_url=url, timeout=60) as client:
        made = client.post("/gradio_api/upload", files={"files": ("a.wav", clip)}).json()
        call = _call(client, made[0])
        assert client.post("/gradio_api/queue/join", json=call).is_success
        session, last = {"session_hash": call["session_hash"]}, ""
        with client.stream("GET", "/gradio_api/queue/data", params=session) as events:
            for line in events.iter_lines():
                last = line or last
                if "process_completed" in line or time.monotonic() > until:
                    break
    return last


def _call(client: httpx.Client, path: str) -> dict[str, object]:
    config = json.loads(client.get("/config").content)
    function = next(one["id"] for one in config["dependencies"] if one["api_name"] == "clone")
    sample = {"path": path, "meta": {"_type": "gradio.FileData"}}
    return {
        "data": [sample, True, "Hello there."],
        "fn_index": function,
        "session_hash": secrets.token_hex(6),
        "event_data": None,
        "trigger_id": None,
    }
