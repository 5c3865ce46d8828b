"""The report of a build, and its manual review."""

import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from app.review import changes, keep, show
from data.dialogue import check_ncssd, read_dialogue
from data.errors import InputError
from data.ncssd.report import write_report
from data.ncssd.report_figures import (
    DISTRIBUTIONS,
    BuildRows,
    changed_settings,
    disagreement,
    expected_word_error,
    hours_by_source,
    read_build,
    word_error,
)
from data.ncssd.review import Decision, Review
from data.ncssd.store import read_rows, write_rows


class Balance(HTMLParser):
    """Checks that tags are balanced."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.seen = []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag not in ("meta", "html"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag != "html":
            assert self.open.pop() == tag


def test_the_report_is_self_contained_with_figures_and_audio(built):
    page = write_report(built).read_text()
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert parser.seen.count("audio") >= 2
    assert parser.seen.count("figure") == len(DISTRIBUTIONS)
    assert "c.mp4" in page and "cannot be decoded" in page
    top = page[: page.index("<table>")]
    assert "not fit for training: there are none (--recogniser none)" in top
    assert not re.search(r'(src|href)="(?!data:)', page), "it must need nothing else"


def test_hours_in_are_hours_kept_and_hours_rejected(built):
    """Every second of a source is kept, or rejected for a stated reason."""
    rows = hours_by_source(read_build(built))
    assert {name for name, *_ in rows} == {"a.mkv", "b.mp3", "c.mp4"}
    for name, total, kept, reasons in rows:
        assert total == pytest.approx(kept + sum(reasons.values()), abs=2 / 3600), name
        assert (total > 0) == (name != "c.mp4")


def test_uncertain_pairs_come_first_and_rejections_can_be_heard(built, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(built, out)
    rows = read_rows(out / "dialogues.jsonl")
    doubted = {**rows[-1], "two_people": 0.81}
    write_rows(out / "dialogues.jsonl", [*rows[:-1], doubted])
    left = {k: v for k, v in rows[0].items() if k != "id"}
    left |= {"dropped": "low DNSMOS", "why": "DNSMOS 1.10, at least 1.3 is needed (--min-dnsmos)"}
    write_rows(out / "dropped.jsonl", [left])
    page = write_report(out).read_text()
    first = page[page.index("Least certain speaker pairs") :]
    assert first.index(doubted["id"]) < first.index(rows[0]["id"])
    assert "two people 0.81" in first and "less active one" in first
    outside = page[page.index("<h2>Rejected") : page.index("<h2>Distributions")]
    assert "low DNSMOS: 1" in outside and "at least 1.3" in outside and "<audio" in outside


def test_two_builds_are_compared(built, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(built, other)
    rows = read_rows(other / "dialogues.jsonl")
    write_rows(other / "dialogues.jsonl", rows[:1])
    page = write_report(other, built).read_text()
    cells = re.search(r"<td>dialogues</td><td>(\d+)</td><td>(\d+)</td>", page)
    assert cells and cells.groups() == ("1", str(len(rows)))
    assert page.count("<polyline") >= 3
    with pytest.raises(InputError, match="no finished build"):
        write_report(built, tmp_path / "nothing")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], None),
        ([["a", 0, 1, 1.0]], 0.0),
        ([["a", 0, 1, 0.5], ["b", 1, 2, 0.7]], 0.4),
        ([["a", 0, 1, 0.0]], 1.0),
        ([["你", 0, 1, 0.9], ["好", 1, 2, 0.9], ["。", 2, 3, 0.6]], 0.2),
    ],
)
def test_the_expected_word_error_rate_comes_from_word_confidences(words, expected):
    turn = {"words": words} if words else {}
    rows = BuildRows({}, [{"turns": [turn]}], [], [], [])
    found = expected_word_error(rows)
    assert found == (None if expected is None else pytest.approx(expected))


def test_the_word_error_comes_from_agreement_where_there_is_one():
    """Weighted by the length of turns."""
    turns: list[dict] = [{"start": 0.0, "end": 3.0, "agreement": 1.0}]
    turns.append({"start": 3.0, "end": 4.0, "agreement": 0.6, "words": [["a", 3, 4, 0.2]]})
    turns.append({"start": 4.0, "end": 9.0, "agreement": None})
    rows = BuildRows({}, [{"turns": turns}], [], [], [])
    assert disagreement(rows) == (pytest.approx(0.1), pytest.approx(4 / 3600))
    assert word_error(rows).startswith("10.0 %, by how far two recognisers disagree")
    alone = BuildRows({}, [{"turns": [{"words": [["a", 3, 4, 0.2]]}]}], [], [], [])
    assert word_error(alone) == "80.0 %, by the recogniser's confidence"
    assert word_error(BuildRows({}, [{"turns": [{}]}], [], [], [])) == "unknown"


def test_the_report_says_at_its_top_what_the_second_recogniser_left_out(built, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(built, out)
    summary = json.loads((out / "build.json").read_text())
    summary["config"]["recognise"] |= {"recogniser": "whisper", "second": "pocketsphinx"}
    (out / "build.json").write_text(json.dumps(summary))
    rows = read_rows(out / "dialogues.jsonl")
    for turn in (turn for row in rows for turn in row["turns"]):
        turn |= {"text": "Yes.", "confidence": 0.9}
    write_rows(out / "dialogues.jsonl", [{**rows[0], "language": "zh-CN"}, *rows[1:]])
    page = write_report(out).read_text()
    top = page[: page.index("<table>")]
    assert "not fit for training" not in page
    assert "pocketsphinx does not support zh-CN" in top


def test_the_report_lists_changed_settings(built):
    changed = dict(changed_settings(read_build(built).summary))
    assert changed == {"recognise.recogniser": "none", "quality.dnsmos": "False"}


def test_no_report_without_a_build(tmp_path):
    with pytest.raises(InputError, match="no finished build"):
        write_report(tmp_path)
    with pytest.raises(InputError, match="no finished build"):
        Review(tmp_path)


@pytest.fixture
def review(built):
    (built / "review.jsonl").unlink(missing_ok=True)
    yield Review(built)
    (built / "review.jsonl").unlink(missing_ok=True)


def test_decisions_are_stored_and_the_latest_counts(review, built):
    name = review.ids[0]
    review.decide(Decision(name, "rejected"))
    review.decide(Decision(name, "accepted", {0: "Well | yes."}, {1: 0}))
    again = Review(built)
    assert again.decision(name).verdict == "accepted"
    assert again.dialogue(name).turns[0].text == "Well | yes."
    assert again.dialogue(name).turns[1].speaker == 0
    assert again.counts()["accepted"] == 1


@pytest.fixture
def built_again(review, built, tmp_path):
    """A build whose first dialogue was decided on and then changed its texts in another build."""
    name = review.ids[0]
    review.decide(Decision(name, "accepted", {0: "Mended."}, {1: 0}))
    shutil.copytree(built, tmp_path / "again", ignore=shutil.ignore_patterns("work"))
    rows = read_rows(built / "dialogues.jsonl")
    rows[0]["turns"][0]["text"] = "Heard by another recogniser."
    write_rows(tmp_path / "again" / "dialogues.jsonl", rows)
    return tmp_path / "again", name


def test_a_decision_on_former_turns_is_shown_and_leaves_the_dialogue_open(built_again):
    out, name = built_again
    review = Review(out)
    assert review.decision(name) == Decision(name)
    assert review.dialogue(name).turns[0].text != "Mended."
    assert review.outdated() == [name]
    assert not list(review.export().iterdir())
    _, _, note = show(review, name)
    assert "It was accepted" in note and "turn 0: Mended." in note and "turn 1: speaker 0" in note
    _, tally, _ = keep(review, name, [], "rejected")
    assert "1 rejected" in tally and "earlier build" not in tally
    assert review.former(name) is None and Review(out).decision(name).verdict == "rejected"


def test_a_decision_counts_again_when_its_turns_come_back(built_again, built):
    out, name = built_again
    Review(out).decide(Decision(name, "rejected"))
    shutil.copy(built / "dialogues.jsonl", out / "dialogues.jsonl")
    assert Review(out).decision(name).verdict == "accepted"


def test_a_decision_on_a_removed_dialogue_is_reported(built_again):
    out, name = built_again
    rows = read_rows(out / "dialogues.jsonl")
    write_rows(out / "dialogues.jsonl", rows[1:])
    review = Review(out)
    assert review.outdated() == [name] and name not in review.ids


def test_changed_measurements_keep_a_decision(review, built, tmp_path):
    review.decide(Decision(review.ids[0], "accepted"))
    shutil.copytree(built, tmp_path / "again", ignore=shutil.ignore_patterns("work"))
    rows = read_rows(built / "dialogues.jsonl")
    rows[0] |= {"dnsmos": 1.0, "tools": {}}
    write_rows(tmp_path / "again" / "dialogues.jsonl", rows)
    assert Review(tmp_path / "again").counts()["accepted"] == 1


def test_an_incomplete_journal_line_loses_no_other_decision(review, built):
    review.decide(Decision(review.ids[0], "accepted"))
    with (built / "review.jsonl").open("a") as file:
        file.write('{"dialogue": "1", "verd')
    assert Review(built).counts()["accepted"] == 1


@pytest.mark.parametrize(
    "decision",
    [
        Decision("0", "accepted"),
        Decision("", "maybe"),
        Decision("", "accepted", {999: "x"}),
        Decision("", "accepted", {}, {0: 2}),
    ],
)
def test_invalid_decisions_are_rejected(review, decision):
    if not decision.dialogue:
        decision = Decision(review.ids[0], decision.verdict, decision.texts, decision.speakers)
    with pytest.raises(InputError):
        review.decide(decision)
    assert review.counts()["open"] == len(review.ids)


def test_the_export_has_accepted_dialogues_with_corrections(review):
    first, second = review.ids[:2]
    review.decide(Decision(first, "accepted", {0: "Mended."}))
    review.decide(Decision(second, "rejected"))
    root = review.export()
    assert [p.name for p in root.iterdir()] == [first]
    assert check_ncssd(root) == []
    assert read_dialogue(root / first).turns[0].text == "Mended."


def test_the_page_shows_a_dialogue_stores_the_decision_and_advances(review):
    name = review.ids[0]
    (rate, sound), rows, note = show(review, name)
    assert rate == 24_000 and sound.shape[0] > rate
    assert len(rows) == len(review.dialogue(name).turns)
    assert "open" in note
    rows[0][-1] = "Something else"
    following, tally, _ = keep(review, name, rows, "accepted")
    assert following == review.ids[1]
    assert "1 accepted" in tally
    assert review.decision(name).texts == {0: "Something else"}


def test_an_invalid_table_is_not_stored(review):
    name = review.ids[0]
    _, rows, _ = show(review, name)
    rows[0][1] = "Ann"
    with pytest.raises(InputError, match="numbers"):
        changes(review, name, rows, "accepted")
    same, _, note = keep(review, name, rows, "accepted")
    assert same == name and "Not kept" in note
