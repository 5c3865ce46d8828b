"""`--offline` as a promise that is kept by the interpreter, not by good will."""

import os
import sys
from typing import Any

from data.errors import RepError

_EVENTS = frozenset({"socket.connect", "socket.getaddrinfo", "socket.gethostbyname"})


def forbid_network() -> None:
    """From here on, in this process and those it starts, reaching for the network raises.

    It cannot be taken back: an audit hook stays as long as the process. Local sockets of the
    machine (AF_UNIX, by which processes talk) are not the network.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ[_VARIABLE] = "1"
    sys.addaudithook(_refuse)


def inherit_offline() -> None:
    """In a started process: the promise of the one that started it."""
    if os.environ.get(_VARIABLE) == "1":
        sys.addaudithook(_refuse)


_VARIABLE = "REPARTEE_OFFLINE"


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _EVENTS:
        return
    if event == "socket.connect" and isinstance(arguments[1], (str, bytes)):
        return
    raise RepError(f"--offline: something reached for the network ({event}); nothing was sent")
