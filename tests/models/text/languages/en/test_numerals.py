"""Roman numerals: ordinals, cardinals and false positives."""

import pytest

from models.text import normalise
from models.text.languages.en.numerals import roman

READ = {
    "the VIth army": "the sixth army",
    "the XIVth century": "the fourteenth century",
    "the Type-II error": "the Type two error",
    "a Phase-III trial": "a Phase three trial",
    # ordinals
    "Pope Leo X": "Pope Leo the tenth",
    "Henry VIII had six wives": "Henry the eighth had six wives",
    "Louis XIV's court": "Louis the fourteenth's court",
    "Queen Elizabeth II": "Queen Elizabeth the second",
    "Elizabeth I of England": "Elizabeth the first of England",
    "King Charles I, then Charles II": "King Charles the first, then Charles the second",
    "Emperor Haile Selassie I": "Emperor Haile Selassie the first",
    "John Paul II and Benedict XVI": "John Paul the second and Benedict the sixteenth",
    "under Henry V. He won": "under Henry the fifth. He won",
    "William Henry Gates III": "William Henry Gates the third",
    "Ramesses II": "Ramesses the second",
    "Dr. Ben L. Littlejohn III, MD": "Doctor Ben el Littlejohn the third, em dee",
    # cardinals
    "Final Fantasy VII": "Final Fantasy seven",
    "Title IX, Appendix II": "Title nine, Appendix two",
    "Rocky IV and Rocky V": "Rocky four and Rocky five",
    "Chapter I begins": "Chapter one begins",
    "in Part II of Act III, scene ii": "in Part two of Act three, scene two",
    "World War I began": "World War one began",
    "World War II.": "World War two.",
    "Super Bowl LVIII": "Super Bowl fifty eight",
    "Star Wars Episode V": "Star Wars Episode five",
    "Apollo XI and Saturn V": "Apollo eleven and Saturn five",
    "Mac OS X on an Apple II": "Mac oh ess ten on an Apple two",
    "type II diabetes, stage IV": "type two diabetes, stage four",
    "Articles I and II": "Articles one and two",
    "Chapters I–IV": "Chapters one to four",
    "Vol. III": "volume three",
    "the XIX century": "the nineteenth century",
    "the XXXII Olympiad": "the thirty second Olympiad",
    "in MCMXCIX and MMXXIV": "in nineteen ninety nine and twenty twenty four",
    # not numerals
    "I think Mary and I know": "I think Mary and I know",
    "James I think you are right": "James I think you are right",
    "the part I like, Part I love": "the part I like, Part I love",
    "Malcolm X and Generation X": "Malcolm ex and Generation ex",
    "Henry V. Smith": "Henry vee Smith",
    "Plan V": "Plan vee",
    "No. I have three.": "No. I have three.",
    "a MIX of CD and DVD": "a mix of see dee and dee vee dee",
    "DIY for a CV": "dee eye why for a see vee",
    "The IV drip": "The eye vee drip",
    "Washington DC, Baltimore MD": "Washington dee see, Baltimore em dee",
    "Size XL, Size XXL": "Size ex el, Size ex ex el",
    "Windows XP": "Windows ex pee",
    "a CIVIL and VIVID idea": "a civil and vivid idea",
    "WWII ended": "World War two ended",
    "WWI began": "World War one began",
    "page iv": "page four",
    "WrestleMania XL": "WrestleMania forty",
    "Verse XII": "Verse twelve",
    "Chapter Ⅳ": "Chapter four",
    "Ⅻ": "twelve",
    "Henry the VIII": "Henry the eighth",
    "Phase IIb": "Phase two bee",
    "Stage IIIA": "Stage three ay",
    "IV. Results": "four. Results",
    "Ⅳ": "four",
    "Louis Ⅳ": "Louis the fourth",
    "scene ⅱ": "scene two",
    "ⅲ": "three",
    "V. Putin": "vee Putin",
    "(ii) second": "two, second",
    "the (iv) of": "the, four, of",
    "iii) third": "three, third",
    "(i) first": "eye, first",
}


@pytest.mark.parametrize(("written", "spoken"), READ.items())
def test_readings(written: str, spoken: str) -> None:
    assert normalise(written) == spoken
    assert normalise(spoken) == spoken


@pytest.mark.parametrize(
    ("numeral", "value"),
    [("I", 1), ("IV", 4), ("XC", 90), ("MCMXCIX", 1999), ("IIII", None), ("VX", None), ("", None)],
)
def test_values(numeral: str, value: int | None) -> None:
    assert roman(numeral) == value
