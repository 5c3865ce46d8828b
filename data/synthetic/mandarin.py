"""Slot fillers of the Mandarin patterns, with numbers in characters."""

import random
from dataclasses import dataclass
from functools import cache

from data.synthetic.lexicon import items, sections

_DIGITS = "零一二三四五六七八九"
_SPOKEN_DIGITS = "零幺二三四五六七八九"
_WEEKDAYS = "一二三四五六日"


@dataclass(frozen=True)
class MandarinTopic:
    """The words of one topic; things are (measure word, noun)."""

    name: str
    things: tuple[tuple[str, str], ...]
    people: tuple[str, ...]
    places: tuple[str, ...]


@cache
def mandarin_topics() -> tuple[MandarinTopic, ...]:
    """All topics, in the order of the file."""
    found = []
    for name, lines in sections("lexicon_zh.txt"):
        lists = {key: items(words) for key, words in (line.split(":") for line in lines)}
        things = tuple((m, noun) for m, _, noun in (t.partition("/") for t in lists["things"]))
        people, places = tuple(lists["people"]), tuple(lists["places"])
        found.append(MandarinTopic(name, things, people, places))
    return tuple(found)


@cache
def _names() -> dict[str, tuple[str, ...]]:
    return {name: tuple(items(" ".join(lines))) for name, lines in sections("names_zh.txt")}


def mandarin_words(rng: random.Random, topic: MandarinTopic) -> dict[str, str]:
    """What stands in the place of each name in braces, for one sentence."""
    words = _names()
    thing, day = rng.sample(topic.things, 2), rng.sample(words["day"], 2)
    kinds = ("surname", "city", "when", "family", "food", "drink", "hobby", "letter")
    low, high = sorted(rng.sample(range(11, 100), 2))
    few = rng.sample(range(3, 9), 2)
    return {
        **{kind: rng.choice(words[kind]) for kind in kinds},
        "m": thing[0][0], "t": thing[0][1], "m2": thing[1][0], "t2": thing[1][1],
        "p": rng.choice(topic.people), "pl": rng.choice(topic.places),
        "n": rng.choice(words["name"]), "day": day[0], "day2": day[1],
        "dur": rng.choice(words["duration"]), "num": characters(low), "num2": characters(high),
        "small": characters(few[0]), "small2": characters(few[1]),
        "bignum": characters(rng.randrange(101, 9_999)), "temp": characters(rng.randint(2, 36)),
        "price": _price(rng), "digits": _digits(rng, rng.randint(4, 6)),
        "phone": "幺" + _digits(rng, 10), "year": _year(rng), "clock": _clock(rng),
        "month": f"{characters(rng.randint(1, 12))}月",
        "date": f"{characters(rng.randint(1, 12))}月{characters(rng.randint(1, 28))}号",
    }  # fmt: skip


def characters(value: int) -> str:
    """A number from 0 to 9,999 in Chinese characters, such as 三百零五."""
    if value < 10:
        return _DIGITS[value]
    text, pending_zero = "", False
    for power, unit in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = value // power % 10
        if digit:
            zero = "零" if pending_zero and text else ""
            text += zero + _DIGITS[digit] + unit
        pending_zero = not digit
    return text.removeprefix("一") if 10 <= value < 20 else text


def _digits(rng: random.Random, count: int) -> str:
    return "".join(_SPOKEN_DIGITS[rng.randrange(10)] for _ in range(count))


def _year(rng: random.Random) -> str:
    return "".join(_DIGITS[int(digit)] for digit in str(rng.randint(1960, 2025))) + "年"


def _clock(rng: random.Random) -> str:
    part = rng.choice(("", "", "早上", "上午", "下午", "晚上"))
    hour = rng.randint(1, 12)
    spoken = "两" if hour == 2 else characters(hour)
    return f"{part}{spoken}点" + rng.choice(("", "半", "一刻", "三刻", "十分", "二十", "整"))


def _price(rng: random.Random) -> str:
    value = rng.randint(3, 980)
    rest = rng.choice(("", "", "", "五", "八"))
    return f"{characters(value)}块{rest}"
