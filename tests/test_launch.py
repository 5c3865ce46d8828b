"""The launcher: verbs, errors, and an environment that is made once."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import launch

ROOT = Path(launch.__file__).resolve().parent


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "launch.py"), "--no-venv", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_no_verb_and_a_wrong_verb_say_what_there_is() -> None:
    for result in (run(), run("chatt")):
        assert result.returncode == 2
        assert "synth" in result.stdout + result.stderr
    assert "'chatt'" in run("chatt").stderr


@pytest.mark.parametrize("verb", [v for v in launch.VERBS if v != "test"])
def test_every_verb_has_its_module(verb: str) -> None:
    assert callable(importlib.import_module(f"app.cli.{verb}").main)


def test_an_error_that_the_user_can_mend_is_one_line(tmp_path: Path) -> None:
    result = run("train", "style", "--data", str(tmp_path), "--out", str(tmp_path / "weights"))
    assert result.returncode == 2
    assert re.fullmatch(r"error: .*no dialogues.*", result.stderr.splitlines()[-1])
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(("chosen", "seen"), [(None, "1"), ("3", "3")])
def test_products_of_numpy_take_one_thread_unless_told_otherwise(
    chosen: str | None, seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", chosen or "")
    if chosen is None:
        monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    at_work: list[str] = []
    monkeypatch.setattr(
        "app.cli.reply.main", lambda _: at_work.append(os.environ["OPENBLAS_NUM_THREADS"])
    )
    assert launch.run_verb("reply", []) == 0
    assert at_work == [seen]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(28, "No space left on device", "/a/b"), "/a/b: No space left on device; free"),
        (PermissionError(13, "Permission denied", "/a/b"), "/a/b: Permission denied; change"),
        (OSError(36, "File name too long", "x" * 300), "x: File name too long; choose a shorter"),
        (OSError(24, "Too many open files"), "Too many open files; raise the limit"),
        (IsADirectoryError(21, "Is a directory", b"/a/\xff"), "/a/\\udcff: Is a directory"),
        (TimeoutError("timed out"), "timed out"),
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_the_system_refuses_is_one_line(
    error: OSError, line: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(_: list[str]) -> int:
        raise error

    monkeypatch.setattr("app.cli.reply.main", fail)
    assert launch.run_verb("reply", []) == 2
    said = capfd.readouterr().err
    assert said.startswith("error: ") and line in said and said.count("\n") == 1


def test_an_output_that_cannot_be_written_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    command = [sys.executable, str(ROOT / "launch.py"), "--no-venv", "data", "check", str(tmp_path)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: cannot write the output: No space left on device")
    assert done.stderr.count("\n") == 1
    program = "import sys; sys.stdin.close()"  # as `head` does when it has enough
    reader = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE)
    reader.wait()
    done = subprocess.run(command, stdout=reader.stdin, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_folder_that_holds_no_environment_can_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A checkout that may not be written to, on first use."""
    names = ("requirements-lock.txt", "requirements-no-deps-lock.txt", launch.MODELS, launch.TURNS)
    for name in names:
        (tmp_path / name).write_text("")
    (tmp_path / ".install.lock").mkdir()
    monkeypatch.setattr(launch, "ROOT", tmp_path)
    monkeypatch.setattr(launch, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(launch, "STAMP", tmp_path / ".venv" / "installed")
    assert launch.main(["voices"]) == 2
    assert "install.lock: Is a directory" in capfd.readouterr().err


def test_only_the_standard_library_at_the_top() -> None:
    code = "import sys; import launch; print(sorted({m.split('.')[0] for m in sys.modules}))"
    result = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    loaded = set(re.findall(r"'(\w+)'", result.stdout))
    assert loaded - {"launch", "__main__"} <= set(sys.stdlib_module_names) | {"sitecustomize"}


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done to an environment in `tmp_path`, where nothing is installed in truth."""
    done: list[str] = []

    def step(what: str, command: list[str], optional: bool = False) -> None:
        done.append(what)
        assert "-r" not in command or "--require-hashes" in command
        if "--clear" in command:
            shutil.rmtree(tmp_path / ".venv", ignore_errors=True)
            (tmp_path / ".venv" / "bin").mkdir(parents=True)
            (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)

    monkeypatch.setattr(launch, "ROOT", tmp_path)
    monkeypatch.setattr(launch, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(launch, "STAMP", tmp_path / ".venv" / "installed")
    monkeypatch.setattr(launch, "_step", step)
    for name in (
        "requirements-lock.txt",
        "requirements-no-deps-lock.txt",
        "requirements-test-lock.txt",
        "requirements-judges.txt",
        "requirements-models.txt",
        "requirements-turns.txt",
    ):
        (tmp_path / name).write_text(f"{name}\n")
    return done


def test_an_environment_that_is_there_is_left_alone(tmp_path: Path, steps: list[str]) -> None:
    launch.ensure_environment(with_tests=False)
    assert steps[0] == "making .venv"
    assert steps[1:] == [
        "installing requirements-lock.txt",
        "installing requirements-no-deps-lock.txt",
        "installing requirements-models.txt",
        "installing requirements-turns.txt",
    ]
    steps.clear()
    launch.ensure_environment(with_tests=False)
    assert steps == []
    launch.ensure_environment(with_tests=True)
    assert steps == [
        "installing requirements-test-lock.txt",
        "installing requirements-judges.txt",
    ]
    (tmp_path / "requirements-lock.txt").write_text("another\n")
    steps.clear()
    launch.ensure_environment(with_tests=True)
    assert steps == ["installing requirements-lock.txt"]


def test_an_environment_whose_python_is_gone_is_made_anew(tmp_path: Path, steps: list[str]) -> None:
    """The stamp said that all was installed, and starting what was not there gave a traceback; and
    with a requirement changed, only that one came into the emptied environment."""
    launch.ensure_environment(with_tests=True)
    python = tmp_path / ".venv" / "bin" / "python"
    for change in ("", "another\n"):
        python.unlink()
        python.symlink_to(tmp_path / "python of before")
        (tmp_path / "requirements-lock.txt").write_text("requirements-lock.txt\n" + change)
        steps.clear()
        launch.ensure_environment(with_tests=False)
        assert steps == [
            "making .venv",
            "installing requirements-lock.txt",
            "installing requirements-no-deps-lock.txt",
            "installing requirements-models.txt",
            "installing requirements-turns.txt",
        ]
        assert "requirements-test-lock.txt" not in launch.STAMP.read_text()


def test_a_failed_step_shows_why_and_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launch, "ROOT", tmp_path)
    with pytest.raises(SystemExit) as stopped:
        launch._step("breaking", [sys.executable, "-c", "print('the reason'); exit(1)"])
    assert stopped.value.code == 2
    assert "the reason" in capfd.readouterr().err


def test_a_failed_optional_step_says_why_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launch, "ROOT", tmp_path)
    failing = "import sys; sys.exit('Looking ...\\nERROR: no such package')"
    launch._step("installing weights", [sys.executable, "-c", failing], optional=True)
    assert "ERROR: no such package); continuing without it" in capfd.readouterr().err


def test_readme_commands_exist() -> None:
    text = (ROOT / "README.md").read_text()
    verbs = re.findall(r"python3 launch\.py (\w+)", text)
    assert {"chat", "test", "reply", "synth", "train"} <= set(verbs)
    assert set(verbs) <= set(launch.VERBS)
