"""Numeric dates in every unambiguous order, and by the stated guess otherwise."""

import pytest

from models.text import SentenceStream, split_sentences
from tests.models.text.reading import check

READ = {
    "31/12/2024": "December thirty first twenty twenty four",
    "2024/04/03": "April third twenty twenty four",
    "14-03-2022": "March fourteenth twenty twenty two",
    "2020-12": "December twenty twenty",
    "2020 Nov 5": "November fifth twenty twenty",
    "on 2021 January 15.": "on January fifteenth twenty twenty one.",
    "2020, Mar 3": "March third twenty twenty",
    "03.04.2021": "April third twenty twenty one",
    "31.12.1999": "December thirty first nineteen ninety nine",
    "12-31-99": "December thirty first nineteen ninety nine",
    "1/2/99": "January second nineteen ninety nine",
    "2024.4.3": "April third twenty twenty four",
    "on 24/12": "on December twenty fourth",
    "by 12/25": "by December twenty fifth",
    "5/6 May": "the fifth and the sixth of May",
    "on the 30/31 October": "on the thirtieth and the thirty first of October",
    "12/25 is near": "twelve twenty five is near",
    "1600 hours": "sixteen hundred hours",
    "at 0600 hours": "at oh six hundred hours",
    "in 1:02.5": "in one oh two point five",
    "2:45.31": "two forty five point three one",
    "12/2020": "December twenty twenty",
    "03.2021": "March twenty twenty one",
    "2024-01-02T10:00:00+02:00": "January second twenty twenty four at ten o'clock you tee see "
    "plus two",
    "2024-01-02 10:00:00": "January second twenty twenty four ten o'clock",
    "20240102T101500Z": "January second twenty twenty four at ten fifteen you tee see",
    "5-Nov-2020": "November fifth twenty twenty",
    "05/Mar/2024": "March fifth twenty twenty four",
    "Mar-10-2022": "March tenth twenty twenty two",
    "2024-Mar-05": "March fifth twenty twenty four",
    "the 2011-12 season": "the twenty eleven to twelve season",
    "the 2020/21 season": "the twenty twenty to twenty one season",
    "2024-01-01/2024-01-05": "January first twenty twenty four to January fifth twenty twenty four",
    "01/02/2024-05/02/2024": "January second twenty twenty four to May second twenty twenty four",
    "31st December 2024": "the thirty first of December twenty twenty four",
    "from 2019-2021": "from twenty nineteen to twenty twenty one",
    "99-12-31": "December thirty first nineteen ninety nine",
    "31-12-24": "December thirty first twenty twenty four",
    "version 1.12.2020": "version one point twelve point two thousand twenty",
    "1939-1945": "nineteen thirty nine to nineteen forty five",
    "2024-13-01": "January thirteenth twenty twenty four",
    "at 14:30 UTC": "at fourteen thirty you tee see",
    "10:05:30+01:00": "ten oh five and thirty seconds you tee see plus one",
    "10.30 am": "ten thirty ay em",
    "14h30": "fourteen thirty",
    "born 7/4/1776": "born July fourth seventeen seventy six",
    "1/1/00": "January first two thousand",
    "20201231": "December thirty first twenty twenty",
    "the week of 2024-06-03.": "the week of June third twenty twenty four.",
    "Due: 2024-6-3": "Due: June third twenty twenty four",
    "5.11.2020": "November fifth twenty twenty",
    "12/13/14": "December thirteenth twenty fourteen",
    "on 9/11": "on nine eleven",
    "9/11/2001": "September eleventh two thousand one",
    "1.5.2020": "May first twenty twenty",
    "5. Nov 2020": "November fifth twenty twenty",
    "3. March": "March third",
    "12. December 2019": "December twelfth twenty nineteen",
    "on 1. Jan. 2000, he": "on January first two thousand, he",
    "I scored 5. November was cold.": "I scored five. November was cold.",
    "Am 3. Oct 1990.": "Am October third nineteen ninety.",
    "5. nov 2020": "November fifth twenty twenty",
    "31. August, 1997": "August thirty first nineteen ninety seven",
    "5.Nov 2020": "November fifth twenty twenty",
    "We have 3. May I?": "We have three. May I?",
    "21. Sept. 2021": "September twenty first twenty twenty one",
    "Q3/2021": "cue three twenty twenty one",
    "H1 2024": "aitch one twenty twenty four",
    "Q4 2019 was good": "cue four twenty nineteen was good",
    "1914-18": "nineteen fourteen to eighteen",
    "1939-45": "nineteen thirty nine to forty five",
    "the 1955-75 war": "the nineteen fifty five to seventy five war",
    "Jan–Mar 2024": "January to March twenty twenty four",
    "Sat, 3 Feb 2024": "Saturday the third of February twenty twenty four",
    "Mon Feb 5": "Monday February fifth",
    "in Dec. we left": "in December we left",
    "It was in Oct.": "It was in October.",
    "31-DEC-2024": "December thirty first twenty twenty four",
    "from 01/02 to 05/02": "from January second to May second",
    "on 5/3 we left": "on May third we left",
    "on 1/2 inch": "on one half inch",
    "due 31.01.": "due January thirty first.",
    "It costs 12.05.": "It costs twelve point zero five.",
    "Date: 2019-7": "Date: July twenty nineteen",
    "01.–05.03.2024": "March first to March fifth twenty twenty four",
    "1.3.–5.3.2024": "March first to March fifth twenty twenty four",
    "FY2023/24": "eff why twenty twenty three to twenty four",
    "4. Jul 1776, closed": "July fourth seventeen seventy six, closed",
    "July 4, 1776, the Congress": "July fourth seventeen seventy six, the Congress",
    "on May 5, 2,000 people": "on May fifth, two thousand people",
    "the '05 season": "the oh five season",
    "13/13/2024": "thirteen slash thirteen slash two thousand twenty four",
    "3. 5. 2020": "May third twenty twenty",
    "on 24. 12. 1999.": "on December twenty fourth nineteen ninety nine.",
    "Mon-Fri 9-5": "Monday to Friday nine to five",
    "Sat–Sun": "Saturday to Sunday",
    "est. 1990": "established nineteen ninety",
}


@pytest.mark.parametrize(("written", "spoken"), READ.items())
def test_readings(written: str, spoken: str) -> None:
    check(written, spoken)


@pytest.mark.parametrize(
    ("written", "sentences"),
    [
        ("On 5. Nov 2020 he left. She stayed.", ["On 5. Nov 2020 he left.", "She stayed."]),
        ("It was 12. December. Cold.", ["It was 12. December.", "Cold."]),
        (
            "On 3. 5. 2020 he left. It was 5. 2 came.",
            ["On 3. 5. 2020 he left.", "It was 5.", "2 came."],
        ),
        ("He has 3. 12 were lost.", ["He has 3.", "12 were lost."]),
        ("I scored 5. November was cold.", ["I scored 5.", "November was cold."]),
        ("We have 3. May I?", ["We have 3.", "May I?"]),
        ("He has 31. Marching on, he", ["He has 31.", "Marching on, he"]),
        ("born 1. Jan. 2000, in Rome", ["born 1. Jan. 2000, in Rome"]),
    ],
)
def test_days_with_full_stops_do_not_end_sentences(written: str, sentences: list[str]) -> None:
    assert split_sentences(written) == sentences
    for size in (1, 2, 5):
        stream = SentenceStream()
        pieces = [written[at : at + size] for at in range(0, len(written), size)]
        assert [s for piece in pieces for s in stream.push(piece)] + stream.flush() == sentences
