"""The comparison table: the same material for all predictors, noise at the stated level."""

from typing import Any

import numpy as np
import pytest

from data.synthetic import speak
from models.evaluation import comparison
from models.evaluation.bars import at_most
from models.evaluation.comparison import SinglePredictor, evaluate, with_noise
from models.evaluation.figures import Result, ratio
from models.evaluation.panel import Panel
from models.evaluation.sets import EvaluationSet, dialogue_set
from models.voice import Voice
from tests.models.evaluation.parrot import Parrot, Squawk

pytestmark = pytest.mark.usefixtures("espeak_teacher")


@pytest.mark.parametrize("ratio_db", [20.0, 5.0])
def test_noise_has_the_requested_level(ratio_db: float) -> None:
    sound = (0.1 * np.sin(np.arange(48_000) / 9)).astype(np.float32)
    noise = with_noise(sound, ratio_db, 1) - sound
    measured = 10 * np.log10(np.square(sound).mean() / np.square(noise).mean())
    assert measured == pytest.approx(ratio_db, abs=0.2)
    assert np.array_equal(with_noise(sound, ratio_db, 1), with_noise(sound, ratio_db, 1))
    assert not np.array_equal(with_noise(sound, ratio_db, 2) - sound, noise)
    assert not with_noise(np.zeros(100, np.float32), ratio_db, 1).any()


NOTHING = EvaluationSet([], {}, "nothing")


class Pair(Parrot):
    """Two predictors: "ear" reacts to the audio, "none" ignores it."""

    def open_dialogue(self, predictor: str) -> list:
        self.ear = predictor
        return super().open_dialogue()

    def speak(self, dialogue: list, text: str, voice: Voice, options: Any = None) -> Squawk:
        loud = self.ear == "level" and np.square(dialogue[-1]).mean() > 0.004
        return Squawk(speak(voice.description, text, "excited" if loud else "sad", 1)[0], [])


def test_noise_affects_one_predictors_history_only() -> None:
    speaker = Pair()
    sound = np.ones(2400, np.float32)
    noisy, clean = SinglePredictor(speaker, "level", 10.0), SinglePredictor(speaker, "none")
    for through in (noisy, clean):
        dialogue = through.open_dialogue()
        through.add_turn(dialogue, 0, "one", sound)
        through.add_turn(dialogue, 0, "two", None)
    assert not np.array_equal(speaker.heard[0][2], sound) and speaker.heard[1][2] is None
    assert np.array_equal(speaker.heard[2][2], sound)


def test_the_table_has_a_column_per_predictor(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(key: str):
        def evaluate(through: SinglePredictor, *rest: object) -> Result:
            value = 1.0 if through.predictor == "level" else 2.0
            figures = [
                ratio(key, key, [value], teacher=3.0, bar=at_most(0.5)),
                ratio("no", "", [1]),
            ]
            return Result("", "", {}, figures)

        return evaluate

    monkeypatch.setattr(comparison.speech, "evaluate", measured("wer_difference"))
    monkeypatch.setattr(comparison.speed, "evaluate", measured("rtf"))
    monkeypatch.setattr(comparison, "NOISES_DB", (5.0,))
    with Panel(1, None) as panel:
        result = evaluate(
            Pair(), ("level", "none"), lambda seed: seed, 1, NOTHING, dialogue_set(3), panel
        )
    (table,) = result.tables
    assert table.columns == ["figure", "level", "none", "teacher"]
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["WER minus teacher's, points"] == ["1", "2", "3"]
    assert rows["real-time factor"] == ["1", "2", "3"]
    assert rows["manner follows after noise at 5 dB"][0].startswith("100")
    assert rows["WER after noise at 5 dB"][2] != ""
    figures = {figure.key: figure for figure in result.figures}
    assert figures["level_manner_5_db"].value == 100
    assert figures["none_similarity_5_db"].value > 0.8
    assert figures["none_rtf"].value == 2 and "none_no" not in figures
    assert all(figure.bar is None for figure in result.figures)
