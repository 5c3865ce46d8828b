"""State of visitors who leave the cloning tab is dropped."""

import gc
import io
from pathlib import Path

import pytest
import soundfile

from app.library import Library
from app.server import ServerSettings
from app.voice_store import Cloned
from tests.app.live import engines, serving
from tests.app.page_visitor import clone_on_page
from tests.app.voice_sound import espeak_voice


@pytest.fixture(scope="module")
def clip() -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, espeak_voice()[: 6 * 24_000], 24_000, format="WAV")
    return buffer.getvalue()


def num_samples_kept() -> int:
    gc.collect()
    return sum(type(one) is Cloned for one in gc.get_objects())


def test_samples_of_visitors_who_have_left_are_not_kept(
    clip: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradio keeps the state of ten thousand sessions; each held its sample of up to 6 MB."""
    monkeypatch.setattr("app.voice_store.MAX_TRIED", 2)
    before = num_samples_kept()
    shared = engines("one", library=Library(tmp_path))
    with serving(shared, ServerSettings(page=True)) as (place, _):
        for number in range(5):
            last = clone_on_page(f"http://{place}", clip, 0.0 if number == 3 else 60.0)
            assert number == 3 or '"success":true' in last
        assert num_samples_kept() - before <= 2
