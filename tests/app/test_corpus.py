"""Texts of the synthetic corpus are normalised by the models' own frontend."""

import pickle

import pytest

from app.cli.data import SPELL


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("It's $5 at 7 pm.", "five dollars"),
        ("Call 555-0199 on March 4th.", "March fourth"),
        ("他出生于1968年。", "一九六八年"),
        ("门票120元。", "一百二十元"),
        ("我的号码是A380。", "三"),
        ("我们六点去吃 pizza 吧。", "pizza"),
    ],
)
def test_numbers_are_spelt_in_the_language_of_the_text(text: str, spoken: str) -> None:
    assert spoken in SPELL(text)
    assert not any(character.isdigit() for character in SPELL(text))


def test_it_can_be_pickled_for_workers() -> None:
    assert pickle.loads(pickle.dumps(SPELL))("7 pm") == SPELL("7 pm")
