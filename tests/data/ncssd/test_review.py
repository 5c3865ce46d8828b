"""The manual review of a build."""

import shutil

import pytest

from app.review import changes, keep, show
from data.dialogue import check_ncssd, read_dialogue
from data.errors import InputError
from data.ncssd.review import Decision, Review
from data.ncssd.store import read_rows, write_rows


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


def test_the_review_starts_with_the_least_certain_pairs(built, tmp_path):
    shutil.copytree(built, tmp_path / "out", ignore=shutil.ignore_patterns("work"))
    rows = read_rows(built / "dialogues.jsonl")
    rows[-1]["two_people"] = 0.81
    write_rows(tmp_path / "out" / "dialogues.jsonl", rows)
    review = Review(tmp_path / "out")
    assert review.ids[0] == rows[-1]["id"] and review.chances[review.ids[0]] == 0.81
    assert [review.chances[name] for name in review.ids] == sorted(review.chances.values())


@pytest.fixture
def built_again(review, built, tmp_path):
    """A build whose first dialogue was decided on and then changed its texts in another build."""
    name = review.ids[0]
    review.decide(Decision(name, "accepted", {0: "Mended."}, {1: 0}))
    shutil.copytree(built, tmp_path / "again", ignore=shutil.ignore_patterns("work"))
    rows = read_rows(built / "dialogues.jsonl")
    (row,) = (row for row in rows if row["id"] == name)
    row["turns"][0]["text"] = "Heard by another recogniser."
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
    write_rows(out / "dialogues.jsonl", [row for row in rows if row["id"] != name])
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
