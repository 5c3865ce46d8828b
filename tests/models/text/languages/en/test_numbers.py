"""Numbers in words."""

import pytest

from models.text.languages.en import numbers

DIGITS = "zero one two three four five six seven eight nine".split()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("0", "zero"),
        ("13", "thirteen"),
        ("70", "seventy"),
        ("101", "one hundred one"),
        ("1000000", "one million"),
        ("999999", "nine hundred ninety nine thousand nine hundred ninety nine"),
        ("1000000000001", "one trillion one"),
    ],
)
def test_cardinal(number: str, words: str) -> None:
    assert numbers.cardinal(number) == words


def test_numbers_have_distinct_words() -> None:
    assert len({numbers.cardinal(str(number)) for number in range(12_000)}) == 12_000
    assert len({numbers.ordinal(str(number)) for number in range(2_000)}) == 2_000
    assert len({numbers.year(str(number)) for number in range(1000, 2100)}) == 1_100


def test_too_long_numbers_are_read_digit_by_digit() -> None:
    assert numbers.cardinal("1234567890123456").split() == [
        DIGITS[int(digit)] for digit in "1234567890123456"
    ]


@pytest.mark.parametrize(
    ("year", "words"),
    [
        ("1905", "nineteen oh five"),
        ("1900", "nineteen hundred"),
        ("2000", "two thousand"),
        ("2009", "two thousand nine"),
        ("2024", "twenty twenty four"),
        ("1066", "ten sixty six"),
    ],
)
def test_year(year: str, words: str) -> None:
    assert numbers.year(year) == words
