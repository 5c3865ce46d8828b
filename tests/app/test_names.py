"""Names written in a conversation bias recognition."""

import numpy as np
import pytest

from app.names import names_in
from tests.app.stage import Stage
from tests.app.test_session import Says
from tests.app.user_sound import silence, speechlike


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("I have booked Hotel Sacher in Vienna.", ("Hotel Sacher", "Vienna")),
        ("Shall Anna's brother Bill come, too?", ("Anna", "Bill")),
        ("Tell Anna I said OK.", ("Anna",)),
        ("You mean Ludwig van Beethoven, don't you?", ("Ludwig van Beethoven",)),
        ("The University of California is at Berkeley.", ("University of California", "Berkeley")),
        ("Hello! How are you? I'm fine.", ()),
        ("Well, I'd ask Dr Smith.", ("Smith",)),
        ("So you land at SFO?", ("SFO",)),
        ("我喜欢《千里之外》这首歌。", ("千里之外",)),
        ("", ()),
    ],
)
def test_names_are_capitalised_words_within_a_sentence(text: str, names: tuple[str, ...]) -> None:
    assert names_in([text]) == names


def test_names_are_distinct_limited_and_newest_first() -> None:
    texts = [
        "He met Anna.",
        "She saw Bob and Anna.",
        "To " + ", ".join(f"Name{i}" for i in range(99)),
    ]
    found = names_in(texts)
    assert found[:2] == ("Anna", "Bob")
    assert len(found) == len(set(found)) == 12


def test_the_recogniser_gets_written_names() -> None:
    stage = Stage("who is elbert", responder=Says("That is Abhinav from Pune.", "Fine."))
    stage.session.write("Who lives in Napa?")
    stage.wait(3.0)
    stage.say(np.concatenate([silence(0.4), speechlike(1.2), silence(1.2)]))
    assert stage.recognizer.names == ("Abhinav", "Pune", "Napa")
    stage.wait(3.0)
    stage.say(np.concatenate([silence(0.4), speechlike(1.2), silence(1.2)]))
    assert "Elbert" not in stage.recognizer.names  # it was recognised, and may be wrong
