"""Words in capitals: initials, acronyms and emphasis."""

import random
import re

import pytest

from data.synthetic.grammar import write_dialogue
from models.text import normalise
from models.text.languages.en.initials import is_pronounceable, spell

SPELT = """YMCA IMDB HTML HTTPS HTTP UCLA ACLU NAACP IEEE NCAA ESPN AARP ISBN USSR USMC USPS USDA
OECD RSVP HDMI GDPR CNBC MSNBC NCIS NYPD LAPD LGBT LGBTQ NYSE ICBM SNCF IIRC IMHO LMAO UNHCR BYOB
TLDR FWIW UUID SMTP ICMP DHCP USAF ICAO IUCN OSCE EEOC NHTSA FDIC NTSB ABCD XLSX CCTV""".split()
WORDS = """NASA UNESCO UNICEF NATO IKEA LEGO OPEC FEMA NAFTA UEFA POTUS AWOL ASEAN BRICS CERN ICANN
OSHA NASDAQ EBITDA HIPAA FIFA COVID CAPTCHA ADIDAS YOLO SWAT NORAD RADAR STOP HELLO PLEASE NEVER
STRENGTHS LONDON MARIA SQUARE RHYTHM YACHTS EIGHTHS QUEUE FRIENDS SCHMIDT MCDONALD""".split()


@pytest.mark.parametrize("word", SPELT)
def test_initials_are_spelt(word: str) -> None:
    assert normalise(f"the {word} office") == f"the {spell(word)} office"


@pytest.mark.parametrize("word", WORDS)
def test_acronyms_and_emphasised_words_are_words(word: str) -> None:
    assert normalise(f"the {word} office").lower() == f"the {word.lower()} office"


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("the YMCA's pool and two FAQs", "the why em see ays pool and two eff ay cues"),
        ("A JPEG or an MPEG", "A jay peg or an em peg"),
        ("THE UCLA TEAM WON", "the you see el ay team won"),
        ("I'M AT THE YMCA NOW!", "I'm at the why em see ay now!"),
        ("HMMM, SHHH", "hmm, shush"),
        ("the NVMe drive", "the en vee em ee drive"),
        ("a pH of 7.4", "a pee aitch of seven point four"),
        ("mRNA and tRNA", "em are en ay and tee are en ay"),
        ("iOS 17 or macOS", "eye oh ess seventeen or mac oh ess"),
        ("A.I is here", "ay eye is here"),
        ("an eBay GmbH", "an eBay jee em bee aitch"),
        ("the ASPCA", "the ay ess pee see ay"),
    ],
)
def test_in_a_sentence(written: str, spoken: str) -> None:
    assert normalise(written) == spoken


def test_few_ordinary_words_are_taken_for_initials() -> None:
    words: set[str] = set()
    for seed in range(400):
        for line in write_dialogue(random.Random(seed), "train")[1]:
            words |= set(re.findall(r"(?<![\w'])[a-z]{4,}(?![\w'])", line.text))
    assert len(words) > 500
    assert [word for word in sorted(words) if not is_pronounceable(word)] == []
