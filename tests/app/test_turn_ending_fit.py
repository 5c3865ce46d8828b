"""The weights of the end of a turn are fitted to pauses that nothing ends."""

import ast
from typing import Any

import numpy as np
import pytest

from app.measuring import turn_ending_fit as fit
from app.measuring.parts import Bench, room
from app.turn_ending import ASKED_MS
from data.errors import InputError
from data.synthetic.hesitations import DASH
from tests.app.test_measuring import Hears, Judges
from tests.app.user_sound import speechlike


def bench(finished: float = 0.5) -> Bench:
    recognizer: Any = Hears("I won")
    judge: Any = Judges(finished)
    return Bench(recognizer, judge, (), None, 0, held_out=False)


def test_every_pause_is_judged_as_long_as_it_lasts() -> None:
    sounds = [room(0.5, 1), speechlike(1.0), room(0.6, 2), speechlike(1.0), room(2.0, 3)]
    pauses = list(fit._pauses(bench(), np.concatenate(sounds), 3.1))
    assert [pause["ends"] for pause in pauses] == [False, True]
    assert len(pauses[0]["judged"]) == sum(ms <= 700 for ms in ASKED_MS)
    assert len(pauses[1]["judged"]) == len(ASKED_MS)
    assert all(pause["text"] == "I won" for pause in pauses)


def rows(num: int) -> list[dict[str, Any]]:
    """Ends sound finished and hesitations do not; words say nothing."""
    rng = np.random.default_rng(0)

    def pause(ends: bool) -> dict[str, Any]:
        return {
            "ends": ends,
            "text": "I won",
            "text_ms": 200.0,
            "judging_ms": 40.0,
            "lasted_ms": 700.0,
            "judged": list(rng.uniform(0.4 * ends, 0.6 + 0.4 * ends, 3)),
        }

    row = {"language": "en", "text": f"I {DASH} won"}
    return [{**row, "pauses": [pause(False), pause(True)]} for _ in range(num)]


@pytest.mark.parametrize(
    ("patience_ms", "cut", "known_ms"),
    [(300.0, 1.0, 300.0), (660.0, 1.0, 660.0), (720.0, 0.0, 720.0)],
)
def test_a_turn_is_cut_if_its_pause_outlasts_the_patience(
    patience_ms: float, cut: float, known_ms: float
) -> None:
    assert fit.cut_and_known(rows(3), lambda judged, text: patience_ms) == (cut, known_ms)


def test_nothing_ends_before_text_and_judgement_are_known() -> None:
    pause = rows(1)[0]["pauses"][1]
    assert fit.ends_ms(pause, lambda judged, text: 0.0) == ASKED_MS[0] + 40
    assert fit.ends_ms({**pause, "text_ms": 450.0}, lambda judged, text: 0.0) == 460
    assert fit.ends_ms(pause, lambda judged, text: 900.0 - 300 * len(judged)) == ASKED_MS[1] + 40


def test_what_tells_ends_from_pauses_has_weight() -> None:
    found = fit.report(rows(100))
    weights = next(line for line in found.splitlines() if line.startswith("with words in en"))
    found_weights = ast.literal_eval(weights.split(": ", 1)[1])
    assert found_weights["audio"] > 0.5 and abs(found_weights["words"]) < 0.3
    assert f"{ASKED_MS[0]} ms, 200 pauses" in found


def test_pauses_without_words_say_nothing() -> None:
    row = {"text": "Mm.", "pauses": [{"ends": True, "text": "", "judged": [0.5]}]}
    assert [len(found) for found in fit.samples_of([row])] == [0, 0, 0]


def test_too_few_scenes_are_an_error() -> None:
    with pytest.raises(InputError, match="raise --count"):
        fit.report([])
