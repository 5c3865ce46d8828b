"""The one exception tree of the project.

    RepError
    ├── InputError          what came in is wrong and the person can mend it (also a ValueError)
    ├── MissingModelError   weights, a voice or an optional program are not there
    └── OutputError         a file or folder cannot be written: no space, no permission, no folder

A message says what came, what was expected and what to do.
"""

from pathlib import Path


class RepError(Exception):
    """Root of every error a person is meant to read: shown as one line, without a trace."""


class InputError(RepError, ValueError):
    """Something that was given cannot be used; the message says how to mend it."""


class MissingModelError(RepError):
    """A model or program is absent; the message names it and the command that brings it."""


def check_made(path: Path, command: str) -> None:
    """Raises MissingModelError where a file that `launch.py COMMAND --out PATH` makes is absent."""
    if not path.is_file():
        raise MissingModelError(
            f"{path} is missing; make it with: python3 launch.py {command} --out {path}"
        )


class OutputError(RepError):
    """Something cannot be written; the message names the path, the reason and the remedy."""
