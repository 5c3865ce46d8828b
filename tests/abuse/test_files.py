"""Full disks and unwritable folders: every command reports them in one line and leaves no partial
file.

`launch.py test tests/abuse/test_files.py -m abuse`; about a minute. It mounts small file systems in
memory, which requires root.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import launch
from tests.disk import names
from tests.test_outputs import WORK, inputs, no_models, refused, to_file, to_folder

__all__ = ["inputs", "no_models"]  # fixtures
pytestmark = pytest.mark.abuse
_SIZE = 4 << 20  # a build of the recording fits


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of four megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE},nr_inodes=500", "tmpfs", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path, but: int = 0) -> None:
    """Fills it up to `but` free bytes."""
    free = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(free.f_bavail * free.f_frsize - but))


@pytest.mark.usefixtures("no_models")
@pytest.mark.parametrize("state", ["full", "read-only"])
@pytest.mark.parametrize("command", to_file(Path(), Path()))
def test_no_file_can_be_written(
    command: str, state: str, inputs: Path, disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(disk, state)
    leaves_nothing(to_file(inputs, disk / "a.wav")[command], state, disk, capsys)


@pytest.mark.usefixtures("no_models")
@pytest.mark.parametrize("state", ["full", "read-only"])
@pytest.mark.parametrize("command", to_folder(Path(), Path()))
def test_no_folder_can_be_written(
    command: str, state: str, inputs: Path, disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(disk, state)
    leaves_nothing(to_folder(inputs, disk / "new")[command], state, disk, capsys)


SAID = {"full": "No space left on device", "read-only": "Read-only file system"}


def leaves_nothing(
    command: list[str], state: str, disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = names(disk)
    line = refused(command, capsys)
    assert SAID[state] in line and names(disk) == before, line


def make(disk: Path, state: str) -> None:
    if state == "full":
        fill(disk)
    else:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


@pytest.mark.parametrize("left", [8_192, 20_480])
@pytest.mark.parametrize("command", WORK)
def test_a_disk_that_fills_in_the_middle(
    command: str, left: int, inputs: Path, disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(disk, but=left)
    out = disk / "out"
    out.mkdir()
    line = refused(WORK[command](inputs, out), capsys)
    assert "No space left" in line or "disk is full" in line, line
    sounds = [p for p in out.rglob("*") if p.suffix in (".wav", ".safetensors", ".voice")]
    assert not [path for path in sounds if path.stat().st_size]
    assert not list(out.rglob(".part*"))
    (disk / "filler").unlink()
    assert launch.run_verb(WORK[command](inputs, out)[0], WORK[command](inputs, out)[1:]) == 0
