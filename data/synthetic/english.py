"""Slot fillers of the English patterns: topic words, names, numbers, dates, spellings."""

import random

from data.synthetic.lexicon import Topic, ing, names, number

_ORDINALS = (
    *("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"),
    *("tenth", "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth"),
    *("seventeenth", "eighteenth", "nineteenth", "twentieth"),
)
_TENTHS = {2: "twentieth", 3: "thirtieth"}


def english_words(rng: random.Random, topic: Topic) -> dict[str, str]:
    """What stands in the place of each name in braces, for one sentence."""
    words = names()
    return {
        **_of_topic(rng, topic),
        **_of_lists(rng, words),
        **_of_numbers(rng),
        **_of_time(rng, words),
        **_spelt(rng, words),
    }


def _of_topic(rng: random.Random, topic: Topic) -> dict[str, str]:
    thing, person = rng.sample(topic.things, 3), rng.sample(topic.people, 2)
    verb = rng.sample(topic.verbs, 2)
    place, adjective = rng.sample(topic.places, 2), rng.sample(topic.adjectives, 2)
    return {
        "t": thing[0][0], "t2": thing[1][0], "t3": thing[2][0],
        "ts": thing[0][1], "ts2": thing[1][1],
        "p": person[0][0], "p2": person[1][0], "ps": person[0][1],
        "v": verb[0][0], "v2": verb[1][0], "vd": verb[0][1], "vd2": verb[1][1],
        "vg": ing(verb[0][0]), "pl": place[0], "pl2": place[1],
        "a": adjective[0], "a2": adjective[1],
    }  # fmt: skip


def _of_lists(rng: random.Random, words: dict[str, tuple[str, ...]]) -> dict[str, str]:
    first, day = rng.sample(words["first"], 2), rng.sample(words["day"], 2)
    kinds = ("last", "city", "month", "colour", "material", "when", "soon", "often", "reason")
    more = ("family", "food", "drink", "hobby", "instrument", "pet", "currency")
    drawn = {kind: rng.choice(words[kind]) for kind in kinds + more}
    return {
        **drawn,
        "n": first[0], "n2": first[1], "day": day[0], "day2": day[1], "mat": drawn["material"],
        "q": rng.choice(words["quality"]), "adv": rng.choice(words["adverb"]),
    }  # fmt: skip


def _of_numbers(rng: random.Random) -> dict[str, str]:
    low, high = sorted(rng.sample(range(10, 100), 2))
    few = rng.sample(range(2, 10), 2)
    return {
        "num": number(low), "num2": number(high), "small": number(few[0]), "small2": number(few[1]),
        "bignum": number(rng.randrange(100, 9999)), "price": _price(rng, low),
        "price2": _price(rng, high), "digits": _digits(rng, rng.randint(3, 6)),
        "phone": ", ".join(_digits(rng, count) for count in (3, 3, 4)),
        "room": f"{number(rng.randint(1, 9))} oh {number(rng.randint(1, 9))}",
        "ordinal": ordinal(rng.randint(1, 31)), "temp": number(rng.randint(2, 35)),
    }  # fmt: skip


def _of_time(rng: random.Random, words: dict[str, tuple[str, ...]]) -> dict[str, str]:
    day = ordinal(rng.randint(1, 31))
    month = rng.choice(words["month"])
    date = rng.choice((f"{month} {day}", f"the {day} of {month}", f"{month} the {day}"))
    return {
        "date": date, "clock": _clock(rng), "clock2": _clock(rng),
        "year": _year(rng), "year2": _year(rng), "dur": _duration(rng),
    }  # fmt: skip


def _spelt(rng: random.Random, words: dict[str, tuple[str, ...]]) -> dict[str, str]:
    name = rng.choice(words["first"] + words["last"])
    letters = "BCDEFGHKLMNPQRSTVWXYZ"
    return {
        "n_spelled": name,
        "spelled": ", ".join(name.upper()),
        "spelled_flight": f"{rng.choice(letters)}, {rng.choice(letters)}, {_digits(rng, 3)}",
        "email": f"{name.lower()} at {rng.choice(words['domain'])}",
    }


def ordinal(value: int) -> str:
    """From "first" to "ninety-ninth"."""
    if value <= 20:
        return _ORDINALS[value - 1]
    tens, unit = divmod(value, 10)
    if not unit:
        return _TENTHS.get(tens, number(value)[:-1] + "ieth")
    return f"{number(10 * tens)}-{_ORDINALS[unit - 1]}"


def _digits(rng: random.Random, count: int) -> str:
    return " ".join(number(rng.randrange(10)) for _ in range(count))


def _clock(rng: random.Random) -> str:
    hour = number(rng.randint(1, 12))
    minutes = number(rng.randint(5, 25))
    return rng.choice(
        (f"{hour} o'clock", f"half past {hour}", f"quarter to {hour}", f"{hour} thirty",
         f"{hour} fifteen", f"{minutes} past {hour}", f"{hour} in the morning", f"{hour} sharp")
    )  # fmt: skip


def _year(rng: random.Random) -> str:
    if rng.random() < 0.4:
        return f"two thousand and {number(rng.randint(1, 25))}"
    return f"nineteen {number(rng.randint(11, 99))}"


def _duration(rng: random.Random) -> str:
    count = number(rng.randint(2, 12))
    unit = rng.choice(("minutes", "hours", "days", "weeks", "months", "years"))
    return rng.choice(
        (f"{count} {unit}", f"{count} {unit}", "half an hour", "a week", "a few days",
         "a couple of weeks", "ages", "twenty minutes")
    )  # fmt: skip


def _price(rng: random.Random, value: int) -> str:
    unit = rng.choice(("dollars", "pounds", "euros"))
    cents = rng.choice(("", "", "", " fifty", " ninety-nine", " twenty-five"))
    return f"{number(value)} {unit}{cents}"
