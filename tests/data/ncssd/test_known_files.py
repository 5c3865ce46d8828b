"""Files that have not changed are not read again, and shows are found by folder or notes."""

import json
import os
from pathlib import Path

import pytest

from data.errors import InputError
from data.ncssd import known_files
from data.ncssd.known_files import KnownFiles
from data.ncssd.sources import find_media, read_sources
from data.ncssd.store import hash_file
from tests.data.ncssd import made


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were hashed."""
    found: list[Path] = []

    def counted(path: Path) -> str:
        found.append(path)
        return hash_file(path)

    monkeypatch.setattr(known_files, "hash_file", counted)
    return found


def test_only_changed_files_are_hashed_again(tmp_path, hashed):
    store = tmp_path / "out" / "work" / "files.jsonl"
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(name.encode())
    media = find_media([tmp_path], tmp_path / "out")

    def hashes() -> list[str]:
        hashed.clear()
        return [one.sha256 for one in read_sources(media, {}, False, known=KnownFiles(store))]

    first = hashes()
    assert [path.name for path in hashed] == ["a.wav", "b.wav"]
    assert hashes() == first and not hashed

    os.utime(media[0], ns=(0, 1))  # the time alone
    assert hashes() == first and hashed == [media[0]]

    time = media[1].stat().st_mtime_ns
    media[1].write_bytes(b"longer")
    os.utime(media[1], ns=(time, time))  # the size alone
    changed = hashes()
    assert hashed == [media[1]] and changed == [first[0], hash_file(media[1])]

    media[0] = media[0].rename(tmp_path / "c.wav")  # the path alone
    assert hashes() == changed and hashed == [media[0]]
    assert hashes() == changed and not hashed


def test_what_a_killed_run_has_hashed_is_kept(tmp_path, hashed):
    store = tmp_path / "work" / "files.jsonl"
    for name in ("a.wav", "b.wav", "c.wav"):
        (tmp_path / name).write_bytes(name.encode())
        KnownFiles(store).facts(tmp_path / name)
    whole = store.read_text()
    store.write_text(whole[:-9])  # killed while it wrote the last line
    hashed.clear()
    known = KnownFiles(store)
    for name in ("a.wav", "b.wav", "c.wav"):
        assert known.facts(tmp_path / name).sha256 == hash_file(tmp_path / name)
    assert [path.name for path in hashed] == ["c.wav"]
    hashed.clear()
    assert KnownFiles(store).facts(tmp_path / "c.wav").sha256 and not hashed


def test_without_a_store_nothing_is_written(tmp_path, hashed):
    (tmp_path / "a.wav").write_bytes(b"x")
    KnownFiles().facts(tmp_path / "a.wav")
    KnownFiles().facts(tmp_path / "a.wav")
    assert len(hashed) == 2 and [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_the_length_that_headers_give_is_known_before_decoding(tmp_path):
    sound = made.silence(12.0)
    made.write(tmp_path / "a.wav", sound)
    made.write(tmp_path / "b.mkv", sound)
    made.write(tmp_path / "c.mp3", sound)
    (tmp_path / "d.mp4").write_bytes(b"not a film at all" * 99)
    lengths = [source.seconds for source in read_sources(find_media([tmp_path]), {}, False)]
    assert lengths == pytest.approx([12.0, 12.0, 12.0, 0.0], abs=0.1)


def shows(folder: Path, link: bool = True) -> dict[str, str]:
    sources = read_sources(find_media([folder]), {}, False, link_shows=link)
    return {source.name: source.show for source in sources}


def test_a_show_is_a_folder_or_is_named_by_notes(tmp_path):
    for name in ("talk/a.wav", "talk/b.wav", "x/one/c.wav", "y/one/d.wav", "y/two/e.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    names = {"a.wav": "talk", "b.wav": "talk", "c.wav": "x/one", "d.wav": "y/one", "e.wav": "two"}
    assert shows(tmp_path) == names
    notes = tmp_path / "y" / "two" / "e.wav.json"
    notes.write_text(json.dumps({"show": "talk", "license": "CC0-1.0"}))
    assert shows(tmp_path) == {**names, "e.wav": "talk"}
    assert set(shows(tmp_path, link=False).values()) == {""}, "only with the option"
    (one,) = read_sources([tmp_path / "y" / "two" / "e.wav"], {}, False)
    assert one.rights == {"license": "CC0-1.0"}
    notes.write_text('{"show": 7}')
    with pytest.raises(InputError, match="show must be text"):
        shows(tmp_path)
