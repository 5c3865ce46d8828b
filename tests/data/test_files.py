"""Atomic writing of files and folders, with one-line errors."""

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from data.errors import InputError, OutputError
from data.files import (
    PART,
    append_line,
    atomic_folder,
    atomic_path,
    atomic_write,
    clean_leftovers,
    explain,
    folder_lock,
    prepare_file,
    prepare_folder,
)
from tests.disk import bad_places, files_of_at_most, names


@pytest.mark.parametrize("write", [prepare_file, lambda path: atomic_write(path, b"x")])
def test_invalid_paths_are_rejected_in_one_line(
    tmp_path: Path, write: Callable[[Path], object]
) -> None:
    places = bad_places(tmp_path)
    before = names(tmp_path)
    for kind, (path, said) in places.items():
        with pytest.raises(OutputError, match=said) as caught:
            write(path)
        line = str(caught.value)
        assert "\n" not in line and "Errno" not in line and str(path) in line, kind
        assert names(tmp_path) == before, kind


@pytest.mark.parametrize("kind", ["file", "dangling", "loop", "file/b", "x" * 256, "pipe.wav"])
def test_invalid_folders_are_rejected_and_nothing_is_created(tmp_path: Path, kind: str) -> None:
    bad_places(tmp_path)
    before = names(tmp_path)
    for path in (tmp_path / kind, tmp_path / kind / "deep" / "er"):
        with pytest.raises(OutputError):
            prepare_folder(path)
        assert names(tmp_path) == before


def test_unused_folders_are_removed(tmp_path: Path) -> None:
    with files_of_at_most(0), pytest.raises(OutputError, match="File too large"):
        prepare_folder(tmp_path / "a" / "b")
    assert names(tmp_path) == []
    assert not prepare_folder(tmp_path / "a" / "b", keep=False).exists() and names(tmp_path) == []
    assert prepare_folder(tmp_path / "a" / "b").is_dir()
    assert prepare_folder(tmp_path / "a" / "b", keep=False).is_dir()


def test_missing_permissions_are_reported(tmp_path: Path) -> None:
    """As another user, since root may write everywhere."""
    if os.getuid() != 0:
        tmp_path.chmod(0o500)
        with pytest.raises(OutputError, match="Permission denied; change the permissions"):
            prepare_file(tmp_path / "a.bin")
        return
    program = (
        "import os; from pathlib import Path; from data.files import *\n"
        "from data.errors import OutputError\n"
        "os.setuid(65534)\n"
        "for do in (prepare_folder, prepare_file, lambda p: atomic_write(p, b'x')):\n"
        "    try: do(Path('/etc/new'))\n"
        "    except OutputError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    said = "cannot write /etc/new: Permission denied; change the permissions"
    assert done.stdout.count(said) == 3, done


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_disk_that_fills_leaves_the_old_file(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with files_of_at_most(size), pytest.raises(OutputError, match="File too large"):
        atomic_write(path, b"new" * 3000)
    assert path.read_bytes() == b"old" and names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("before", [b"", b"one\n", b"one\nhalf"])
def test_a_line_is_appended_whole_or_not_at_all(tmp_path: Path, before: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(before)
    with files_of_at_most(100), pytest.raises(OutputError, match="File too large"):
        append_line(path, b"x" * 200 + b"\n")
    assert path.read_bytes() == before
    append_line(path, b"two\n")
    assert path.read_bytes().splitlines() == [*before.splitlines(), b"two"]


def test_any_failure_of_the_writer_leaves_nothing(tmp_path: Path) -> None:
    for error in (ValueError("not this"), KeyboardInterrupt()):
        with pytest.raises(type(error)), atomic_path(tmp_path / "a") as temporary:
            temporary.write_text("half")
            raise error
        with pytest.raises(type(error)), atomic_folder(tmp_path / "b") as temporary:
            (temporary / "c").write_text("half")
            raise error
    assert names(tmp_path) == []


def test_unreadable_files_are_named_too(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"cannot write .*new: .*gone: No such file"),
        atomic_path(tmp_path / "new") as temporary,
    ):
        temporary.write_bytes((tmp_path / "gone").read_bytes())


def test_a_link_keeps_pointing_to_what_is_written(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "a")
    atomic_write(tmp_path / "link", "one")
    atomic_write(tmp_path / "link", "two")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real" / "a").read_text() == "two"


def test_the_file_mode_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        atomic_write(tmp_path / "a", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    """All but one of the former writers used the same temporary name."""
    path, failures = tmp_path / "a", []

    def write(letter: bytes) -> None:
        try:
            for _ in range(50):
                atomic_write(path, letter * 20_000)
        except OutputError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if path.exists():
            content = path.read_bytes()
            assert len(content) == 20_000 and len(set(content)) == 1
    assert not failures and names(tmp_path) == ["a"]


def test_a_folder_is_replaced_atomically(tmp_path: Path) -> None:
    for number in range(2):
        with atomic_folder(tmp_path / "deep" / "a", replace=True) as temporary:
            (temporary / str(number)).write_text("x")
    assert names(tmp_path / "deep") == ["a"] and names(tmp_path / "deep" / "a") == ["1"]
    with (
        pytest.raises(OutputError, match="not empty"),
        atomic_folder(tmp_path / "deep" / "a") as temporary,
    ):
        (temporary / "2").write_text("x")
    assert names(tmp_path / "deep") == ["a"] and names(tmp_path / "deep" / "a") == ["1"]


def test_leftovers_of_a_kill_are_removed(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from data.files import *\n"
        "with atomic_path(Path(sys.argv[1]) / 'a') as one, atomic_folder(Path(sys.argv[1]) / 'b') "
        "as two:\n"
        "    one.write_text('half'); (two / 'c').write_text('half'); os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)])
    assert done.returncode == -9
    (tmp_path / "kept").write_text("x")
    assert len(names(tmp_path)) == 3 and all(name.startswith(PART) for name in names(tmp_path)[:2])
    clean_leftovers(tmp_path, older_than_s=3600)
    assert len(names(tmp_path)) == 3
    clean_leftovers(tmp_path)
    assert names(tmp_path) == ["kept"]


def test_a_folder_lock_is_exclusive(tmp_path: Path) -> None:
    with (
        folder_lock(tmp_path),
        pytest.raises(InputError, match="another process is using"),
        folder_lock(tmp_path),
    ):
        pass
    order = []

    def second() -> None:
        with folder_lock(tmp_path, wait=True):
            order.append("second")

    with folder_lock(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.1)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "No space left on device; free some space"),
        (errno.EDQUOT, "Disk quota exceeded; free some space"),
        (errno.EROFS, "Read-only file system; choose another place"),
        (errno.EMFILE, "Too many open files; raise the limit on open files"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_errors_of_the_system_are_explained(number: int, remedy: str) -> None:
    error = OSError(number, os.strerror(number), "/somewhere/a")
    assert explain(error).startswith("/somewhere/a: ") and remedy in explain(error)
    assert explain(OSError(number, os.strerror(number))).startswith(remedy.partition(";")[0])
    assert explain(OSError("100 requested and 3 written"), "cannot write a") == (
        "cannot write a: it could not be written whole (100 requested and 3 written); "
        "free some space or choose another place"
    )
