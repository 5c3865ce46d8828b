"""@openai/agents in a page of another origin, in Chromium: by WebSocket and by WebRTC."""

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
TALK = """async ([url, way]) => {
  const { RealtimeAgent, RealtimeSession, OpenAIRealtimeWebSocket, OpenAIRealtimeWebRTC } =
    await import('/openai-realtime-agents.mjs');
  const weather = {
    type: 'function', name: 'weather', description: 'Of a town.', strict: false,
    parameters: { type: 'object', properties: {}, required: [], additionalProperties: true },
    needsApproval: async () => false, isEnabled: async () => true,
    invoke: async () => 'It rains.',
  };
  const agent = new RealtimeAgent({ name: 'A', instructions: 'Be brief.', tools: [weather] });
  const options = { useInsecureApiKey: true };
  const audioElement = document.createElement('audio');
  const tone = new AudioContext();
  const silence = tone.createMediaStreamDestination();
  const transport = way === 'websocket'
    ? new OpenAIRealtimeWebSocket({
        url: `${url.replace('http', 'ws')}/realtime?model=gpt-realtime`, ...options,
      })
    : new OpenAIRealtimeWebRTC({
        baseUrl: `${url}/realtime/calls`, audioElement, mediaStream: silence.stream, ...options,
      });
  const session = new RealtimeSession(agent, { transport });
  let audio = 0;
  const failed = [];
  session.on('audio', (event) => (audio += event.data.byteLength));
  const heard = [];
  session.on('transport_event', (event) => heard.push(event.type));
  session.on('error', (error) => failed.push(JSON.stringify(error)));
  await session.connect({ apiKey: 'ek_any' });
  const done = new Promise((resolve) => session.on('agent_end', resolve));
  session.sendMessage('Tell me about trains.');
  await done;
  if (way === 'webrtc') {
    const analyser = new AnalyserNode(tone, { fftSize: 2048 });
    new MediaStreamAudioSourceNode(tone, { mediaStream: audioElement.srcObject }).connect(analyser);
    const samples = new Float32Array(2048);
    for (let i = 0; i < 100 && audio < 10; i++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      analyser.getFloatTimeDomainData(samples);
      audio += Math.max(...samples) > 0.01;
    }
  }
  const said = session.history.map((one) => one.role);
  session.close();
  return { audio, failed, said, heard };
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


@pytest.mark.parametrize(("way", "least"), [("websocket", 10_000), ("webrtc", 10)])
def test_an_agent_in_a_page_converses(
    place: str, tmp_path: Path, serve: Any, way: str, least: int
) -> None:
    """Audio is counted in bytes, or in times at which the audio element played something."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with (
        serve(origins=(place,)) as url,
        sync_api.sync_playwright() as playwright,
        chromium(playwright, tmp_path, None) as context,
    ):
        page = context.new_page()
        page.goto(place)
        found = page.evaluate(TALK, [url, way])
    assert not found["failed"]
    assert found["audio"] >= least, found["heard"]
    assert found["said"] == ["user", "assistant"]
