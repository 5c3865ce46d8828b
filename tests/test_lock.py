"""The lock files hold what the requirements ask for, with hashes, and nothing of where they came
from."""

import re
from pathlib import Path

import pytest

import launch
from app.cli.data import REQUIREMENTS

TEACHER_LOCK = REQUIREMENTS.name
LOCKS = (launch.LOCK, launch.TEST_LOCK, launch.NO_DEPS_LOCK, TEACHER_LOCK)
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+?)(?: ; .*?)?(?: \\)?$")


def name_of(written: str) -> str:
    """A package's name in its normal form."""
    return re.sub(r"[-_.]+", "-", written).lower()


def pins(file: str) -> dict[str, set[str]]:
    """Versions by package; one package may have another version for another Python."""
    found: dict[str, set[str]] = {}
    for line in (launch.ROOT / file).read_text().splitlines():
        if match := _PIN.match(line):
            found.setdefault(name_of(match[1]), set()).add(match[2])
    return found


@pytest.mark.parametrize(
    ("asked", "lock"),
    [
        ("requirements.txt", launch.LOCK),
        ("requirements.txt", launch.TEST_LOCK),
        ("requirements-test.txt", launch.TEST_LOCK),
        ("requirements-no-deps.txt", launch.NO_DEPS_LOCK),
        ("requirements-teacher.txt", TEACHER_LOCK),
    ],
)
def test_what_is_asked_for_is_locked(asked: str, lock: str) -> None:
    locked = pins(lock)
    stale = {name: v for name, v in pins(asked).items() if locked.get(name) != v}
    assert not stale, f"{lock} lacks {stale}: run .ci/lock"


@pytest.mark.parametrize("lock", LOCKS)
def test_everything_is_pinned_and_hashed(lock: str) -> None:
    text = (launch.ROOT / lock).read_text()
    entries = re.split(r"^(?=[A-Za-z0-9])", re.sub(r"^ *#.*\n", "", text, flags=re.M), flags=re.M)
    entries = [entry for entry in entries if entry.strip()]
    assert entries
    for entry in entries:
        first, *hashes = entry.rstrip().splitlines()
        assert _PIN.match(first), first
        assert hashes, f"{first} has no hash"
        assert all(re.fullmatch(r" {4}--hash=sha256:[0-9a-f]{64}(?: \\)?", h) for h in hashes)


@pytest.mark.parametrize("lock", LOCKS)
def test_no_host_and_no_path_is_in_a_lock(lock: str) -> None:
    text = (launch.ROOT / lock).read_text()
    assert not re.findall(r"://|find-links|index-url|^.*\s/\w.*$", text, re.M)


@pytest.mark.parametrize("lock", [launch.TEST_LOCK, TEACHER_LOCK])
def test_what_is_added_leaves_the_versions_that_run(lock: str) -> None:
    run, more = pins(launch.LOCK), pins(lock)
    assert len(run) > 50
    assert {name: more.get(name) for name in run} == run


def test_a_requirement_is_pinned() -> None:
    for path in Path(launch.ROOT).glob("requirements*.txt"):
        if path.name in LOCKS:
            continue
        lines = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
        assert lines and all("==" in line for line in lines), path.name
