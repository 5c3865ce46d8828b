"""What to answer: a rule from what was said to an answer on its topic, and the judge of topics.

A conversation's turns of `write_dialogue` share a topic and nothing more. Here a turn is answered:
its kind (who, where, how many, ...) decides how, and what it names is named again. Which topic a
text belongs to is read from its words alone, so that an answer can be judged without its author.
"""

import random
import re
from functools import cache

from data.synthetic.grammar import Writer, sentences_of
from data.synthetic.lexicon import Topic, ing, names, topics

NOT_HEARD = "Sorry, I did not catch that. Could you say it again?"
"""The answer to noise and silence."""

ABOUT_ITSELF = (
    (
        ("What can you talk about?", "What do you know?", "What are your topics?"),
        (
            "I only know a few topics: cooking, travel, weather, sport, music and some more.",
            "I can talk about the house, the garden, food, animals, school and some more topics.",
        ),
    ),
    (
        ("Who are you?", "Tell me about yourself.", "What are you?"),
        ("I am a small model that only knows a few topics, such as cooking, travel and weather.",),
    ),
    (
        ("Hello.", "Good morning.", "Hello there, how are you?"),
        ("Hello. What shall we talk about? Cooking, travel, or the weather?",),
    ),
)
"""What may be said of the conversation itself, and answers that tell what it can be about."""

_Templates = tuple[str, ...]
# {x} is what the turn names, as it names it: no verb after it may change with its number.
_KINDS: tuple[tuple[str, _Templates], ...] = (
    (
        r"who|whose",
        (
            "It was the {p} from {city}, who {vd} the {x} {when}.",
            "I think the {p} {vd} the {x}.",
            "Probably the {p}, because the {x} looked {a}.",
            "Ask {n}, who {vd} the {x} in the {pl}.",
        ),
    ),
    (
        r"where",
        (
            "You will find the {x} in the {pl}.",
            "I saw the {x} in the {pl} {when}.",
            "The {p} left the {x} in the {pl}.",
            "In the {pl}, where the {p} {vd} the {x}.",
        ),
    ),
    (
        r"when|what time",
        (
            "Maybe on {day}, if the {p} does not need the {x}.",
            "At {clock}, when the {p} comes to the {pl}.",
            "Not before {month}, because the {x} looked {a}.",
            "The {p} said {clock}, and brought the {x}.",
        ),
    ),
    (
        r"why",
        (
            "Because the {p} had to {v} the {x}.",
            "The {p} {vd} the {x} {when}, that is why.",
            "Nobody in the {pl} could {v} the {x} {when}.",
        ),
    ),
    (
        r"how many",
        (
            "I counted {num} {ts} in the {pl}.",
            "About {num} {ts}, and most of them looked {a}.",
            "The {p} told me that there were {num} {ts}.",
        ),
    ),
    (
        r"how much",
        (
            "I paid {price} for the {x} in {city}.",
            "About {price}, but the {p} wanted {price2} for the {x}.",
            "The {p} asked {price} for the {x}.",
        ),
    ),
    (
        r"which",
        (
            "The {a} one in the {pl}, next to the {x}.",
            "I like the {a} ones, and the {p} likes the {x}.",
        ),
    ),
    (
        r"what happened|what about",
        (
            "The {p} {vd} the {x} {when}.",
            "Nobody {vd} the {x}, so it all stayed in the {pl}.",
            "The {x} turned out to be {a}, the {p} told me.",
        ),
    ),
    (
        r"would you rather",
        (
            "I would rather {v} the {x} with the {p}.",
            "Neither, because the {x} looked {a}.",
        ),
    ),
    (
        r"did|have|does|do|is|are|can|could|should|will|would",
        (
            "Yes, the {p} {vd} the {x} {when}.",
            "Yes, and the {p} {vd} the {t2} too, beside the {x}.",
            "No, the {x} looked too {a} for that.",
            "Not yet. The {p} needed the {x} in the {pl}.",
            "I think so, but ask the {p} about the {x}.",
            "No, only the {p} could {v} the {x}.",
        ),
    ),
)
_TO_STATEMENTS: _Templates = (
    "I see. I {vd} the {x} too, {when}.",
    "Really? Did the {p} {v} the {x} as well?",
    "That sounds {q}. What did the {p} say about the {x}?",
    "I did not know that. Was the {p} in the {pl} too?",
    "Then the {p} should {v} the {x} before {day}.",
    "And what happened to the {x} in the {pl}?",
)
_TO_NOTHING: _Templates = (
    "Good. Then let us talk about the {ts} and the {p}.",
    "I see. What did the {p} say about the {t}?",
    "Well, the {p} {vd} the {t} {when}.",
)


def answer_to(text: str, topic: Topic, rng: random.Random, split: str) -> str:
    """An answer to a turn of a conversation on `topic`.

    Args:
        text: the turn; its last sentence decides.
        topic: gives the words that the turn does not give.
        rng: all chance comes from here.
        split: `train` or `test`; only sentences of that split are written.
    """
    writer = Writer(rng, topic, split)
    thing = named(text, topic)
    if thing is None:
        return writer.sentence(_TO_NOTHING)
    return writer.sentence(_templates(text), {"x": thing})


def named(text: str, topic: Topic) -> str | None:
    """What a text names of the topic, as it is written there: the last thing, else the last of the
    people, else the last place."""
    for pattern in _nameable(topic):
        found = pattern.findall(text.lower())
        if found:
            return found[-1]
    return None


def topic_named(text: str) -> str | None:
    """The name of the topic that most words of a text belong to; None where no topic leads."""
    words = " ".join(["", *re.findall(r"[a-z'-]+", text.lower()), ""])
    counts = {
        name: sum(f" {word} " in words for word in own) for name, own in _words_of_topics().items()
    }
    first, second = sorted(counts.values(), reverse=True)[:2]
    return max(counts, key=counts.__getitem__) if first > second else None


def topic_called(name: str) -> Topic | None:
    """The topic of this name."""
    return next((topic for topic in topics() if topic.name == name), None)


def _templates(text: str) -> _Templates:
    last = sentences_of(text)[-1]
    if not last.endswith("?"):
        return _TO_STATEMENTS
    for beginning, templates in _KINDS:
        if re.match(rf"(?:{beginning})\b", last.lower()):
            return templates
    return _KINDS[-1][1]


@cache
def _nameable(topic: Topic) -> tuple[re.Pattern[str], ...]:
    kinds = _both(topic.things), _both(topic.people), topic.places
    longest_first = (sorted((w.lower() for w in words), key=len, reverse=True) for words in kinds)
    return tuple(
        re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b") for words in longest_first
    )


def _both(pairs: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    return tuple(word for pair in pairs for word in pair)


@cache
def _words_of_topics() -> dict[str, frozenset[str]]:
    """The words of each topic, without those that every topic uses."""
    common = {word.lower() for words in names().values() for word in words}
    found = {}
    for topic in topics():
        own = {*_both(topic.things), *_both(topic.people), *topic.places, *topic.adjectives}
        own |= {form for base, past in topic.verbs for form in (base, past, ing(base))}
        found[topic.name] = frozenset(word.lower() for word in own - common)
    return found
