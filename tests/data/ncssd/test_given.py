"""External diarisation (`--given`), and progress in hours."""

import json

import pytest

from data.errors import InputError
from data.ncssd.engine import QUARANTINE, Serial
from data.ncssd.given import read_given, segments_within
from data.ncssd.pipeline import build
from data.ncssd.progress import Bars, _Hours
from data.ncssd.sources import find_media, read_sources
from data.ncssd.stage import Stage
from tests.data.ncssd import made
from tests.data.ncssd.conftest import QUICK

OTHER = "SPEAKER other 1 1 1 <NA> <NA> A <NA> <NA>\n"
RTTM = "SPEAKER talk 1 {} {} <NA> <NA> {} <NA> <NA>\n"


def test_rttm_and_emilias_json_agree(tmp_path):
    spans = [(0.5, 2.0, "B"), (2.25, 3.0, "A"), (1.5, 2.5, "A")]
    (tmp_path / "a.rttm").write_text(
        ";; a comment\nSPKR-INFO talk 1 <NA> <NA> <NA> unknown A <NA>\n\n"
        + "".join(RTTM.format(a, b - a, who) for a, b, who in spans)
    )
    entries = [{"start": a, "end": b, "speaker": who, "text": "x"} for a, b, who in spans]
    (tmp_path / "b.json").write_text(json.dumps(entries))
    assert (
        read_given(tmp_path / "a.wav") == read_given(tmp_path / "b.mp3") == sorted(map(list, spans))
    )


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("talk.rttm", "SPEAKER talk 1 zero 1.0 <NA> <NA> A\n", r"talk\.rttm:1 is not RTTM"),
        ("talk.rttm", "SPEAKER talk 1 1.0\n", r"talk\.rttm:1 is not RTTM"),
        ("talk.rttm", RTTM.format(3, -1, "A"), "invalid time range 3.0 to 2.0 s"),
        ("talk.rttm", RTTM.format(3, "nan", "A"), "segment 1 has the invalid"),
        (
            "talk.rttm",
            RTTM.format(1, 1, "A") + RTTM.format(1, 1, "A").replace("talk", "b"),
            "2 rec",
        ),
        ("talk.rttm", "", "no speech segment"),
        ("talk.json", "{", "not a list"),
        ("talk.json", '[{"start": 1, "end": 2}]', "KeyError: 'speaker'"),
        ("other.json", "[]", r"neither talk\.rttm nor talk\.json"),
    ],
)
def test_invalid_files_are_rejected(tmp_path, file, content, says):
    (tmp_path / file).write_text(content)
    with pytest.raises(InputError, match=says):
        read_given(tmp_path / "talk.wav")


@pytest.mark.parametrize(
    ("given", "expected", "number"),
    [
        ([[0, 5, "x"]], [[1, 4, 0]], 1),
        ([[1, 2, "x"], [2, 3, "x"], [1.5, 2.5, "y"]], [[1, 3, 0], [1.5, 2.5, 1]], 2),
        ([[1, 3, "x"], [1.5, 2, "x"], [3.5, 4, "x"]], [[1, 3, 0], [3.5, 4, 0]], 1),
        ([[5, 6, "x"], [1, 2, "y"]], [[1, 2, 0]], 1),
        ([[0, 0.5, "x"]], [], 0),
    ],
)
def test_a_scene_has_the_segments_within_it(given, expected, number):
    assert segments_within(given, 1.0, 4.0) == (expected, number)


def test_a_build_uses_the_given_turns(tmp_path):
    """The RTTM swaps the two voices, and the build follows it."""
    made.write(tmp_path / "talk.wav", made.conversation(6), 16_000)
    at, lines = 1.0, ""
    for index in range(6):
        length = len(made.line(index % 2, index)) / 24_000
        lines += RTTM.format(round(at, 3), round(length, 3), "first" if index % 2 else "second")
        at += length + 0.5
    (tmp_path / "talk.rttm").write_text(lines)
    sources = read_sources(find_media([tmp_path]), {}, False, given=True)
    built = build(sources, tmp_path / "out", QUICK, Serial())
    (row,) = [*built.accepted, *built.dropped]
    assert [turn["speaker"] for turn in row["turns"]] == [0, 1] * 3
    given = [line.split() for line in lines.splitlines()]
    for turn, fields in zip(row["turns"], given, strict=True):
        assert turn["start"] == pytest.approx(max(float(fields[3]), row["scene"][0]), abs=0.01)


def test_progress_shows_hours_done_kept_and_left():
    hours = _Hours(left=7200.0)
    hours.add({"duration": 3600.0}, [{"start": 0.0, "end": 900.0}, {"start": 950.0, "end": 999.0,
              "dropped": "scene too short"}])  # fmt: skip
    assert str(hours) == "1.0 h done, 0.2 kept, 1.0 left"
    unknown = _Hours()
    unknown.add({"sha256": "x"}, [{"duration": 1800.0}])
    assert str(unknown) == "0.5 h done, 0.5 kept"


def test_progress_shows_the_hours_left_before_files_are_decoded():
    bars = Bars(quiet=True, announced={"a": 7200.0, "b": 3600.0, "c": 0.0})
    rows = [{"sha256": "a"}, {"sha256": "b"}, {"sha256": "c"}]
    bars.stage(Stage("decode", 1, lambda row, context, key: [row]), rows)
    bars.row(rows[1], [{"sha256": "b", "dropped": f"{QUARANTINE}it is silent"}])
    assert str(bars._hours) == "1.0 h done, 0.0 kept, 2.0 left"
    bars.row(rows[2], [{"sha256": "c", "duration": 1800.0}])
    assert str(bars._hours) == "1.5 h done, 0.5 kept, 2.0 left", "c announced nothing"
