"""Atomic writes of files and folders, with one-line errors.

Everything is written under a unique temporary name beside its final one and then renamed, so
concurrent writers never mix. A killed process leaves only `.part-*` names behind, which
`clean_leftovers` removes.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data.errors import InputError, OutputError

PART = ".part-"
_PROBE = bytes(4096)
_ELSEWHERE = "or choose another place"
_REMEDIES = {
    errno.ENOSPC: f"free some space {_ELSEWHERE}",
    errno.EDQUOT: f"free some space {_ELSEWHERE}",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EROFS: "choose another place",
    errno.EACCES: f"change the permissions {_ELSEWHERE}",
    errno.EPERM: f"change the permissions {_ELSEWHERE}",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EISDIR: "give the name of a file",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENFILE: "close other programs",
}


def explain(error: OSError, action: str = "") -> str:
    """A one-line message: what failed, why, and the remedy if known.

    Args:
        error: from the operating system.
        action: the failed action, such as "cannot write out.wav" (default: the error's file).
    """
    why = error.strerror or str(error) or type(error).__name__
    number = error.errno
    if number is None and "requested and" in why:  # NumPy's wording, whatever the reason
        why, number = f"it could not be written whole ({why})", errno.ENOSPC
    file = "" if error.filename is None else os.fsdecode(error.filename)
    parts = [action or file, why]
    if action and file and file not in action and PART not in file:
        parts.insert(1, file)
    line = ": ".join(part for part in parts if part)
    remedy = _REMEDIES.get(number or 0)
    return f"{line}; {remedy}" if remedy else line


def is_trouble_of_machine(error: OSError) -> bool:
    """Whether an error would affect any other file too: a full disk, no more open files."""
    return error.errno in (
        *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    )


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Converts an `OSError` of the block, which writes `path`, to an `OutputError`."""
    try:
        yield
    except OSError as error:
        raise OutputError(explain(error, f"cannot write {path}")) from error


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields an empty temporary file to write, which becomes `path` when the block succeeds.

    Links are followed: the target is replaced.

    Raises:
        OutputError: the file cannot be written.
    """
    with output_errors(path):
        final = _final(path)
        temporary = final.with_name(PART + secrets.token_hex(8))
        temporary.touch(exist_ok=False)
        try:
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())  # a full disk may only fail here
            temporary.replace(final)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def atomic_write(path: Path, content: str | bytes) -> None:
    """Writes a file atomically; text as UTF-8.

    Raises:
        OutputError: the file cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def append_line(path: Path, line: bytes) -> None:
    """Appends a line, which must end in a line feed, atomically.

    An unfinished line left by a killed writer is terminated first.

    Raises:
        OutputError: the line cannot be written.
    """
    with output_errors(path), path.open("a+b", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(-1, os.SEEK_END)
            line = line if file.read(1) == b"\n" else b"\n" + line
        try:
            while line:  # a nearly full disk accepts a part first
                line = line[file.write(line) :]
            os.fsync(file.fileno())
        except BaseException:
            os.truncate(path, end)
            raise


@contextmanager
def atomic_folder(path: Path, replace: bool = False) -> Iterator[Path]:
    """Yields an empty temporary folder, which becomes `path` when the block succeeds.

    Args:
        path: the folder; its parents are created.
        replace: replace an existing folder; otherwise it must not exist.

    Raises:
        OutputError: the folder cannot be written.
    """
    with output_errors(path):
        check_folder(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(PART + secrets.token_hex(8))
        temporary.mkdir()
        try:
            yield temporary
            if replace and path.exists():
                path.rename(temporary.with_name(temporary.name + "-old"))
            temporary.rename(path)
        finally:
            for left in path.parent.glob(temporary.name + "*"):
                shutil.rmtree(left, ignore_errors=True)


def check_folder(path: Path) -> None:
    """Raises OutputError if `path` or a parent of it exists but is not a folder."""
    _check_folders(path, path)


def check_file(path: Path) -> None:
    """Raises OutputError if no file can be created there; writes nothing."""
    with output_errors(path):
        _final(path)


def prepare_folder(path: Path, keep: bool = True) -> Path:
    """Creates a folder and checks, before any work, that files can be written in it.

    Args:
        path: the folder; its parents are created.
        keep: keep newly created folders; otherwise only check.

    Raises:
        OutputError: no file can be written there.
    """
    missing = [one for one in (path, *path.parents) if not os.path.lexists(one)]
    proved = False
    with output_errors(path):
        try:
            check_folder(path)
            path.mkdir(parents=True, exist_ok=True)
            _probe(path)
            proved = True
        finally:
            for one in () if proved and keep else missing:
                with contextlib.suppress(OSError):
                    one.rmdir()
    return path


def prepare_file(path: Path, make_folder: bool = False) -> Path:
    """Checks, before any work, that a file can be written at `path`.

    Args:
        path: the file; an existing one will be replaced.
        make_folder: create its folder.

    Raises:
        OutputError: it cannot be written.
    """
    if make_folder:
        prepare_folder(path.parent)
    with output_errors(path):
        _probe(_final(path).parent)
    return path


@contextmanager
def folder_lock(
    folder: Path, holder: str = "another process", wait: bool = False
) -> Iterator[None]:
    """Locks an existing `folder` against other processes and threads.

    The operating system releases the lock of a killed process.

    Args:
        folder: the folder to lock.
        holder: name of the holder for the error message.
        wait: wait for the lock instead of raising.

    Raises:
        InputError: it is locked already.
        OutputError: the lock cannot be written.
    """
    how = fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)
    with contextlib.ExitStack() as held:
        with output_errors(folder):
            try:
                _lock(folder, how, held)
            except BlockingIOError:
                raise InputError(
                    f"{holder} is using {folder}; wait for it or choose another folder"
                ) from None
        yield


def clean_leftovers(folder: Path, older_than_s: float = 0.0) -> None:
    """Removes partial files left by killed processes.

    Args:
        folder: the folder to clean.
        older_than_s: minimum age, to spare files that are being written.
    """
    for path in folder.glob(PART + "*"):
        try:
            if time.time() - path.lstat().st_mtime < older_than_s:
                continue
        except FileNotFoundError:  # its writer has just finished
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _final(path: Path) -> Path:
    """The target of `path` with links resolved.

    Raises:
        OutputError: its folder does not exist, or it exists but is not a regular file.
        OSError: the name is too long or not accessible.
    """
    _check_folders(path.parent, path)
    final = Path(os.path.realpath(path))
    try:
        mode = final.lstat().st_mode
    except FileNotFoundError:
        if not final.parent.is_dir():
            raise OutputError(
                f"cannot write {path}: the folder {final.parent} does not exist; make it"
            ) from None
        return final
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OutputError(f"cannot write {path}: not a regular file; choose another name")
    return final


def _check_folders(folder: Path, path: Path) -> None:
    """Raises OutputError if any part of `folder`, the parent of `path`, exists but is not a
    folder."""
    for one in (*reversed(folder.parents), folder):
        if os.path.lexists(one) and not one.is_dir():
            what = "a file, not a folder"
            if one.is_symlink():
                what = f"a link to {one.readlink()}, which is not a folder"
            raise OutputError(f"cannot write {path}: {one} is {what}; choose another place")


def _lock(folder: Path, how: int, held: contextlib.ExitStack) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    held.callback(os.close, handle)
    try:
        fcntl.flock(handle, how)
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
        # NFS locks only files open for writing, which a folder never is.
        file = held.enter_context((folder / ".lock").open("w"))
        fcntl.flock(file, how)


def _probe(folder: Path) -> None:
    """Writes and removes a small file. Raises OSError."""
    path = folder / (PART + secrets.token_hex(8))
    try:
        with path.open("wb") as file:
            file.write(_PROBE)
            file.flush()
            os.fsync(file.fileno())
    finally:
        path.unlink(missing_ok=True)
