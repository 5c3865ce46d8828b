"""Telephone numbers of many countries, and numbers that are not."""

import pytest

from tests.models.text.reading import check

READ = {
    "+254 20 2726300": "plus two five four two zero two seven two six three zero zero",
    "020-2726300": "zero two zero two seven two six three zero zero",
    "+44 20 7946 0958": "plus four four two zero seven nine four six zero nine five eight",
    "+44 (0)20 7946 0958": "plus four four zero two zero seven nine four six zero nine five eight",
    "0044 20 7946 0958": "zero zero four four two zero seven nine four six zero nine five eight",
    "020 7946 0958": "zero two zero seven nine four six zero nine five eight",
    "+49 30 12345-67": "plus four nine three zero one two three four five six seven",
    "+49 (0)30 1234567": "plus four nine zero three zero one two three four five six seven",
    "030/1234567": "zero three zero one two three four five six seven",
    "0171/123456": "zero one seven one one two three four five six",
    "01 23 45 67 89": "zero one two three four five six seven eight nine",
    "+33 1 23 45 67 89": "plus three three one two three four five six seven eight nine",
    "01.23.45.67.89": "zero one two three four five six seven eight nine",
    "+91 98765 43210": "plus nine one nine eight seven six five four three two one zero",
    "098765 43210": "zero nine eight seven six five four three two one zero",
    "98765 43210": "nine eight seven six five four three two one zero",
    "(02) 9876 5432": "zero two nine eight seven six five four three two",
    "0412 345 678": "zero four one two three four five six seven eight",
    "1300 123 456": "one three zero zero one two three four five six",
    "+61 2 9876 5432": "plus six one two nine eight seven six five four three two",
    "138 0013 8000": "one three eight zero zero one three eight zero zero zero",
    "+86 138 0013 8000": "plus eight six one three eight zero zero one three eight zero zero zero",
    "010-12345678": "zero one zero one two three four five six seven eight",
    "+1 (555) 123-4567": "plus one five five five one two three four five six seven",
    "(555) 123-4567": "five five five one two three four five six seven",
    "555-123-4567": "five five five one two three four five six seven",
    "555.123.4567": "five five five one two three four five six seven",
    "1-800-555-1234": "one eight zero zero five five five one two three four",
    "1-800-FLOWERS": "one eight zero zero flowers",
    "555-1234 ext. 12": "five five five one two three four extension twelve",
    "call 911": "call nine one one",
    "dial 112": "dial one one two",
    "call 12345678": "call one two three four five six seven eight",
    "0712 345678": "zero seven one two three four five six seven eight",
    "+254712345678": "plus two five four seven one two three four five six seven eight",
    "+1-555-123-4567 x99": "plus one five five five one two three four five six seven extension "
    "nine nine",
    "123-45-6789": "one two three four five six seven eight nine",
    "0900-1700": "zero nine zero zero to one thousand seven hundred",
    "from 0800-1200": "from zero eight zero zero to one thousand two hundred",
    "+5": "plus five",
    "5+3000000": "five plus three million",
    "+20 30 degrees": "plus twenty thirty degrees",
    "call me at 5 pm": "call me at five pee em",
    "tel: 030 1234 5678": "tel: zero three zero one two three four five six seven eight",
    "08:30": "eight thirty",
    "0.1234567": "zero point one two three four five six seven",
    "00 49 30 1234567": "zero zero four nine three zero one two three four five six seven",
    "+7 (495) 123-45-67": "plus seven four nine five one two three four five six seven",
    "+81-3-1234-5678": "plus eight one three one two three four five six seven eight",
    "+55 11 91234-5678": "plus five five one one nine one two three four five six seven eight",
    "007": "zero zero seven",
    "01-02-2024": "January second twenty twenty four",
    "0123456789": "zero one two three four five six seven eight nine",
    "8-800-100-20-30": "eight eight zero zero one zero zero two zero three zero",
    "8-495-123-45-67": "eight four nine five one two three four five six seven",
    "8-812-555-35-35": "eight eight one two five five five three five three five",
    "5-10-15-20": "five ten fifteen twenty",
    "254 20 2726300": "two five four two zero two seven two six three zero zero",
    "(11) 98765-4321": "one one nine eight seven six five four three two one",
    "1-900-CALL-NOW": "one nine zero zero call now",
    "978-3-16-148410-0": "nine seven eight three one six one four eight four one zero zero",
    "4111 1111 1111 1111": "four one one one one one one one one one one one one one one one",
    "2019 2020 2021 2022": "two thousand nineteen two thousand twenty two thousand twenty "
    "one two thousand twenty two",
    "1 20 300000": "one twenty three hundred thousand",
}


@pytest.mark.parametrize(("written", "spoken"), READ.items())
def test_readings(written: str, spoken: str) -> None:
    check(written, spoken)
