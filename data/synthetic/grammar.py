"""Text generation: sentences from patterns, and dialogues of 2 to 8 turns.

A split only uses sentences of that split (`data.synthetic.splits`). Numbers are written in words,
so that every synthesizer reads them alike. Texts are independent of manner, so they carry no cue to
it."""

import random
import re
from dataclasses import dataclass

from data.synthetic.english import english_words
from data.synthetic.lexicon import Topic, topics
from data.synthetic.mandarin import MandarinTopic, mandarin_topics, mandarin_words
from data.synthetic.patterns import acts, patterns
from data.synthetic.splits import normalised, split_of

AnyTopic = Topic | MandarinTopic

_TRIES_ON_TOPIC, _MOST_TRIES = 400, 20_000
_VOWEL_SOUND = re.compile(
    r"\b([Aa]) (?=[aeiou]|hour|honest|heirloom|x-ray)"
    r"(?!uni(?!mp|nt)|use|usu|eu|one|ufo|uter)",
    re.IGNORECASE,
)
# Transitions between acts with weights: acts, or kinds of acts ("ask": any question).
_AFTER: dict[str, tuple[tuple[str, float], ...]] = {
    "open": (("open", 4), ("small question", 3), ("news", 3), ("ask", 3), ("request", 1)),
    "tell": (("react", 5), ("tell", 3), ("ask", 4), ("agree", 1), ("disagree", 1), ("feel", 1)),
    "news": (("react", 4), ("small question", 3), ("news", 3), ("feel", 2), ("suggest", 1)),
    "small talk": (("agree", 2), ("small talk", 3), ("news", 3), ("small question", 2)),
    "react": (("tell", 5), ("ask", 2), ("news", 2), ("agree", 1), ("feel", 1)),
    "feel": (("feel", 4), ("react", 3), ("small question", 2), ("suggest", 1), ("offer", 1)),
    "request": (("comply", 8), ("repair", 1), ("ask", 1)),
    "offer": (("thanks", 4), ("answer yes", 2), ("answer no", 3), ("agree", 1)),
    "suggest": (("agree", 4), ("disagree", 4), ("suggest", 2), ("ask", 1)),
    "agree": (("tell", 2), ("suggest", 2), ("detail", 2), ("ask", 2), ("close", 1)),
    "disagree": (("tell", 3), ("suggest", 2), ("ask", 2), ("agree", 1)),
    "comply": (("thanks", 5), ("ask", 2), ("tell", 2), ("close", 1)),
    "repair": (("detail", 3), ("tell", 4), ("repair", 1)),
    "detail": (("repair", 2), ("thanks", 2), ("ask", 2), ("detail", 2), ("agree", 1)),
    "thanks": (("welcome", 6), ("close", 2), ("tell", 1), ("small question", 1)),
    "welcome": (("close", 3), ("tell", 3), ("ask", 3), ("news", 1)),
    "sorry": (("forgive", 8), ("ask", 1), ("react", 1)),
    "forgive": (("tell", 3), ("thanks", 2), ("ask", 2), ("news", 1)),
    "close": (("close", 6), ("thanks", 2), ("detail", 1)),
    "think aloud": (("ask", 2), ("react", 2), ("tell", 2), ("repair", 1)),
    "answer": (("tell", 4), ("react", 4), ("ask", 4), ("agree", 1), ("feel", 1)),
}  # fmt: skip
_FIRST = (
    ("open", 3), ("tell", 3), ("news", 3), ("ask", 3), ("feel", 2), ("small talk", 1),
    ("request", 2), ("suggest", 1), ("sorry", 1), ("offer", 1), ("detail", 1),
)  # fmt: skip
# Question type -> the acts that answer it.
_ANSWERS = {
    "yesno": ("answer yes", "answer no", "answer maybe"),
    "tag": ("answer yes", "answer no", "answer maybe"),
    "choice": ("answer which", "answer maybe"),
    "indirect": ("answer maybe", "answer where", "answer no"),
    "who": ("answer who", "answer maybe"),
    "where": ("answer where", "answer maybe"),
    "when": ("answer when", "answer maybe"),
    "why": ("answer why", "answer maybe"),
    "how many": ("answer number", "answer maybe"),
    "how much": ("answer number", "answer maybe"),
    "which": ("answer which", "answer maybe"),
    "what": ("answer what", "answer maybe"),
    "how": ("answer how", "answer maybe"),
    "tell me": ("tell", "news"),
    "small question": ("news", "answer yes", "answer no", "answer how", "answer what"),
}
_STATEMENTS = ("tell", "tell", "tell", "news")


@dataclass(frozen=True)
class Line:
    """One turn's text."""

    speaker: int
    text: str


def sentences_of(text: str) -> list[str]:
    """The sentences of a turn's text."""
    return [part for part in re.split(r"(?<=[.?!])\s+|(?<=[。？！])(?=.)", text) if part]


def topics_of_language(language: str) -> tuple[AnyTopic, ...]:
    """The topics of a language."""
    return mandarin_topics() if language == "zh" else topics()


class Writer:
    """Generates the sentences of one dialogue on one topic."""

    def __init__(self, rng: random.Random, topic: AnyTopic, split: str) -> None:
        self._rng = rng
        self._topic = topic
        self._split = split
        self.language = "zh" if isinstance(topic, MandarinTopic) else "en"

    def statement(self) -> str:
        """A plain declarative sentence on the topic, most of 8 to 16 words."""
        return self.act("tell")

    def question(self) -> str:
        """A question on the topic."""
        return self.act(self._rng.choice(_topical_questions(self.language)))

    def answer(self) -> str:
        return self.act(self._rng.choice(acts(self.language, "answer")))

    def backchannel(self) -> str:
        return self.act("backchannel")

    def act(self, act: str) -> str:
        """One or two sentences for an act, which is a heading of the pattern files."""
        return self.sentence(patterns(self.language)[act])

    def sentence(self, templates: tuple[str, ...], given: dict[str, str] | None = None) -> str:
        """A text from one of `templates`, with slots filled from `given` or else at random."""
        topic = self._topic
        for number in range(_MOST_TRIES):
            if number >= _TRIES_ON_TOPIC:  # a short pattern has few sentences of a small split
                topic = self._rng.choice(topics_of_language(self.language))
            text = self._fill(self._rng.choice(templates), topic, given or {})
            if all(split_of(part) in (None, self._split) for part in sentences_of(text)):
                return text
        raise AssertionError(f"no sentence of the split {self._split} in {templates[:3]} ...")

    def _fill(self, template: str, topic: AnyTopic, given: dict[str, str]) -> str:
        if isinstance(topic, MandarinTopic):
            return template.format(**{**mandarin_words(self._rng, topic), **given})
        words = english_words(self._rng, topic)
        text = _VOWEL_SOUND.sub(r"\1n ", template.format(**{**words, **given}))
        return " ".join(part[0].upper() + part[1:] for part in sentences_of(text))


def write_dialogue(rng: random.Random, split: str, language: str = "en") -> tuple[str, list[Line]]:
    """Generates the text of one dialogue.

    Args:
        rng: source of randomness.
        split: one of SPLITS.
        language: `en` or `zh`.

    Returns:
        The topic's name and 2 to 8 lines, alternating speakers 0 (user) and 1 (agent).
    """
    topic = rng.choice(topics_of_language(language))
    writer = Writer(rng, topic, split)
    lines: list[Line] = []
    last = ""
    for index in range(rng.randint(2, 8)):
        text, last = _turn(rng, writer, last)
        lines.append(Line(index % 2, text))
    return topic.name, lines


def held_out_sentences(num: int, seed: int) -> list[str]:
    """Plain declarative sentences of 8 to 16 words that occur in no training corpus.

    They cycle through the topics, are distinct, and depend only on `num` and `seed`.
    """
    rng = random.Random(f"held out {seed}")
    writers = [Writer(rng, topic, "test") for topic in topics()]
    found: dict[str, None] = {}
    while len(found) < num:
        sentence = writers[len(found) % len(writers)].statement()
        plain = sentence.endswith(".") and len(sentences_of(sentence)) == 1
        if plain and 8 <= len(normalised(sentence).split()) <= 16:
            found[sentence] = None
    return list(found)


def _turn(rng: random.Random, writer: Writer, last: str) -> tuple[str, str]:
    """One turn's text, and the act that the next turn responds to."""
    act = _next_act(rng, writer.language, last)
    parts = [writer.act(act)]
    if last and rng.random() < 0.22:
        parts.insert(0, writer.backchannel())
    kind = act.split()[0]
    long_enough = kind in ("close", "comply", "repair", "detail", "request", "welcome", "thanks")
    if not long_enough and rng.random() < 0.62:
        parts.append(writer.act(rng.choice(_STATEMENTS)))
        act = "tell"
    if not _asks(act) and not long_enough and rng.random() < 0.2:
        act = _chosen(rng, writer.language, "ask")
        parts.append(writer.act(act))
    if rng.random() < 0.06:
        parts.insert(0, writer.act("think aloud"))
    joint = "" if writer.language == "zh" else " "
    return joint.join(parts), act


def _next_act(rng: random.Random, language: str, last: str) -> str:
    if not last:
        return _drawn(rng, language, _FIRST)
    if last and rng.random() < 0.05:
        return "backchannel"
    if _asks(last):
        kind = last if last == "small question" else last.partition(" ")[2]
        return rng.choice(_ANSWERS[kind])
    options = _AFTER.get(last) or _AFTER.get(last.split()[0]) or _AFTER["tell"]
    return _drawn(rng, language, options)


def _drawn(rng: random.Random, language: str, options: tuple[tuple[str, float], ...]) -> str:
    kind = rng.choices([name for name, _ in options], [weight for _, weight in options])[0]
    return _chosen(rng, language, kind)


def _chosen(rng: random.Random, language: str, kind: str) -> str:
    """The act itself, or for `ask` one of all questions."""
    return rng.choice(acts(language, "ask")) if kind == "ask" else kind


def _asks(act: str) -> bool:
    return act.startswith("ask") or act == "small question"


def _topical_questions(language: str) -> tuple[str, ...]:
    return tuple(act for act in acts(language, "ask") if act != "ask tell me")
