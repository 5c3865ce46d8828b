"""Untrusted texts, names and reasons are shown as text, never as markup."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import httpx
import numpy as np
import pytest
from markdown_it import MarkdownIt

from app.library import checked_name
from app.review import keep, show
from app.server import STATIC, ServerSettings
from app.ui.escaping import markdown_text
from data.audio import write_audio
from data.dialogue import Dialogue, Turn, write_ncssd_dialogue
from data.errors import InputError
from data.ncssd.report import write_report
from data.ncssd.review import Decision, Review
from data.ncssd.store import write_rows
from models.evaluation.figures import Example, Result, Table, nothing
from models.evaluation.report import as_page
from tests.app.live import engines, serving

MARKUP = (
    "<script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked = 1">',
    "'><svg onload='window.hacked = 1'>",
    "</title></style></textarea><iframe srcdoc='<script>top.hacked = 1</script>'>",
    "[a link](javascript:window.hacked=1)",
    "![picture](https://example.org/x.png)",
    "<a href='javascript:window.hacked=1'>here</a>",
    "`code` **bold** <b>bold</b> &lt;i&gt;",
    "{{constructor.constructor('window.hacked = 1')()}} ${window.hacked = 1}",
)
HARMLESS = "Nothing but words"


class Page(HTMLParser):
    """Collects the tags, texts and event-handler attributes of a page."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.dangerous: list[tuple[str, str | None]] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.texts.append(value or "")
            code = (value or "").strip().lower().startswith("javascript:")
            if name.startswith("on") or name == "srcdoc" or (name in ("href", "src") and code):
                self.dangerous.append((name, value))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def build_with(root: Path, markup: str) -> Path:
    """A build in which all names and texts are `markup`."""
    noise = np.random.default_rng(0).normal(0, 0.05, 48_000).astype(np.float32)
    (root / "work").mkdir()
    write_audio(root / "work" / "a.wav", noise)
    write_ncssd_dialogue(
        root / "ncssd", Dialogue("100000001", [Turn(0, markup, samples=noise, extra={})])
    )
    turn = {
        **{"start": 0.2, "end": 1.2, "speaker": 0, "text": markup},
        **{"overlap": 0.0, "backchannel": False},
    }
    row = {
        **{"id": "100000001", "source": markup, "turns": [turn], "speaker_ids": [markup]},
        **{"gaps": [], "start": 0.0, "end": 1.5, "audio": "a.wav"},
        **{"snr_db": markup, "dnsmos": markup, "sha256": "f0"},
    }
    left_out = {"sha256": "f0", "source": markup, "dropped": markup, "duration": 2.0}
    write_rows(root / "dialogues.jsonl", [row])
    write_rows(root / "quarantine.jsonl", [{"source": markup, "reason": markup}])
    write_rows(root / "dropped.jsonl", [left_out])
    write_rows(root / "work" / "decode.jsonl", [{"sha256": "f0", "duration": 3.5}])
    summary = {
        **{"tools": {markup: markup}, "sources": {"f0": {"name": markup}}},
        **{"dropped": {markup: 1}, "config": {markup: {markup: markup}}},
    }
    (root / "build.json").write_text(json.dumps(summary))
    return root


@pytest.mark.parametrize("markup", MARKUP)
def test_the_report_of_a_build(markup: str, tmp_path: Path) -> None:
    pages = []
    for number, text in enumerate((markup, HARMLESS)):
        (tmp_path / str(number)).mkdir()
        pages.append(Page(write_report(build_with(tmp_path / str(number), text)).read_text()))
    assert pages[0].tags == pages[1].tags and not pages[0].dangerous
    assert sum(markup in text for text in pages[0].texts) >= 7, "it is shown as it is"


@pytest.mark.parametrize("markup", MARKUP)
def test_the_report_of_an_evaluation(markup: str) -> None:
    pages = [Page(as_page([evaluated(text)])) for text in (markup, HARMLESS)]
    assert pages[0].tags == pages[1].tags and not pages[0].dangerous
    assert sum(markup in text for text in pages[0].texts) >= 6


def evaluated(markup: str) -> Result:
    example = Example(markup, markup, {markup: np.zeros(2400, np.float32)})
    figure = nothing(markup, markup, markup)
    table = Table(markup, [markup], [[markup]])
    return Result("speech", markup, {markup: markup}, [figure], [table], [example])


@pytest.mark.parametrize("markup", MARKUP)
def test_the_notes_of_a_review(markup: str, tmp_path: Path) -> None:
    root = build_with(tmp_path, markup)
    review = Review(root)
    review.decide(Decision("100000001", "accepted", {0: markup}))
    rows = [json.loads(line) for line in (root / "dialogues.jsonl").read_text().splitlines()]
    rows[0]["turns"][0]["end"] = 1.3
    write_rows(root / "dialogues.jsonl", rows)
    again = Review(root)
    notes = [
        show(again, "100000001")[2],
        keep(again, "100000001", [[markup, 0, markup]], "open")[2],
    ]
    assert "Earlier corrections" in notes[0] and "Not kept" in notes[1]
    for note in notes:
        page = Page(MarkdownIt("commonmark", {"html": True}).render(note))
        assert set(page.tags) <= {"p", "strong"} and not page.dangerous
    assert markup in " ".join(Page(MarkdownIt("commonmark").render(notes[0])).texts)


@pytest.mark.parametrize("markup", MARKUP)
def test_text_in_markdown_is_escaped(markup: str) -> None:
    rendered = MarkdownIt("commonmark", {"html": True}).render("turn 0: " + markdown_text(markup))
    page = Page(rendered)
    assert page.tags == ["p"] and "".join(page.texts).strip() == f"turn 0: {markup}"


@pytest.mark.parametrize("markup", MARKUP)
def test_markup_is_not_a_voice_name(markup: str) -> None:
    with pytest.raises(InputError, match="is not a valid voice name"):
        checked_name(markup)


def test_errors_on_the_page_are_escaped() -> None:
    import gradio as gr

    from app.ui.clone import _page_errors

    for markup in MARKUP:
        with pytest.raises(gr.Error) as caught, _page_errors():
            raise InputError(markup)
        assert not Page(caught.value.message).tags
        assert "".join(Page(caught.value.message).texts) == markup


def test_api_responses_are_never_html() -> None:
    with serving(engines(), ServerSettings(page=False)) as (place, _):
        for markup in MARKUP:
            body = {"input": "hi", "voice": markup, "model": markup, "response_format": markup}
            for answer in (
                httpx.post(f"http://{place}/v1/audio/speech", json=body),
                httpx.get(f"http://{place}/v1/{markup}"),
                httpx.delete(f"http://{place}/v1/audio/voices/{markup}"),
            ):
                assert 400 <= answer.status_code < 500
                assert answer.headers["content-type"].startswith("application/json")
                assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_pages_scripts_write_text_not_markup() -> None:
    for path in STATIC.glob("*.js"):
        text = path.read_text()
        assert not re.search(r"insertAdjacentHTML|outerHTML|document\.write|\beval\(", text), path
        for value in re.findall(r"innerHTML\s*=\s*(.+?);", text, re.DOTALL):
            literals = r"'[^'$]*'(\s*\+\s*'[^'$]*')*"
            assert re.fullmatch(literals, value), f"{path.name}: {value}"
