"""The page is served behind access control, and its parts are consistent."""

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


def test_the_page_and_its_files_are_served_with_credentials(place: str) -> None:
    assert httpx.get(f"http://{place}/").status_code == 401
    with httpx.Client(headers={"Authorization": "Bearer t0psecret"}, timeout=60) as client:
        page = client.get(f"http://{place}/").text
        assert "Start talking" in page
        assert "/repartee/chat.css" in page
        for path in STATIC.iterdir():
            assert client.get(f"http://{place}/repartee/{path.name}").status_code == 200
        assert client.get(f"http://{place}/repartee/../page.py").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("PATCH", "/v1/models", 405), ("GET", "/v1/audio/speech", 405), ("GET", "/v1/nothing", 404)],
)
def test_the_api_beside_the_page_tells_a_wrong_method_from_a_wrong_path(
    place: str, method: str, path: str, status: int
) -> None:
    """The page is mounted at `/`, and used to take both for a path of its own."""
    headers = {"Authorization": "Bearer t0psecret"}
    answer = httpx.request(method, f"http://{place}{path}", headers=headers)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "code", "param"}


def test_javascript_imports_exist() -> None:
    for path in STATIC.glob("*.js"):
        for name in re.findall(r"from '\./([^']+)'", path.read_text()):
            assert (STATIC / name).is_file(), f"{path.name} imports {name}"


def test_every_selector_in_the_code_is_in_the_markup() -> None:
    markup = (STATIC / "talk.html").read_text()
    wanted = set(re.findall(r"(?:find|on)\('\.(rp-[a-z]+)", (STATIC / "chat.js").read_text()))
    assert len(wanted) > 8
    assert {name for name in wanted if name not in markup} == set()


def test_the_markup_has_no_template_placeholders() -> None:
    text = (STATIC / "talk.html").read_text()
    assert "${" not in text
    assert "{{" not in text


def test_inputs_have_accessible_names() -> None:
    text = (STATIC / "talk.html").read_text()
    for tag in re.findall(r"<(?:input|meter)[^>]*>", text):
        inside = re.search(r"<label[^>]*>[^<]*(?:<output>[^<]*</output>)?" + re.escape(tag), text)
        assert inside or "aria-label" in tag, tag
