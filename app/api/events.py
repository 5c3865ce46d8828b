"""Server-sent events of streamed responses."""

import json
import logging
from collections.abc import Iterator
from typing import Any

from app.api.errors import error_body
from models.pipe import AbandonedError

logger = logging.getLogger(__name__)


def event_of(event: dict[str, Any]) -> bytes:
    """One event."""
    return f"data: {json.dumps(event)}\n\n".encode()


def with_errors(events: Iterator[bytes]) -> Iterator[bytes]:
    """Events; an error after the first becomes the last, an earlier one is raised, so that an
    invalid request gets an error response."""
    first = next(events, None)
    if first is None:
        return
    yield first
    try:
        yield from events
    except AbandonedError:
        raise
    except Exception as error:
        logger.exception("a streamed response failed")
        yield event_of({"type": "error", **error_body(error)})
