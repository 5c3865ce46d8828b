"""Raised and lowered characters: powers, ions, ordinals, fractions, footnotes."""

import pytest

from tests.models.text.reading import check

READ = {
    "10⁶": "ten to the sixth",
    "5² = 25": "five squared equals twenty five",
    "x⁻¹": "ex to the minus one",
    "10⁻⁶ m": "ten to the minus six meters",
    "m²": "square meters",
    "50 m²": "fifty square meters",
    "per m²": "per square meter",
    "H₂O": "aitch two oh",
    "CO₂": "see oh two",
    "C₆H₁₂O₆": "see six aitch twelve oh six",
    "1ˢᵗ": "first",
    "2ⁿᵈ": "second",
    "3ʳᵈ": "third",
    "4ᵗʰ": "fourth",
    "³⁄₄ cup": "three quarters cup",
    "E=mc²": "ee equals mc squared",
    "a²+b²=c²": "a squared plus bee squared equals see squared",
    "x³": "ex cubed",
    "xⁿ": "ex to the en",
    "2ⁿ": "two to the en",
    "word² and": "word and",
    "done.¹ Next": "done. Next",
    "²³⁵U": "two three five you",
    "Ca²⁺": "Ca two plus",
    "Na⁺": "Na plus",
    "SO₄²⁻": "ess oh four two minus",
    "log₂ 8": "log base two eight",
    "101₂": "one hundred one base two",
    "sin²(x)": "sin squared, ex",
    "R² = 0.9": "are squared equals zero point nine",
    "10²³": "ten to the twenty third",
    "5 m/s²": "five meters per second squared",
    "3×10⁸ m/s": "three times ten to the eighth meters per second",
    "6.02×10²³": "six point zero two times ten to the twenty third",
    "1.5e6": "one point five times ten to the sixth",
    "2^10": "two to the tenth",
    "x^2": "ex squared",
    "x^(n+1)": "ex to the en plus one",
    "x₁ and x₂": "ex one and ex two",
    "5ᵗʰ Avenue": "fifth Avenue",
    "Mᵐᵉ Curie": "Mme Curie",
    "cm³": "cubic centimeters",
    "12 km²": "twelve square kilometers",
    "χ²": "χ squared",
    "2⁰": "two to the zeroth",
    "½ cup": "one half cup",
    "⅓": "one third",
    "⅔ of": "two thirds of",
    "1⅞": "one and seven eighths",
    "⅑": "one ninth",
    "e⁻ˣ": "ee to the minus ex",
    "1º": "first",
    "2ª": "second",
}


@pytest.mark.parametrize(("written", "said"), READ.items())
def test_reads_as_people_do(written: str, said: str) -> None:
    check(written, said)
