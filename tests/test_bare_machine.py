"""With neither flite nor festival, ffmpeg or Chromium, tests pass or skip and say why."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import PROGRAMS, installed

ROOT = Path(__file__).resolve().parents[1]
# Who speaks of a program, or of the helpers that skip without one.
_CONCERNED = re.compile("|".join([*PROGRAMS, r"tests\.programs", "user_sound import .*spoken"]))
_TIMEOUT_S = 300


def reasons_of_a_bare_run(*options: str) -> list[str]:
    """Why tests skipped without the programs; fails when a test did anything but pass or skip."""
    plugins = ["-p", "tests.bare", "-p", "no:cacheprovider"]
    made = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, "-rs", *options],
        cwd=ROOT,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
    )
    assert made.returncode == 0, made.stdout[-5000:] + made.stderr[-3000:]
    return re.findall(r"^SKIPPED \[\d+\] \S+ (.*)$", made.stdout, re.M)


def test_browser_tests_skip() -> None:
    reasons = " ".join(reasons_of_a_bare_run("-m", "browser", "tests/browser"))
    assert "apt install flite chromium" in reasons


@pytest.mark.slow  # `.ci/run` runs every test with the programs hidden
@pytest.mark.skipif(
    not any(map(installed, PROGRAMS)), reason="nothing to hide: the default run is a bare one"
)
def test_what_needs_a_program_skips_and_says_how_to_install_it() -> None:
    files = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if path != Path(__file__).resolve() and _CONCERNED.search(path.read_text())
    ]
    reasons = " ".join(reasons_of_a_bare_run(*files))
    assert "apt install flite" in reasons and "apt install festival" in reasons


def test_the_programs_are_hidden_and_others_are_not(tmp_path: Path) -> None:
    """From the tests and from what they start."""
    place = tmp_path / "bin"
    place.mkdir()
    for name in (*PROGRAMS, "chromium-browser", "another"):
        (place / name).write_text("#!/bin/sh\n")
        (place / name).chmod(0o755)
    code = (
        "import shutil, subprocess\n"
        "from tests.programs import PROGRAMS, path_of\n"
        "assert all(map(path_of, PROGRAMS))\n"
        "import tests.bare\n"
        "assert not any(map(path_of, PROGRAMS)) and shutil.which('another')\n"
        "for program in PROGRAMS:\n"
        "    assert subprocess.run(['sh', '-c', f'command -v {program}']).returncode\n"
    )
    path = f"{place}{os.pathsep}{os.environ['PATH']}"
    made = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        text=True,
        capture_output=True,
    )
    assert made.returncode == 0, made.stderr
