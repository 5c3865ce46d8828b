"""The page is built, is served behind the door, and its parts hang together."""

import re
from collections.abc import Iterator

import httpx
import pytest

from app.access import AccessSettings
from app.server import STATIC, ServerSettings
from tests.app.live import engines, serving


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    access = AccessSettings(token="t0psecret")
    with serving(engines(), ServerSettings(access=access, page=True)) as (where, _):
        yield where


def test_the_page_and_its_parts_are_served_to_who_may(place: str) -> None:
    assert httpx.get(f"http://{place}/").status_code == 401
    with httpx.Client(headers={"Authorization": "Bearer t0psecret"}, timeout=60) as client:
        page = client.get(f"http://{place}/").text
        assert "Start talking" in page
        assert "/repartee/chat.css" in page
        for path in STATIC.iterdir():
            assert client.get(f"http://{place}/repartee/{path.name}").status_code == 200
        assert client.get(f"http://{place}/repartee/../page.py").status_code == 404


def test_modules_import_what_is_there() -> None:
    for path in STATIC.glob("*.js"):
        for name in re.findall(r"from '\./([^']+)'", path.read_text()):
            assert (STATIC / name).is_file(), f"{path.name} imports {name}"


def test_every_widget_that_the_code_looks_for_is_in_the_markup() -> None:
    markup = (STATIC / "talk.html").read_text()
    wanted = set(re.findall(r"(?:find|on)\('\.(rp-[a-z]+)", (STATIC / "chat.js").read_text()))
    assert len(wanted) > 8
    assert {name for name in wanted if name not in markup} == set()


def test_the_markup_holds_nothing_that_the_template_would_change() -> None:
    text = (STATIC / "talk.html").read_text()
    assert "${" not in text
    assert "{{" not in text


def test_inputs_have_names_for_who_does_not_see_them() -> None:
    text = (STATIC / "talk.html").read_text()
    for tag in re.findall(r"<(?:input|meter)[^>]*>", text):
        inside = re.search(r"<label[^>]*>[^<]*(?:<output>[^<]*</output>)?" + re.escape(tag), text)
        assert inside or "aria-label" in tag, tag
