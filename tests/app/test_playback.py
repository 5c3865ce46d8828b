"""Where the listener is in a reply, as the server and as the page know it."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from app.playback import Playback
from data.audio import SAMPLE_RATE

_PAGE = Path(__file__).parents[2] / "app/ui/static"


@pytest.mark.parametrize("reports", [False, True])
def test_time_stands_still_while_playback_is_held(reports: bool) -> None:
    playback = Playback()
    playback.send(10 * SAMPLE_RATE, 100.0)
    playback.complete = True
    if reports:
        playback.report(SAMPLE_RATE, 101.1, finished=False)
    playback.hold(102.1)
    at = playback.position(102.1)
    assert at == pytest.approx(2 * SAMPLE_RATE, abs=2)
    assert playback.position(150.0) == at and not playback.over(150.0)
    playback.resume(150.0)
    assert playback.position(151.0) == pytest.approx(3 * SAMPLE_RATE, abs=2)
    assert not playback.over(156.0) and playback.over(160.0)


_SCRIPT = """
globalThis.sampleRate = 24000;
globalThis.currentTime = 0;
const reports = [];
globalThis.AudioWorkletProcessor = class {
  constructor() { this.port = { postMessage: (report) => reports.push(report) }; }
};
let Playback;
globalThis.registerProcessor = (_, kind) => (Playback = kind);
await import('./playback-worklet.js');
const player = new Playback();
const told = (data) => player.port.onmessage({ data });
const heard = [];
function play(seconds) {
  for (let left = Math.round((seconds * sampleRate) / 128); left > 0; left--) {
    const out = new Float32Array(128);
    player.process([], [[out]]);
    heard.push(...out);
    globalThis.currentTime += 128 / sampleRate;
  }
}
const samples = new Float32Array(sampleRate).map((_, i) => (i + 1) / sampleRate);
told({ type: 'sound', reply: 1, samples });
told({ type: 'sent', reply: 1, samples: samples.length });
play(0.2);
told({ type: 'duck', gain: 0.25 });
play(0.1);
told({ type: 'duck', gain: 0 });
play(0.5);
const paused = player.played;
const silent = heard.slice(-4800).every((value) => value === 0);
ENDING
const held = reports.filter((report) => report.held);
const last = reports.filter((report) => 'played' in report).pop();
console.log(JSON.stringify({ paused, silent, held, last, end: heard.filter((v) => v).pop() }));
"""


def played(folder: Path, ending: str) -> dict:
    """What the page's player does in a pause and after it."""
    if shutil.which("node") is None:
        pytest.skip("not installed: node (apt install nodejs)")
    for name in ("playback-worklet.js", "resampler.js"):
        (folder / name).write_text((_PAGE / name).read_text())
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "script.js").write_text(_SCRIPT.replace("ENDING", ending))
    done = subprocess.run(["node", "script.js"], cwd=folder, check=True, capture_output=True)
    return json.loads(done.stdout)


def test_the_page_pauses_and_plays_the_rest(tmp_path: Path) -> None:
    found = played(tmp_path, "told({ type: 'duck', gain: 1 }); play(1.0);")
    assert found["silent"] and len(found["held"]) == 1
    assert 0.3 < found["paused"] / SAMPLE_RATE < 0.38
    assert found["held"][0]["played"] == found["paused"]
    assert found["last"]["finished"] and found["last"]["played"] == SAMPLE_RATE
    assert found["end"] == pytest.approx(1.0, abs=1e-3)  # the last sample, at full volume


def test_a_stop_ends_the_pause(tmp_path: Path) -> None:
    found = played(tmp_path, "told({ type: 'stop', reply: 1, fadeMs: 20 }); play(0.1);")
    assert found["last"]["stopped"] and found["last"]["played"] == found["paused"]
