"""@openai/agents in a page of another origin, in Chromium, with the key in a subprotocol."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import chromium
from tests.clients.test_stock_clients import CLIENTS, INSTALLED_BY
from tests.programs import path_of

pytestmark = pytest.mark.clients

BUNDLE = CLIENTS / "node/node_modules/@openai/agents-realtime/dist/bundle"
TALK = """async (url) => {
  const { RealtimeAgent, RealtimeSession, OpenAIRealtimeWebSocket } =
    await import('/openai-realtime-agents.mjs');
  const weather = {
    type: 'function', name: 'weather', description: 'Of a town.', strict: false,
    parameters: { type: 'object', properties: {}, required: [], additionalProperties: true },
    needsApproval: async () => false, isEnabled: async () => true,
    invoke: async () => 'It rains.',
  };
  const agent = new RealtimeAgent({ name: 'A', instructions: 'Be brief.', tools: [weather] });
  const transport = new OpenAIRealtimeWebSocket({ url, useInsecureApiKey: true });
  const session = new RealtimeSession(agent, { transport });
  let audio = 0;
  const failed = [];
  session.on('audio', (event) => (audio += event.data.byteLength));
  session.on('error', (error) => failed.push(JSON.stringify(error)));
  await session.connect({ apiKey: 'ek_any' });
  const done = new Promise((resolve) => session.on('agent_end', resolve));
  session.sendMessage('Tell me about trains.');
  await done;
  const said = session.history.map((one) => one.role);
  session.close();
  return { audio, failed, said };
}"""


@pytest.fixture
def place() -> Iterator[str]:
    """Serves the bundle that npm installs."""
    if not BUNDLE.is_dir():
        pytest.skip(f"the bundle is not in {CLIENTS}: there, {INSTALLED_BY['node']}")
    if path_of("chromium") is None:
        pytest.skip("chromium is not installed")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None: ...

    (BUNDLE / "index.html").write_text("<title>page</title>")
    handler = functools.partial(Handler, directory=str(BUNDLE))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_an_agent_in_a_page_converses(place: str, tmp_path: Path, serve: Any) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    with (
        serve(origins=(place,)) as url,
        sync_api.sync_playwright() as playwright,
        chromium(playwright, tmp_path, None) as context,
    ):
        page = context.new_page()
        page.goto(place)
        found = page.evaluate(TALK, url.replace("http", "ws") + "/realtime?model=gpt-realtime")
    assert not found["failed"]
    assert found["audio"] > 10_000
    assert found["said"] == ["user", "assistant"]
