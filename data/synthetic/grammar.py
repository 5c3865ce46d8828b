"""What is said: sentences from templates, and dialogues of 2 to 8 turns.

Generation of a split only ever speaks sentences of that split (`data.synthetic.splits`). Numbers
are written in words, so that every synthesizer speaks the same ones. Nothing here knows of manner,
so texts cannot give it away.
"""

import random
import re
from dataclasses import dataclass

from data.synthetic.lexicon import Topic, ing, names, number, topics
from data.synthetic.splits import normalised, split_of

_STATEMENTS = (
    "The {a} {t} in the {pl} was {vd} by the {p} {when}.",
    "{n} {vd} the {a} {t} {when} {reason}.",
    "The {p} told us that the {ts} near the {pl} were {a} and {q}.",
    "I {vd} {num} {a} {ts} {when}, and then {n} {vd2} the {t2}.",
    "We were going to {v} the {t} on {day}, but the {p} needed it in {city}.",
    "There is a {a} {t} beside the {t2} in the {pl}.",
    "My friend {n} {last} has {num} {ts} and a {a} {t2} in the {pl}.",
    "It took the {p} {num} hours to {v} the {t} in the {pl}.",
    "The {colour} {t} belongs to the {p} who lives in {city}.",
    "In {month} the {pl} was full of {ts}, and everybody {vd} them.",
    "{adv}, the {p} decided to {v} the {t} {reason}.",
    "Some of the {ts} were {a}, but most of them were {adv2} {a2}.",
    "The price of a {t} went up from {price} to {price2} in {month}.",
    "{n} and {n2} met the {p} at {clock} in front of the {pl}.",
    "Nobody in {city} had ever {vd_pp} such a {q} {t} before.",
    "If you {v} the {t} {adv2}, the {ts2} will be {a} by {day}.",
    "The {p} from {city} {vd} the {ts} and left the {t2} in the {pl}.",
    "I have been {vg} the {ts} since {clock}, and the {t2} is still {a}.",
    "{n} wrote down the number {digits} and gave it to the {p}.",
    "They {vd} an old {t} for {price} at the {pl} in {city}.",
    "The {mat} {t} stood between the {t2} and the {a} {t3}.",
    "After {clock} the {p} closed the {pl} and {vd} the last {t}.",
    "Every {day} the {ps} {v} the {ts} before they {v2} the {t2}.",
    "The number of {ts} in {city} has grown to {bignum} since {month}.",
    "She said the {t} was {q}, and that the {p} should {v} it again.",
    "He put the {t} under the {t2}, where the {p} could not see it.",
    "The {a} {t} and the {a2} {t2} were both {vd_pp} in {year}.",
    "Your {t} is on the table in the {pl}, next to the {colour} {t2}.",
    "It was {adv2} {q} that the {p} {vd} the {t} {when}.",
    "The {t} you bought in {city} is much more {q} than mine.",
    "A {a} {t} costs about {price}, while a {a2} one costs {price2}.",
    "We walked from the {pl} to the {pl2} with {num} {a} {ts}.",
    "The {p} and the {p2} argued about the {t} for {num} minutes.",
    "{n} keeps the {ts} in a {mat} box behind the {t2}.",
    "Without the {t}, the {p} cannot {v} the {ts} in the {pl}.",
    "One of the {ps} found a {colour} {t} on the way to the {pl}.",
    "By the end of {month} we will have {num} new {ts} in the {pl}.",
    "{n} {last} {adv2} {vd} the {t} and went home at {clock}.",
    "The {pl} in {city} opens at {clock} and closes at {clock2}.",
    "When the {p} arrived, the {ts} had already been {vd_pp}.",
)
_SHORT_STATEMENTS = (
    "The {t} is {a}.",
    "{n} {vd} the {t}.",
    "It was a {a} {t}.",
    "I like the {a} {ts}.",
    "The {p} is in the {pl}.",
    "We need {num} {ts}.",
    "The {ts} were {adv2} {q}.",
    "That {t} is {q}.",
    "It starts at {clock}.",
    "She lives in {city}.",
    "They {v} {ts} in {month}.",
    "It costs {price}.",
    "My number is {digits}.",
    "The {a} one is mine.",
)
_QUESTIONS = (
    "Did you {v} the {t} in the {pl}?",
    "Who {vd} the {a} {t} {when}?",
    "Why is the {t} so {a} today?",
    "Can the {p} {v} the {ts} before {day}?",
    "How many {ts} are there in the {pl}?",
    "Where did {n} put the {a} {t}?",
    "Have you ever seen a {a} {t} in {city}?",
    "What time does the {pl} open on {day}?",
    "Is the {t} more {q} than the {t2}?",
    "Would you rather {v} the {t} or {v2} the {t2}?",
    "Do you know the {p} who {vd} the {ts}?",
    "How much does a {a} {t} cost in {city}?",
    "Should we {v} the {t} at {clock} or at {clock2}?",
    "When will {n} {v} the {t} again?",
    "Which of the {ts} is the most {q}?",
    "Are the {ts} in the {pl} always so {a}?",
    "Could you ask the {p} about the {colour} {t}?",
    "What happened to the {t} from {city}?",
    "Does {n} {last} still {v} {ts} in {month}?",
    "Will there be {num} {ts} or {num2}?",
    "Is {n} in the {pl}?",
    "What about the {t}?",
    "Whose {t} is this?",
)
_ANSWERS = (
    "Yes.",
    "No.",
    "Yes, I did.",
    "No, not yet.",
    "I think so.",
    "Of course.",
    "Not really.",
    "Maybe on {day}.",
    "At {clock}.",
    "About {num}.",
    "Only {num} of them.",
    "In the {pl}.",
    "It was {n}.",
    "The {a} one.",
    "Probably the {p}.",
    "I am not sure about that.",
    "I have no idea.",
    "As far as I know, yes.",
    "Ask the {p} in the {pl}.",
    "That depends on the {t}.",
    "{price}, I think.",
    "The {p} told me.",
    "Not before {month}.",
    "Yes, and the {t2} too.",
    "No, only the {ts}.",
)
_BACKCHANNELS = (
    "Right.",
    "I see.",
    "Okay.",
    "Sure.",
    "Really?",
    "Mm, yes.",
    "Exactly.",
    "Go on.",
    "All right.",
    "Oh, I see.",
    "Is that so?",
    "Well, well.",
    "That is true.",
    "Good point.",
    "Fair enough.",
    "You know what?",
    "Absolutely.",
    "Got it.",
)
_NOUN_FORMS = {"t": "things", "p": "people"}
_VOWEL_SOUND = re.compile(
    r"\b([Aa]) (?=[aeiou]|hour|honest|heirloom|x-ray)"
    r"(?!uni(?!mp|nt)|use|usu|eu|one|ufo|uter)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Line:
    """One turn's words, before anybody speaks them."""

    speaker: int
    text: str


def sentences_of(text: str) -> list[str]:
    """The sentences of a turn's text."""
    return [part for part in re.split(r"(?<=[.?!])\s+", text) if part]


class Writer:
    """Writes the sentences of one dialogue: one topic, a few things that come up again."""

    def __init__(self, rng: random.Random, topic: Topic, split: str) -> None:
        self._rng = rng
        self._topic = topic
        self._split = split

    def statement(self) -> str:
        """A plain declarative sentence, most of 8 to 16 words."""
        return self.sentence(_STATEMENTS)

    def short_statement(self) -> str:
        return self.sentence(_SHORT_STATEMENTS)

    def question(self) -> str:
        return self.sentence(_QUESTIONS)

    def answer(self) -> str:
        return self.sentence(_ANSWERS)

    def backchannel(self) -> str:
        return self.sentence(_BACKCHANNELS)

    def sentence(self, templates: tuple[str, ...], given: dict[str, str] | None = None) -> str:
        """A text of one of `templates`, whose words are drawn where `given` does not have them."""
        while True:
            text = self._fill(self._rng.choice(templates), given or {})
            if all(split_of(part) in (None, self._split) for part in sentences_of(text)):
                return text

    def _fill(self, template: str, given: dict[str, str]) -> str:
        rng, topic, words = self._rng, self._topic, names()
        thing = rng.sample(topic.things, 3)
        person = rng.sample(topic.people, 2)
        verb = rng.sample(topic.verbs, 2)
        place, adjective = rng.sample(topic.places, 2), rng.sample(topic.adjectives, 2)
        low, high = sorted(rng.sample(range(2, 100), 2))
        slots = {
            "t": thing[0][0], "t2": thing[1][0], "t3": thing[2][0],
            "ts": thing[0][1], "ts2": thing[1][1],
            "p": person[0][0], "p2": person[1][0], "ps": person[0][1],
            "v": verb[0][0], "v2": verb[1][0], "vd": verb[0][1], "vd2": verb[1][1],
            "vg": ing(verb[0][0]), "vd_pp": _participle(*verb[0]),
            "pl": place[0], "pl2": place[1], "a": adjective[0], "a2": adjective[1],
            "n": rng.choice(words["first"]), "n2": rng.choice(words["first"]),
            "last": rng.choice(words["last"]), "city": rng.choice(words["city"]),
            "day": rng.choice(words["day"]), "month": rng.choice(words["month"]),
            "q": rng.choice(words["quality"]), "adv": rng.choice(words["adverb"]).capitalize(),
            "adv2": rng.choice(words["adverb"]), "colour": rng.choice(words["colour"]),
            "mat": rng.choice(words["material"]), "when": rng.choice(words["when"]),
            "reason": rng.choice(words["reason"]),
            "num": number(low), "num2": number(high), "bignum": number(rng.randrange(100, 9999)),
            "year": _year(rng), "price": _price(rng, low), "price2": _price(rng, high),
            "clock": _clock(rng), "clock2": _clock(rng),
            "digits": " ".join(number(rng.randrange(10)) for _ in range(rng.randint(3, 6))),
        }  # fmt: skip
        sentence = _VOWEL_SOUND.sub(r"\1n ", template.format(**{**slots, **given}))
        return sentence[0].upper() + sentence[1:]


def write_dialogue(rng: random.Random, split: str) -> tuple[str, list[Line]]:
    """The words of one dialogue.

    Args:
        rng: all chance comes from here.
        split: one of SPLITS.

    Returns:
        The topic's name and 2 to 8 lines, speakers 0 (user) and 1 (agent) in turn.
    """
    topic = rng.choice(topics())
    writer = Writer(rng, topic, split)
    lines: list[Line] = []
    asked = False
    for index in range(rng.randint(2, 8)):
        text, asked = _turn(rng, writer, asked, first=index == 0)
        lines.append(Line(index % 2, text))
    return topic.name, lines


def held_out_sentences(num: int, seed: int) -> list[str]:
    """Plain declarative sentences of 8 to 16 words that no training corpus speaks.

    They go round the topics, are all different, and depend on nothing but `num` and `seed`.
    """
    rng = random.Random(f"held out {seed}")
    writers = [Writer(rng, topic, "test") for topic in topics()]
    found: dict[str, None] = {}
    while len(found) < num:
        sentence = writers[len(found) % len(writers)].statement()
        if 8 <= len(normalised(sentence).split()) <= 16:
            found[sentence] = None
    return list(found)


def _turn(rng: random.Random, writer: Writer, asked: bool, first: bool) -> tuple[str, bool]:
    """One turn's text, and whether it ends with a question."""
    chance = rng.random()
    if not first and chance < 0.08:
        return writer.backchannel(), False
    if asked and chance < 0.22:
        return writer.answer(), False
    parts = []
    if asked and rng.random() < 0.5:
        parts.append(writer.answer())
    elif not first and rng.random() < 0.15:
        parts.append(writer.backchannel())
    asks = rng.random() < 0.3
    if not asks or rng.random() < 0.35:
        parts.append(writer.statement() if rng.random() < 0.85 else writer.short_statement())
    if asks:
        parts.append(writer.question())
    return " ".join(parts), asks


def _participle(base: str, past: str) -> str:
    """Past participle where it differs from the past."""
    irregular = {
        "froze": "frozen", "chose": "chosen", "wore": "worn", "drove": "driven", "rode": "ridden",
        "overtook": "overtaken", "threw": "thrown", "hid": "hidden", "forgave": "forgiven",
        "wrote": "written", "withdrew": "withdrawn", "drew": "drawn", "wove": "woven",
        "sang": "sung", "sank": "sunk", "grew": "grown", "forgot": "forgotten", "beat": "beaten",
    }  # fmt: skip
    return irregular.get(past, past)


def _clock(rng: random.Random) -> str:
    hour = number(rng.randint(1, 12))
    return rng.choice(
        (f"{hour} o'clock", f"half past {hour}", f"quarter to {hour}", f"{hour} thirty",
         f"{hour} fifteen", f"{number(rng.randint(5, 25))} past {hour}")
    )  # fmt: skip


def _year(rng: random.Random) -> str:
    if rng.random() < 0.3:
        return f"two thousand and {number(rng.randint(1, 25))}"
    return f"nineteen {number(rng.randint(11, 99))}"


def _price(rng: random.Random, value: int) -> str:
    unit = rng.choice(("dollars", "pounds", "euros"))
    cents = rng.choice(("", "", " fifty", " ninety-nine", " twenty-five"))
    return f"{number(value)} {unit}{cents}"
