"""Rule-based answers to a turn, and a topic classifier.

The turns of `write_dialogue` share only a topic. Here a turn is actually answered: its question
type (who, where, how many, ...) selects the answer, which refers to the same entity. The topic of a
text is determined from its words alone, so that any answer can be scored.
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
"""Turns about the conversation itself, with answers that state its topics."""

_Templates = tuple[str, ...]
_LEAD = re.compile(r"^(?:(?:so|and|but|okay|well|um|oh)\b,?\s+)+", re.I)
_EMBEDDED = re.compile(
    r"\b(?:know|tell me|telling me|remember|idea)\s+(?=(?:who|where|when|why|how|what)\b)", re.I
)
_WANTS_TO_HEAR = re.compile(r"(?:tell me|describe|start from|i'd love to hear|go on)\b", re.I)
# {x} is the entity as the turn names it, singular or plural: no verb may agree with it.
_KINDS: tuple[tuple[str, _Templates], ...] = (
    (
        r"who|whose",
        (
            "I think the {p} has the {x}.",
            "It was the {p} who took the {x}.",
            "Ask {n}, who saw the {x} in the {pl}.",
            "Probably the {p}, who needed the {x} for something.",
            "The {p} from {city} brought the {x} {when}.",
        ),
    ),
    (
        r"where",
        (
            "I left the {x} in the {pl}.",
            "You'll find the {x} in the {pl}.",
            "I saw the {x} in the {pl} {when}.",
            "The {p} put the {x} next to the {t2}.",
            "The {x}? In the {pl}, I think.",
        ),
    ),
    (
        r"when|what time",
        (
            "Maybe on {day}, if the {p} doesn't need the {x}.",
            "At {clock}, when the {p} brings the {x}.",
            "Not before {month}, but ask the {p} about the {x}.",
            "The {p} said {clock}, and to bring the {x}.",
        ),
    ),
    (
        r"why|how come",
        (
            "Because the {p} needed the {x}.",
            "Because nobody in the {pl} wanted the {x}.",
            "It was the {p} who wanted it, because of the {x}.",
            "We had no room for the {x} in the {pl}.",
        ),
    ),
    (
        r"how many",
        (
            "I counted {num}, and then the {p} took the {x}.",
            "About {num}, if you count the {x} in the {pl}.",
            "The {p} told me there were {num}, and the {x} looked {a}.",
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
        r"how",
        (
            "The {p} showed me how to use the {x}.",
            "I asked the {p} to help with the {x}.",
            "It took {dur} to get the {x} into the {pl}.",
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
        r"what",
        (
            "The {p} took the {x} {when}.",
            "Nobody wanted the {x}, so it all stayed in the {pl}.",
            "The {x} turned out to be {a}, the {p} told me.",
        ),
    ),
    (
        r"would you rather",
        (
            "I'd rather have the {x}, like the {p}.",
            "Neither, because the {x} looked {a}.",
        ),
    ),
    (
        r"did|have|does|do|is|are|can|could|should|will|would|.*",
        (
            "Yes, the {p} brought the {x} {when}.",
            "Yes, and the {t2} too, beside the {x}.",
            "No, the {x} looked too {a} for that.",
            "Not yet. The {p} needed the {x} in the {pl}.",
            "I think so, but ask the {p} about the {x}.",
            "No, only the {p} has the {x}.",
        ),
    ),
)
_TO_STATEMENTS: _Templates = (
    "I see. I saw the {x}, too, {when}.",
    "Really? Did the {p} see the {x} as well?",
    "And what did the {p} say about the {x}?",
    "I didn't know that. Was the {p} in the {pl}, too?",
    "Then you should show the {p} the {x} before {day}.",
    "And what happened to the {x} in the {pl}?",
)
_TO_NOTHING: _Templates = (
    "Good. Then let's talk about the {ts} and the {p}.",
    "I see. What did the {p} say about the {t}?",
    "Well, the {p} brought the {t} {when}.",
)


def answer_to(text: str, topic: Topic, rng: random.Random, split: str) -> str:
    """An answer to a turn of a conversation on `topic`.

    Args:
        text: the turn; its last sentence is answered.
        topic: supplies further words.
        rng: source of randomness.
        split: one of SPLITS; only sentences of that split are generated.
    """
    writer = Writer(rng, topic, split)
    thing = named(text, topic)
    if thing is None:
        return writer.sentence(_TO_NOTHING)
    return writer.sentence(_templates(text), {"x": thing})


def named(text: str, topic: Topic) -> str | None:
    """The entity of the topic that a text mentions, verbatim: the last thing, else the last person,
    else the last place."""
    for pattern in _nameable(topic):
        found = pattern.findall(text.lower())
        if found:
            return found[-1]
    return None


def topic_named(text: str) -> str | None:
    """The topic with the most words in a text; None without a clear winner."""
    words = " ".join(["", *re.findall(r"[a-z'-]+", text.lower()), ""])
    counts = {
        name: sum(f" {word} " in words for word in own) for name, own in _words_of_topics().items()
    }
    first, second = sorted(counts.values(), reverse=True)[:2]
    return max(counts, key=counts.__getitem__) if first > second else None


def topic_called(name: str) -> Topic | None:
    """The topic with this name."""
    return next((topic for topic in topics() if topic.name == name), None)


def _templates(text: str) -> _Templates:
    last = _LEAD.sub("", sentences_of(text)[-1]).lower()
    if _WANTS_TO_HEAR.match(last):
        last = "what happened?"
    if not last.endswith("?"):
        return _TO_STATEMENTS
    embedded = _EMBEDDED.search(last)
    asked = last[embedded.end() :] if embedded else last
    return next(kinds for beginning, kinds in _KINDS if re.match(rf"(?:{beginning})\b", asked))


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
    """The words of each topic, without those common to all topics."""
    common = {word.lower() for words in names().values() for word in words}
    found = {}
    for topic in topics():
        own = {*_both(topic.things), *_both(topic.people), *topic.places, *topic.adjectives}
        own |= {form for base, past in topic.verbs for form in (base, past, ing(base))}
        found[topic.name] = frozenset(word.lower() for word in own - common)
    return found
