"""The vocabulary of the synthetic conversations: topics from lexicon.txt, names from names.txt."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent
_VOWELS = "aeiou"
_UNITS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


@dataclass(frozen=True)
class Topic:
    """The words of one topic. Verbs are (base, past), things (singular, plural)."""

    name: str
    things: tuple[tuple[str, str], ...]
    people: tuple[tuple[str, str], ...]
    places: tuple[str, ...]
    verbs: tuple[tuple[str, str], ...]
    adjectives: tuple[str, ...]


@cache
def topics() -> tuple[Topic, ...]:
    """All topics, in the order of the file."""
    result = []
    for name, lines in sections("lexicon.txt"):
        lists = {key: items(words) for key, words in (line.split(":") for line in lines)}
        result.append(
            Topic(
                name=name,
                things=tuple(_pair(item, plural) for item in lists["things"]),
                people=tuple(_pair(item, plural) for item in lists["people"]),
                places=tuple(lists["places"]),
                verbs=tuple(_pair(item, past) for item in lists["verbs"]),
                adjectives=tuple(lists["adjectives"]),
            )
        )
    return tuple(result)


@cache
def names() -> dict[str, tuple[str, ...]]:
    """Words of no topic: first, last, city, day, month, adverb, quality, colour, ..."""
    return {name: tuple(items(" ".join(lines))) for name, lines in sections("names.txt")}


def plural(noun: str) -> str:
    """The regular plural of an English noun; of several words the last changes."""
    if noun.endswith(("s", "x", "ch", "sh", "z")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in _VOWELS:
        return noun[:-1] + "ies"
    return noun + ("es" if noun in ("potato", "tomato", "hero") else "s")


def past(verb: str) -> str:
    """The regular past of an English verb; of several words the first changes."""
    first, _, rest = verb.partition(" ")
    if first.endswith("e"):
        first += "d"
    elif first.endswith("y") and first[-2] not in _VOWELS:
        first = first[:-1] + "ied"
    elif _doubles(first):
        first += first[-1] + "ed"
    else:
        first += "ed"
    return f"{first} {rest}".strip()


def ing(verb: str) -> str:
    """The -ing form of an English verb."""
    first, _, rest = verb.partition(" ")
    if first.endswith("e") and not first.endswith("ee"):
        first = first[:-1]
    elif _doubles(first) or first in ("forget", "unwrap", "transfer", "program", "patrol", "debug"):
        first += first[-1]
    return f"{first}ing {rest}".strip()


def number(value: int) -> str:
    """A number from 0 to 9,999 in words, such as "three hundred and seven"."""
    if value < 20:
        return _UNITS[value]
    if value < 100:
        tens, unit = divmod(value, 10)
        return _TENS[tens] + (f"-{_UNITS[unit]}" if unit else "")
    size, name = (1000, "thousand") if value >= 1000 else (100, "hundred")
    count, rest = divmod(value, size)
    joint = " and " if rest and rest < 100 else " "
    return f"{number(count)} {name}" + (f"{joint}{number(rest)}" if rest else "")


def _doubles(verb: str) -> bool:
    """One syllable, ending in consonant, vowel, consonant: stop, stopped."""
    return (
        sum(letter in _VOWELS for letter in verb) == 1
        and len(verb) > 2
        and verb[-1] not in "aeiouwxy"
        and verb[-2] in _VOWELS
    )


def _pair(item: str, regular) -> tuple[str, str]:
    base, _, irregular = item.partition("/")
    return base, irregular or regular(base)


def items(words: str) -> list[str]:
    """What stands between commas."""
    return [item.strip() for item in words.split(",") if item.strip()]


def sections(name: str) -> list[tuple[str, list[str]]]:
    """The lines of a file of this folder under each heading, such as `= city`."""
    sections: list[tuple[str, list[str]]] = []
    for line in (_FOLDER / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("="):
            sections.append((line[1:].strip(), []))
        elif line.strip():
            sections[-1][1].append(line.strip())
    return sections
