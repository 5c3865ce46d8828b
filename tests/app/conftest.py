"""Closes the sessions that a test opens on a stage."""

from collections.abc import Iterator

import pytest

from tests.app import stage


@pytest.fixture(autouse=True)
def _closed_stages() -> Iterator[None]:
    yield
    while stage.OPEN:
        one = stage.OPEN.pop()
        one.speaker.gate.set()
        one.session.close()
