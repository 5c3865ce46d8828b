"""Enforces `--offline` by an audit hook of the interpreter."""

import os
import sys
from typing import Any

from data.errors import RepError

_EVENTS = frozenset({"socket.connect", "socket.getaddrinfo", "socket.gethostbyname"})


def forbid_network() -> None:
    """Makes any network access raise, in this process and in the workers it starts.

    It cannot be undone, since audit hooks last as long as the process. Unix domain sockets, which
    processes use to communicate, stay allowed.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ[_VARIABLE] = "1"
    sys.addaudithook(_refuse)


def inherit_offline() -> None:
    """Forbids network access in a worker if its parent has."""
    if os.environ.get(_VARIABLE) == "1":
        sys.addaudithook(_refuse)


_VARIABLE = "REPARTEE_OFFLINE"


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _EVENTS:
        return
    if event == "socket.connect" and isinstance(arguments[1], (str, bytes)):
        return
    raise RepError(f"--offline: blocked an attempt to access the network ({event})")
