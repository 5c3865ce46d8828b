"""The project's exception tree.

    RepError
    ├── InputError          invalid input that the user can fix (also a ValueError)
    ├── MissingModelError   weights, a voice or an optional program are missing
    └── OutputError         a file or folder cannot be written: no space, permission or folder

A message states what was given, what was expected and how to fix it.
"""

from pathlib import Path


class RepError(Exception):
    """Root of all user-facing errors, shown as one line without a traceback."""


class InputError(RepError, ValueError):
    """Invalid input; the message says how to fix it."""


class MissingModelError(RepError):
    """A model or program is missing; the message names it and the command that installs it."""


def check_made(path: Path, command: str) -> None:
    """Raises MissingModelError if a file made by `launch.py COMMAND --out PATH` is missing."""
    if not path.is_file():
        raise MissingModelError(
            f"{path} is missing; make it with: python3 launch.py {command} --out {path}"
        )


class OutputError(RepError):
    """An output cannot be written; the message names the path, the reason and the remedy."""
