"""The report is one self-contained page; errors of the command are clear."""

import json
from pathlib import Path

import numpy as np
import pytest

from app.cli import eval as command
from data.errors import InputError
from models.evaluation.bars import at_least
from models.evaluation.figures import Example, Result, Table, nothing, ratio
from models.evaluation.pictures import interval_plot, png, spectrogram
from models.evaluation.report import load, save, write_card, write_report
from tests.models.evaluation.parrot import Parrot

pytestmark = pytest.mark.usefixtures("espeak_teacher")


def result() -> Result:
    sound = (0.1 * np.sin(np.arange(24_000) / 20)).astype(np.float32)
    return Result(
        "speech",
        "Speech & <more>",
        {"items": 2},
        [
            ratio("a", "is <it> right", [1, 0, 1], scale=100, unit="%", teacher=90.0,
                  bar=at_least(50.0)),
            nothing("b", "not measured", "no weights", bar=at_least(1.0)),
        ],
        [Table("By voice", ["voice", "n"], [["slt", "3"]])],
        [Example("slt", "Said & done.", {"teacher": sound, "Repartee": sound})],
    )  # fmt: skip


def test_saved_results_make_a_self_contained_page(tmp_path: Path) -> None:
    save(tmp_path, result())
    page, card, figures = write_report(tmp_path, load(tmp_path))
    html = page.read_text()
    assert html.count("<audio") == 2 and html.count("data:image/png;base64,") == 2
    assert "<svg" in html and "is &lt;it&gt; right" in html and "Said &amp; done." in html
    assert "http" not in html.replace("http-equiv", "") and "src='/" not in html
    assert "| is <it> right (%) | 66.7 |" in card.read_text()
    stored = json.loads(figures.read_text())["speech"]["figures"]
    assert stored[0]["meets_bar"] is True and stored[1]["value"] is None
    assert stored[1]["meets_bar"] is False
    assert "≥ 50" in write_card(tmp_path, load(tmp_path)).read_text()


def test_results_of_single_commands_enter_the_report(tmp_path: Path) -> None:
    (tmp_path / "speech.json").write_text(json.dumps(result().as_json()))
    (loaded,) = load(tmp_path)
    assert loaded.name == "speech" and not loaded.examples
    assert "is &lt;it&gt; right" in write_report(tmp_path, [loaded])[0].read_text()


def test_missing_results_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="eval all"):
        load(tmp_path)
    (tmp_path / "speech.json").write_text("{}")
    with pytest.raises(InputError, match="not a result"):
        load(tmp_path)


def test_pictures_are_pictures() -> None:
    image = png(np.zeros((3, 5, 3)))
    assert image[:8] == b"\x89PNG\r\n\x1a\n" and image[16:24] == b"\0\0\0\5\0\0\0\3"
    assert spectrogram(np.zeros(9600, np.float32)).startswith("data:image/png;base64,")
    assert interval_plot([nothing("a", "a", "why")]) == ""
    drawn = interval_plot(result().figures)
    assert drawn.count("<circle") == 2 and 'class="bar"' in drawn


_MONTHS = ("April", "May", "June", "July")


@pytest.fixture
def parrot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command.Speaker, "load", lambda *_, **__: Parrot())


def test_a_command_prints_bars_and_writes_json(
    parrot: None, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "deep" / "speed.json"
    assert command.main(["speed", "--count", "2", "--out", str(out)]) == 0
    assert "≤ 80" in capsys.readouterr().out
    assert json.loads(out.read_text())["figures"][0]["key"] == "first_audio_ms"


def test_recordings_can_stand_in_for_the_teacher(
    parrot: None, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    from data.dialogue import Dialogue, Turn, write_ncssd_dialogue
    from models.evaluation.sets import say

    said = [f"The river was so very high in {month} of that year." for month in _MONTHS]
    turns = [
        Turn(i % 2, text, samples=say("espeak-en-us", text).samples, extra={"voice": "Anna"})
        for i, text in enumerate(said)
    ]
    write_ncssd_dialogue(tmp_path / "set", Dialogue("1", turns))
    arguments = ["vocoder", "--data", str(tmp_path / "set"), "--no-cache", "--jobs", "1"]
    assert command.main(arguments) == 0
    assert "recordings of set" in capsys.readouterr().out


def test_bad_arguments_are_errors(parrot: None, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--count"):
        command.main(["speech", "--count", "0"])
    with pytest.raises(InputError, match="no synthetic voice"):
        command.main(["speech", "--count", "1", "--voices", "nobody", "--no-cache"])
    with pytest.raises(InputError):
        command.main(["speech", "--data", str(tmp_path / "nowhere"), "--no-cache"])
    with pytest.raises(InputError, match="eval all"):
        command.main(["report", "--out", str(tmp_path)])
