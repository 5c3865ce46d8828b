"""Digit grouping of India, Switzerland, China and continental Europe."""

import pytest

from tests.models.text.reading import check

READ = {
    "1,00,000 rupees": "one hundred thousand rupees",
    "1.234.567 euro": "one million two hundred thirty four thousand five hundred sixty seven euro",
    "22,1 °C": "twenty two point one degrees Celsius",
    "€2,75": "two euros and seventy five cents",
    "12,34,567.89": "one million two hundred thirty four thousand five hundred sixty seven point "
    "eight nine",
    "10,00,00,000": "one hundred million",
    "1'234'567 francs": "one million two hundred thirty four thousand five hundred sixty seven "
    "francs",
    "1’234.50": "one thousand two hundred thirty four point five zero",
    "1 234 567 people": "one million two hundred thirty four thousand five hundred sixty seven "
    "people",
    "12 500 people": "twelve thousand five hundred people",
    "1 234 567,89 €": "one million two hundred thirty four thousand five hundred sixty seven euros "
    "and eighty nine cents",
    "1.234,56": "one thousand two hundred thirty four point five six",
    "1.234 €": "one thousand two hundred thirty four euros",
    "€1.234": "one thousand two hundred thirty four euros",
    "€ 25,-": "twenty five euros",
    "3,5 million": "three point five million",
    "2,5 kg": "two point five kilograms",
    "0,5 l": "zero point five liters",
    "10,5%": "ten point five percent",
    "pages 12,13": "pages twelve, thirteen",
    "rows 3,4": "rows three, four",
    "(3,4)": "three, four",
    "1,2 and 3": "one, two and three",
    "192.168.100.200": "one nine two dot one six eight dot one zero zero dot two zero zero",
    "3,14": "three point one four",
    "1_000_000": "one million",
    "1,0000": "ten thousand",
    "12,3456,7890": "one billion two hundred thirty four million five hundred sixty seven thousand "
    "eight hundred ninety",
    "$1,234.56": "one thousand two hundred thirty four dollars and fifty six cents",
    "1,234": "one thousand two hundred thirty four",
    "Rs 5,00,000/-": "five hundred thousand rupees",
    "99,9 %": "ninety nine point nine percent",
    "1.000.000": "one million",
    "−5,3 °C": "minus five point three degrees Celsius",
    "$ 1 500": "one thousand five hundred dollars",
    "1 500 000": "one million five hundred thousand",
    "9 000 km": "nine thousand kilometers",
    "CHF 1'500.-": "one thousand five hundred Swiss francs",
    "2,000,000": "two million",
    "1,5 times": "one point five times",
    "7,25 Euro": "seven point two five Euro",
    "1.500 euros": "one thousand five hundred euros",
    "10.000 people": "ten thousand people",
    "5.000 of them": "five thousand of them",
    "12.000 users": "twelve thousand users",
    "1.500 km": "one point five zero zero kilometers",
    "€1,5 Mio.": "one point five million euros.",
    "2,5 Mio": "two point five million",
    "3 Mrd euros": "three billion euros",
    "R$ 1.234,56": "one thousand two hundred thirty four reais and fifty six centavos",
    "CHF 1'500.50": "one thousand five hundred Swiss francs and fifty centimes",
    "１，２３４": "one thousand two hundred thirty four",
    "price: 1.299,-": "price: one thousand two hundred ninety nine",
    "0,001 mm": "zero point zero zero one millimeters",
    "3,5x": "three point five ex",
    "2.000 Euro": "two thousand Euro",
    "5 SEK": "five Swedish kronor",
}


@pytest.mark.parametrize(("written", "spoken"), READ.items())
def test_readings(written: str, spoken: str) -> None:
    check(written, spoken)
