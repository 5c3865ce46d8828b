"""Maps free-form instructions ("cheerful, a little slower") to a delivery."""

import re
from dataclasses import dataclass, replace

from models.delivery.delivery import (
    LIMITS,
    MANNERS,
    NEUTRAL,
    PLAIN,
    Delivery,
    manner_named,
    scaled,
)

_WORD = re.compile(r"[a-z]+(?:[-'’][a-z]+)*", re.I)
_CLAUSE = re.compile(r"[.,;:!?\n()]|\b(?:and|but|then|with|yet)\b", re.I)
_STRENGTHS = {
    **dict.fromkeys(("little", "slightly", "bit", "somewhat", "mildly", "touch", "gently"), 0.5),
    **dict.fromkeys(("subtly", "tad", "fairly"), 0.5),
    **dict.fromkeys(("very", "much", "extremely", "really", "super", "highly", "so"), 1.5),
    **dict.fromkeys(("incredibly", "lot", "way", "intensely", "too", "extra"), 1.5),
    **{"less": -0.5},
}
_DENIALS = frozenset(("not", "don't", "dont", "don’t", "never", "no", "without", "avoid", "isn't"))
_FACTOR = re.compile(
    r"\b(speed|rate|pace|tempo|pitch|volume|level|energy)\b[\s:=]*(?:of|to|at|by)?\s*"
    r"([+-]?)(\d{1,3}(?:\.\d{1,3})?)\s*(%|x|times)?",
    re.I,
)
_FIELDS = {
    **dict.fromkeys(("speed", "rate", "pace", "tempo"), "rate"),
    **{"pitch": "pitch", "volume": "energy", "level": "energy", "energy": "energy"},
}
_MAX_MANNERS = 6


@dataclass(frozen=True)
class Understood:
    """Result of parsing instructions.

    Attributes:
        delivery: the delivery to use.
        manners: the manners found, with their strength unless it is 1.
    """

    delivery: Delivery = NEUTRAL
    manners: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """One ASCII line for an HTTP header: manners, and factors other than 1."""
        parts = [f"manner={'+'.join(self.manners)}"] if self.manners else []
        for name in LIMITS:
            value = getattr(self.delivery, name)
            if abs(value - 1) > 0.005:
                parts.append(f"{name}={value:.2f}")
        return "; ".join(parts) or "nothing"


def understand(instructions: str) -> Understood:
    """Parses instructions: manners, their strength, and factors ("speed 0.9").

    Unknown parts ("like a pirate") and negated ones ("not too fast") are ignored. Factors are
    clamped to the supported range.
    """
    delivery, manners, seen = NEUTRAL, [], set()
    for clause in _CLAUSE.split(_FACTOR.sub(" ", instructions)):
        for manner, strength in _manners(clause):
            if manner in seen or len(manners) == _MAX_MANNERS:
                continue
            seen.add(manner)
            manners.append(manner if strength == 1 else f"{manner}*{strength:g}")
            delivery = delivery @ scaled(MANNERS[manner], strength)
    for found in _FACTOR.finditer(instructions):
        delivery = delivery @ _factor(*found.groups(default=""))
    return Understood(_held(delivery), tuple(manners))


def _manners(clause: str) -> list[tuple[str, float]]:
    """Manners of a clause with strengths; a modifier applies to those after it."""
    found, strength, denied = [], 1.0, False
    words = [word.lower() for word in _WORD.findall(clause)]
    for number, word in enumerate(words):
        manner = manner_named(word)
        if word in _DENIALS:
            denied = True
        elif word in _STRENGTHS and not (manner and number + 1 == len(words)):
            strength = _STRENGTHS[word]
        elif manner and not denied and _means_a_manner(word, words[number + 1 :]):
            found.append((manner, strength))
    return found


def _means_a_manner(word: str, following: list[str]) -> bool:
    """Whether "low", "high" or "deep" describes a voice rather than, say, a standard."""
    if word not in ("low", "high") or not following:
        return True
    return following[0] in ("pitch", "pitched", "voice", "tone", "register", "key", "and")


def _factor(name: str, sign: str, number: str, unit: str) -> Delivery:
    value = float(number)
    share = value / 100 if unit == "%" else value
    factor = {"": share, "+": 1 + share, "-": 1 - share}[sign]
    return replace(NEUTRAL, **{_FIELDS[name.lower()]: factor}) if factor > 0 else NEUTRAL


def _held(delivery: Delivery) -> Delivery:
    pitch, rate, energy = (
        min(high, max(low, getattr(delivery, name))) for name, (low, high) in LIMITS.items()
    )
    return Delivery(pitch, rate, energy, delivery.plan if any(delivery.plan) else PLAIN)
