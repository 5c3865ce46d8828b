"""The report of a build."""

import html
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from data.errors import InputError
from data.ncssd.reference import read_reference
from data.ncssd.report import write_report
from data.ncssd.report_figures import (
    DISTRIBUTIONS,
    BuildRows,
    balance,
    changed_settings,
    disagreement,
    distributions,
    expected_word_error,
    hours_by_source,
    read_build,
    word_error,
)
from data.ncssd.review import Review
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


def test_every_rejection_and_every_pair_is_listed(built, tmp_path, monkeypatch):
    out = tmp_path / "out"
    shutil.copytree(built, out)
    rows = read_rows(out / "dialogues.jsonl")
    left = {k: v for k, v in rows[0].items() if k != "id"}
    left |= {"dropped": "low DNSMOS", "why": "DNSMOS 1.10 is low", "dnsmos": 1.1, "snr_db": 7.25}
    silent = {"source": "s.wav", "sha256": left["sha256"], "dropped": "no speech", "duration": 9.0}
    write_rows(out / "dropped.jsonl", [left, silent, left])
    page = write_report(out).read_text()
    outside = page[page.index("<h2>Rejected") : page.index("<h2>Distributions")]
    assert outside.count("<td>1.10</td><td>7.25</td><td>DNSMOS 1.10 is low</td>") == 2
    assert "<td>s.wav</td><td>0.0</td><td>9.0</td><td>9.0</td><td>–</td>" in outside
    pairs = page[page.index("All pairs, the least certain first") : page.index("<h2>Rejected")]
    places = [pairs.index(f"<td>{r['id']}</td>") for r in sorted(rows, key=by_chance)]
    assert places == sorted(places)
    assert f"{rows[0]['two_people']:.4f}</td><td>{100 * balance(rows[0]):.0f} %</td>" in pairs
    monkeypatch.setattr("data.ncssd.report._TABLED", 1)
    page = write_report(out).read_text()
    assert "1 more are in dropped.jsonl" in page
    assert f"{len(rows) - 1} more are in dialogues.jsonl" in page


def by_chance(row):
    return row["two_people"]


def test_a_quarantined_file_can_be_heard_if_it_was_decoded(built, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(built, out)
    sha = read_rows(out / "dialogues.jsonl")[0]["sha256"]
    failed = {"source": "a.mkv", "source_sha256": sha, "reason": "speakers failed"}
    unread = {"source": "c.mp4", "source_sha256": "0" * 64, "reason": "it cannot be decoded"}
    write_rows(out / "quarantine.jsonl", [failed, unread])
    write_rows(out / "dropped.jsonl", [])
    page = write_report(out).read_text()
    outside = page[page.index("Files in quarantine: 2") : page.index("<h2>Distributions")]
    first, second = outside.index("speakers failed"), outside.index("it cannot be decoded")
    assert outside.count("<audio") == 1 and first < outside.index("<audio") < second


@pytest.mark.parametrize(("seconds", "share"), [((6, 2), 0.25), ((3, 3), 0.5), ((4, 0), 0.0)])
def test_balance_is_the_less_active_speakers_share(built, seconds, share):
    turns = [{"start": 1.0, "end": 1.0 + s, "speaker": who} for who, s in enumerate(seconds)]
    assert balance({"turns": turns}) == pytest.approx(share)
    rows = [{"turns": turns}]
    assert distributions(rows)["Less active speaker's share of a dialogue"] == pytest.approx(
        [share]
    )


def captions(page: str) -> dict[str, str]:
    """The captions of histograms by title."""
    found = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    plain = [html.unescape(re.sub("<[^>]+>", "", one)) for one in found]
    return {one.split(", median")[0].split(":")[0]: one for one in plain}


def without(folder: Path, *keys: str) -> Path:
    """Removes keys of all turns of a data set in NCSSD layout."""
    for path in folder.glob("*/metadata.json"):
        content = json.loads(path.read_text())
        content["utterents"] = {
            number: {k: v for k, v in turn.items() if k not in keys}
            for number, turn in content["utterents"].items()
        }
        path.write_text(json.dumps(content))
    return folder


def test_distributions_are_shown_beside_a_references(built):
    """A build beside its own data set: medians differ by no more than the padding of turns."""
    page = write_report(built, reference=built / "ncssd").read_text()
    assert write_report(built, reference=built).read_text().count("the reference: ") > 5
    found = captions(page)
    for title in ("Turn length", "Gap before a turn", "SNR", "Bandwidth"):
        mine, theirs = re.findall(r"(-?\d+\.\d\d)", found[title])
        assert float(mine) == pytest.approx(float(theirs), abs=0.13), title
    assert found["DNSMOS, overall"].endswith("nothing measured")
    note = re.search("<p class='small'>The reference is (.*?)</p>", page)
    assert note and "dialogues" in note[1] and "was measured" not in note[1]


def test_a_reference_without_times_and_measurements(built, tmp_path):
    shutil.copytree(built / "ncssd", tmp_path / "corpus")
    corpus = without(tmp_path / "corpus", "start", "end", "overlap", "snr_db", "bandwidth_hz")
    page = write_report(built, beside=built, reference=corpus).read_text()
    found = captions(page)
    assert "the other: " in found["Gap before a turn"]
    assert found["Gap before a turn"].endswith("the reference: not known")
    mine, _, theirs = re.findall(r"(\d+\.\d\d)", found["Bandwidth"])
    assert float(theirs) == pytest.approx(float(mine), abs=0.7)
    number = len(read_build(built).turns)
    assert f"SNR was measured on {number} of {number} turns" in page
    assert "have no times: their gaps and overlaps are unknown" in page


def test_pauses_come_from_the_phones_of_synthetic_turns(built, tmp_path):
    shutil.copytree(built / "ncssd", tmp_path / "corpus")
    corpus = without(tmp_path / "corpus", "pauses")
    assert "no pauses inside turns" in " ".join(read_reference(corpus, ()).notes)
    path = next(corpus.glob("*/metadata.json"))
    content = json.loads(path.read_text())
    phones = [["pau", 0, 0.9], ["a", 0.9, 1], ["pau", 1, 1.4], ["b", 1.4, 2], ["pau", 2, 2.1]]
    phones += [["c", 2.1, 2.2], ["pau", 2.2, 3]]
    content["utterents"]["0"]["phones"] = phones
    path.write_text(json.dumps(content))
    rows = read_reference(corpus, ()).rows
    assert distributions(rows)["Pause inside a turn"] == [pytest.approx(0.4)]
    for foreign in (None, "p a u", [1, 2, 3], [{"phone": "pau"}] * 3):
        content["utterents"]["0"]["phones"] = foreign
        path.write_text(json.dumps(content))
        assert distributions(read_reference(corpus, ()).rows)["Pause inside a turn"] == []


def test_a_folder_that_is_no_reference_is_explained(built, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "nothing", built / "work"):
        with pytest.raises(InputError, match="--reference needs a data set in NCSSD layout"):
            write_report(built, reference=folder)
    (tmp_path / "empty" / "1").mkdir()
    (tmp_path / "empty" / "1" / "metadata.json").write_text("{}")
    with pytest.raises(InputError, match=r"no 'utterents'.*--reference needs"):
        write_report(built, reference=tmp_path / "empty")
    turn = {"speaker": 0, "text": "No sound."}
    content = json.dumps({"dialog": 1, "utterents": {"0": turn}})
    (tmp_path / "empty" / "1" / "metadata.json").write_text(content)
    with pytest.raises(InputError, match="no turn has a duration or audio"):
        write_report(built, reference=tmp_path / "empty")
    (tmp_path / "empty" / "1" / "0_0_d1.wav").write_text("no sound at all")
    with pytest.raises(InputError, match="is not a WAV file"):
        write_report(built, reference=tmp_path / "empty")


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
