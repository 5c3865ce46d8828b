"""A small build shared by the tests that inspect its output."""

from pathlib import Path

import pytest

from data.ncssd.config import BuildConfig
from data.ncssd.engine import Serial
from data.ncssd.pipeline import build
from data.ncssd.sources import find_media, read_sources
from tests.data.ncssd import made

QUICK = BuildConfig().replace("recognise", recogniser="none").replace("quality", dnsmos=False)
FORMATS = ("huggingface", "lhotse", "kaldi", "nemo", "rttm", "duplex")


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files with conversations and one that is not a media file."""
    folder = tmp_path_factory.mktemp("recordings")
    made.write(folder / "a.mkv", made.two_conversations(), 16_000)
    made.write(folder / "b.mp3", made.conversation(8, voices=(1, 2)), 24_000, 2)
    (folder / "c.mp4").write_bytes(b"not a film at all" * 99)
    return folder


@pytest.fixture(scope="session")
def built(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a build of the recordings, with every format."""
    out = tmp_path_factory.mktemp("built")
    rights = {"license": "CC0-1.0", "consent": "made by a machine"}
    sources = read_sources(find_media([recordings]), rights, True)
    build(sources, out, QUICK, Serial(), FORMATS)
    return out
