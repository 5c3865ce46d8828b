"""A file that ends early is not used unnoticed, whatever its container."""

import pytest

from data.errors import InputError
from data.ncssd import decode
from data.ncssd.config import BuildConfig
from data.ncssd.stage import Context
from data.ncssd.store import Store
from data.ncssd.truth.sound import FILES
from tests.data.ncssd import made

CONTAINERS = tuple(FILES)


def decoded(path, tmp_path, keep_damaged=False):
    config = BuildConfig().replace("decode", keep_damaged=keep_damaged)
    context = Context(config, Store(tmp_path / "work"), {"x": path})
    (row,) = decode.run({"sha256": "x"}, context, "key")
    return row


@pytest.fixture(scope="module")
def sound():
    return made.conversation(4)


@pytest.mark.parametrize("kind", CONTAINERS)
def test_a_whole_file_is_whole(sound, tmp_path, kind):
    row = decoded(made.write(tmp_path / f"a.{kind}", sound, 24_000), tmp_path)
    assert "damaged" not in row
    assert abs(row["duration"] - sound.shape[0] / 24_000) < 0.15


@pytest.mark.parametrize("kind", CONTAINERS)
def test_half_a_file_is_refused_with_the_reason(sound, tmp_path, kind):
    path = made.write(tmp_path / f"a.{kind}", sound, 24_000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(InputError, match=r"ends early|damaged|not media that can be decoded"):
        decoded(path, tmp_path)
    assert not list((tmp_path / "work").rglob("*.wav"))


@pytest.mark.parametrize("kind", ["wav", "mp3", "ogg", "mkv"])
def test_by_a_setting_what_is_there_is_used_and_the_row_says_so(sound, tmp_path, kind):
    path = made.write(tmp_path / f"a.{kind}", sound, 24_000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    row = decoded(path, tmp_path, keep_damaged=True)
    assert 0.4 < row["duration"] * 24_000 / sound.shape[0] < 0.7
    assert "ends early" in row["damaged"]
