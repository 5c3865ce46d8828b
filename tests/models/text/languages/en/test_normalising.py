"""Normalisation of English, and its idempotence."""

import re
import time

import pytest

from models.text import normalise
from models.text.languages.en.normalising import read_aloud

SAID = {
    # numbers
    "I have 42 of them.": "I have forty two of them.",
    "1,250,000 people": "one million two hundred fifty thousand people",
    "3.14 and .5": "three point one four and zero point five",
    "007": "zero zero seven",
    "the 21st and the 12th": "the twenty first and the twelfth",
    "21ST CENTURY": "twenty first century",
    "THE 3RD OF MAY": "the third of may",
    "1/2, 3/4 and 2 1/2 cups": "one half, three quarters and two and a half cups",
    "1½ cups": "one and a half cups",
    "$-5, a 50-50 draw, 5-5": "minus five dollars, a fifty fifty draw, five to five",
    "1080p or 480i, a 911 call": "ten eighty pee or four eighty eye, a nine one one call",
    "24/7, 9/11, A 50/50 chance": "twenty four seven, nine eleven, A fifty fifty chance",
    "10/10, 7/8, 120/365": "ten out of ten, seven eighths, one hundred twenty over three hundred"
    " sixty five",
    "60 miles/hour, 5 mg/kg": "sixty miles per hour, five milligrams per kilogram",
    "2 cats/dogs": "two cats dogs",
    "10-20 people": "ten to twenty people",
    "pages 10–20": "pages ten to twenty",
    "from 1939–1945": "from nineteen thirty nine to nineteen forty five",
    "-5°C": "minus five degrees Celsius",
    "It is 50% off": "It is fifty percent off",
    "50%-60%": "fifty percent to sixty percent",
    "5–10km, 5-6 min": "five to ten kilometers, five to six minutes",
    "v2.11.0": "version two point eleven point zero",
    "2+2=4": "two plus two equals four",
    "#5 and No. 7": "number five and number seven",
    "5km at 1 mph": "five kilometers at one mile per hour",
    "call 555-1234": "call five five five one two three four",
    # dates and times
    "in 1984": "in nineteen eighty four",
    "since 2005": "since two thousand five",
    "the 1990s and the '60s": "the nineteen nineties and the sixties",
    "on Jan. 5th, 2024": "on January fifth twenty twenty four",
    "on 3/4/2024": "on March fourth twenty twenty four",
    "on 2024-01-05": "on January fifth twenty twenty four",
    "on the 5th of May": "on the fifth of May",
    "at 10:05 a.m.": "at ten oh five ay em.",
    "at 12:00": "at twelve o'clock",
    "at 5 pm": "at five pee em",
    "at 10:05:30": "at ten oh five and thirty seconds",
    "2024-01-02T10:00:00Z": "January second twenty twenty four at ten o'clock you tee see",
    "July 4-6, 2024": "July fourth to sixth twenty twenty four",
    "4-6 July": "the fourth to the sixth of July",
    "10:30-11:30 am": "ten thirty to eleven thirty ay em",
    "9am–5pm, 9-5 p.m.": "nine ay em to five pee em, nine to five pee em.",
    # money
    "$5-10": "five to ten dollars",
    "$5-$10 a day": "five dollars to ten dollars a day",
    "$1.50-2.00": "one dollar and fifty cents to two dollars",
    "$1.50/hour or $9/mo": "one dollar and fifty cents per hour or nine dollars per month",
    "A 10-year plan": "A ten year plan",
    "-$5 and -5€": "minus five dollars and minus five euros",
    "$5": "five dollars",
    "$1.00": "one dollar",
    "£2.01": "two pounds and one penny",
    "$3.5 million": "three point five million dollars",
    "20€": "twenty euros",
    # abbreviations and letters
    "Dr. Smith of Elm Dr.": "Doctor Smith of Elm Drive.",
    "St. Mary on Main St.": "Saint Mary on Main Street.",
    "e.g. this": "for example this",
    "The USA and NASA": "The you ess ay and Nasa",
    "PCs and the USA'S": "pee sees and the you ess ays",
    "DON'T! WE'RE LATE, IT'S MOM'S": "don't! we're late, it's mom's",
    "I'M SORRY, I CAN'T": "I'm sorry, I can't",
    "'IT'S TIME,' he said, 'STOP'": "it's time, he said, stop",
    "O'CLOCK": "o'clock",
    "Elizabeth II's and $5's worth": "Elizabeth the second's and five dollars worth",
    "I said STOP": "I said stop",
    "in the US and the UK": "in the you ess and the you kay",
    "US GDP, the US IT sector": "you ess jee dee pee, the you ess eye tee sector",
    "the IT I use, AM radio": "the eye tee I use, ay em radio",
    "AT&T, R&D and a Q&A": "ay tee and tee, are and dee and a cue and ay",
    "HE TOLD US, IT IS TIME. I AM": "he told us, it is time. I am",
    "I am NOT SO sure": "I am not so sure",
    "vitamin A": "vitamin ay",
    "A dog": "A dog",
    "A German, A BBC show, A B C": "A German, A bee bee see show, ay bee see",
    "e-mail me": "ee mail me",
    "mp3 and B2B": "em pee three and bee two bee",
    "Henry VIII, Part II": "Henry the eighth, Part two",
    "World War II.": "World War two.",
    "rock 'n' roll": "rock and roll",
    "me@foo.org": "me at foo dot org",
    "see https://www.example.com/a?b=1.": "see example dot com.",
    # visual elements
    "**bold** and *it* and `code`": "bold and it and code",
    "see [the docs](https://a.b/c)": "see the docs",
    "# Title\n- one\n- two": "Title. one. two",
    "```python\nprint(1)\n```\nDone": "Done",
    "| x | y |\n|---|---|\n| 1 | 2 |": "ex, why. one, two",
    "<b>Hi</b> &amp; bye": "Hi and bye",
    "Great 😀🎉 news ❤️!": "Great news!",
    "hello :-)": "hello",
    "I <3 it :3 xD XDD ;-) =P": "I it",
    "He is 83, or 833.": "He is eighty three, or eight hundred thirty three.",
    "The score was 8-3.": "The score was eight to three.",
    "8/3 and Windows XP": "eight three and Windows ex pee",
    "snake_case": "snake case",
    "Hmmm, mhm. Shh!": "hmm, um hum. shush!",
    "nooo, that is sooo coool": "no, that is so cool",
    # pauses
    "Wow!!! Really?!": "Wow! Really?",
    "so… yes... No": "so, yes. No",
    "one (or two) more": "one, or two, more",
    "wait -- what": "wait — what",
    "wait – what ― why": "wait — what — why",
    "the Paris–London train": "the Paris London train",
    "“It’s here,” she said": "It's here, she said",
    "你好 OK": "oh kay",
}


@pytest.mark.parametrize(("written", "spoken"), SAID.items())
def test_readings(written: str, spoken: str) -> None:
    assert normalise(written) == spoken


@pytest.mark.parametrize("written", SAID)
def test_normalisation_is_idempotent(written: str) -> None:
    assert normalise(normalise(written)) == normalise(written)


@pytest.mark.parametrize(
    "nothing", ["", "   ", "😀🎉", "...", "***", "```\ncode\n```", "你好", "\n\n"]
)
def test_unpronounceable_texts_are_empty(nothing: str) -> None:
    assert normalise(nothing) == ""


def test_only_words_and_pauses_remain() -> None:
    for written in SAID:
        assert re.fullmatch(r"[\w' ,.?!;:—]*", normalise(written))
        assert not re.search(r"\d|_", normalise(written))


def test_a_written_word_keeps_its_spoken_ones() -> None:
    found = [
        (item.written, item.words) for item in read_aloud("Pay $5 to Dr. Wu-Li, ok?") if item.words
    ]
    assert found == [
        ("Pay", ("Pay",)),
        ("$5", ("five", "dollars")),
        ("to", ("to",)),
        ("Dr.", ("Doctor",)),
        ("Wu-Li", ("Wu", "Li")),
        ("ok", ("ok",)),
    ]


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Hi \ud83d there.", "Hi there."),
        ("I have \udc00 42\udfff.", "I have forty two."),
        ("\ud800", ""),
        ("caf\ud83dé", "café"),
        ("Great \ud83d\ude00 news", "Great news"),
        ("&#xD83D; and &#55357;&#56832; yes", "and yes"),
    ],
)
def test_lone_surrogates_are_dropped(written: str, spoken: str) -> None:
    assert normalise(written) == spoken


def test_hostile_texts_terminate() -> None:
    for text in ("*" * 5000, "[" * 5000, "<" * 5000, "1/" * 3000, "a." * 3000, "$" * 5000):
        normalise(text)
    normalise("1-" * 2000 + "_a" * 2000 + "(" * 3000)


def test_long_runs_take_linear_time() -> None:
    """Each took seconds: the search for dashes and ellipses restarted within the run."""
    started = time.perf_counter()
    for run in (" ", "\t", "😀", '"', "."):
        assert normalise("one" + run * 20_000 + "two") in ("one two", "one, two")
    assert time.perf_counter() - started < 2
