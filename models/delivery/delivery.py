"""Delivery of a stretch of speech as numbers, and the named manners."""

from dataclasses import dataclass

from data.errors import InputError

Plan = tuple[float, float, float, float]
PLAIN: Plan = (0.0, 0.0, 0.0, 0.0)

LIMITS = {"pitch": (0.4, 2.5), "rate": (0.4, 2.5), "energy": (0.05, 8.0)}


@dataclass(frozen=True)
class Delivery:
    """Changes relative to the prosody that the dialogue suggests.

    Attributes:
        pitch, rate, energy: factors on the sound; 1 is neutral.
        plan: offsets to the plan bins that the predictor samples for a sentence: mean pitch, pitch
            range, level, rate (`models.predictors.plan`).
    """

    pitch: float = 1.0
    rate: float = 1.0
    energy: float = 1.0
    plan: Plan = PLAIN

    def __matmul__(self, inner: "Delivery") -> "Delivery":
        """Nests another delivery in this one: factors multiply, plans add."""
        return Delivery(
            self.pitch * inner.pitch,
            self.rate * inner.rate,
            self.energy * inner.energy,
            _summed(self.plan, inner.plan),
        )

    def checked(self) -> "Delivery":
        """Validates the delivery and returns it.

        Raises:
            InputError: a factor is out of range.
        """
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"{name} is {value:g}; it must be from {low:g} to {high:g}")
        return self


NEUTRAL = Delivery()
SLOW, FAST = 0.8, 1.25

MANNERS = {
    "excited": Delivery(1.06, 1.05, 1.15, (2.0, 3.0, 1.0, 1.0)),
    "cheerful": Delivery(1.05, 1.03, 1.05, (1.5, 2.0, 0.5, 0.5)),
    "sad": Delivery(0.95, 0.92, 0.8, (-1.5, -2.0, -1.0, -1.5)),
    "angry": Delivery(1.02, 1.05, 1.3, (0.5, 2.0, 2.0, 1.0)),
    "calm": Delivery(0.97, 0.94, 0.9, (-0.5, -1.5, -0.5, -1.0)),
    "serious": Delivery(0.96, 0.97, 1.0, (-0.5, -1.0, 0.0, -0.5)),
    "monotone": Delivery(plan=(0.0, -4.0, 0.0, 0.0)),
    "expressive": Delivery(plan=(0.0, 3.0, 0.0, 0.0)),
    "soft": Delivery(0.98, 0.97, 0.5, (0.0, -0.5, -1.5, 0.0)),
    "loud": Delivery(1.02, 1.0, 1.7, (0.0, 0.5, 1.5, 0.0)),
    "slow": Delivery(rate=SLOW),
    "fast": Delivery(rate=FAST),
    "high": Delivery(pitch=1.15, plan=(1.0, 0.0, 0.0, 0.0)),
    "low": Delivery(pitch=0.87, plan=(-1.0, 0.0, 0.0, 0.0)),
    "neutral": NEUTRAL,
}
"""Manners by name. The signs are those of the manners in the training conversations
(`data/synthetic/manner.py`): excited is higher, wider, faster and louder, sad the reverse."""

SYNONYMS = {
    **dict.fromkeys(("happy", "joyful", "merry", "upbeat", "bright", "friendly"), "cheerful"),
    **dict.fromkeys(("warm", "playful", "optimistic", "glad", "jolly", "delighted"), "cheerful"),
    **dict.fromkeys(("enthusiastic", "energetic", "thrilled", "ecstatic", "lively"), "excited"),
    **dict.fromkeys(("unhappy", "gloomy", "mournful", "depressed", "melancholic"), "sad"),
    **dict.fromkeys(("melancholy", "sorrowful", "sombre", "somber", "downcast"), "sad"),
    **dict.fromkeys(("furious", "annoyed", "irritated", "aggressive", "mad"), "angry"),
    **dict.fromkeys(("relaxed", "soothing", "gentle", "gently", "peaceful", "serene"), "calm"),
    **dict.fromkeys(("sleepy", "tired", "bored", "meditative", "patient"), "calm"),
    **dict.fromkeys(("formal", "professional", "stern", "grave", "solemn", "earnest"), "serious"),
    **dict.fromkeys(("flat", "robotic", "deadpan"), "monotone"),
    **dict.fromkeys(("dramatic", "theatrical", "animated", "vivid"), "expressive"),
    **dict.fromkeys(("quiet", "quieter", "softer", "softly", "quietly", "whisper"), "soft"),
    **dict.fromkeys(("whispering", "whispered", "hushed"), "soft"),
    **dict.fromkeys(("louder", "loudly", "shout", "shouting", "shouted", "yell"), "loud"),
    **dict.fromkeys(("slower", "slowly"), "slow"),
    **dict.fromkeys(("faster", "quick", "quicker", "quickly", "rapid", "rapidly"), "fast"),
    **dict.fromkeys(("higher", "high-pitched"), "high"),
    **dict.fromkeys(("lower", "deep", "deeper", "low-pitched"), "low"),
    **dict.fromkeys(("normal", "plain"), "neutral"),
    **dict.fromkeys(("excitedly",), "excited"),
    **dict.fromkeys(("cheerfully", "happily", "warmly", "cheery"), "cheerful"),
    **dict.fromkeys(("sadly",), "sad"),
    **dict.fromkeys(("angrily",), "angry"),
    **dict.fromkeys(("calmly",), "calm"),
    **dict.fromkeys(("seriously", "formally"), "serious"),
}


def manner_named(word: str) -> str:
    """The manner that a word stands for, or ""."""
    word = word.lower()
    return word if word in MANNERS else SYNONYMS.get(word, "")


def scaled(delivery: Delivery, strength: float) -> Delivery:
    """Scales a delivery: 0 is neutral, 1 unchanged."""
    pitch, range_, level, rate = delivery.plan
    return Delivery(
        delivery.pitch**strength,
        delivery.rate**strength,
        delivery.energy**strength,
        (strength * pitch, strength * range_, strength * level, strength * rate),
    )


def _summed(one: Plan, other: Plan) -> Plan:
    pitch, range_, level, rate = (a + b for a, b in zip(one, other, strict=True))
    return pitch, range_, level, rate
