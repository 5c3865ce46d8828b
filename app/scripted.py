"""The built-in responder, a rule-based script for use without a language model.

It is stateless: every answer is computed from the whole conversation, so that one object serves all
sessions and equal conversations get equal answers. It expects transcripts: lower case, without
punctuation, with errors. Its lines are in `app.script`.
"""

import re
from collections.abc import Iterator, Sequence

from app import script
from app.replies import ChatMessage
from app.script import TOPICS, Topic

_NOT_NAMES = frozenset(
    re.findall(
        r"\w+",
        "a an the not so very really just fine good great okay ok well happy sad tired sorry sure "
        "glad here there going doing trying looking feeling feel in on at from to and but that "
        "this what asking talking about all also back busy done afraid angry excited bored hungry "
        "i you it my your is was no yes still sick alone only quite nice better best calling",
    )
)
_NAME = re.compile(
    r"\b(?:my name is|my name's|call me|i am called|i'm called|name is)\s+([a-z][a-z'-]+)",
    re.IGNORECASE,
)
_I_AM = re.compile(
    r"^(?:hello|hi|hey)?[\s,]*(?:i am|i'm|this is)\s+([a-z][a-z'-]+)\W*$", re.IGNORECASE
)
_YES = r"^(yes|yeah|yep|sure|of course|okay|ok|right|exactly|i do|i did|i am|maybe)\b"
_NO = r"^(no|nope|not really|never|wrong|i don't|i do not)\b"
_QUESTION = r"^(what|why|how|when|where|who|do you|can you|is it|are there|will|would you)\b"
_UNCLEAR_WORDS = 3  # shorter utterances are never queried


INTRODUCTION = (
    "I am a small script, not a language model. Start Ollama or L M Studio on this machine, then "
    "start me again, and it will answer."
)


class ScriptedResponder:
    """See `app.replies.Responder`.

    Args:
        introduces: whether its first answer starts with an introduction.
    """

    name = "built-in"

    def __init__(self, introduces: bool = False) -> None:
        self._introduces = introduces

    def reply(self, history: Sequence[ChatMessage]) -> Iterator[str]:
        """Yields the answer sentence by sentence."""
        if self._introduces and not any(said.who for said in history):
            yield INTRODUCTION
        yield from re.split(r"(?<=[.?!]) (?=[A-Z])", answer_to(history))


def answer_to(history: Sequence[ChatMessage]) -> str:
    """The answer to a conversation whose last turn is the user's."""
    return _Answer(history).text()


def name_in(texts: Sequence[str]) -> str:
    """The latest name that a person gave, capitalised; empty if none."""
    for text in reversed(texts):
        for pattern in (_NAME, _I_AM):
            found = pattern.search(text)
            if found and found[1].lower() not in _NOT_NAMES:
                return found[1].capitalize()
    return ""


class _Answer:
    """The computation of one answer."""

    def __init__(self, history: Sequence[ChatMessage]) -> None:
        self._said = history[-1]
        self._heard = " ".join(self._said.text.lower().split())
        self._before = [turn.text.lower() for turn in history[:-1] if turn.who == 0]
        self._mine = [turn.text for turn in history[:-1] if turn.who == 1 and turn.text]
        self._name = _told_name(history[:-1])

    def text(self) -> str:
        if not self._heard:
            return self._fresh(script.UNHEARD)
        return f"{self._opening()} {self._body()}".strip()

    def _mood(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Openings and continuations that match the user's mood, from words and manner."""
        word = self._said.manner.word if self._said.manner is not None else ""
        if self._has(script.SAD):
            return script.SORRY, script.COMFORT
        if word == "excited":
            return script.EXCITED, script.MOVED
        if word == "low":
            return script.LOW, script.COMFORT
        return (script.GLAD, script.MOVED) if self._has(script.CHEERFUL) else ((), ())

    def _opening(self) -> str:
        """A few words on the user's mood, unless the last answer had them."""
        lines, _ = self._mood()
        return "" if not lines or self._last.startswith(lines) else self._fresh(lines)

    def _body(self) -> str:
        return self._about_names() or self._courtesy() or self._asked() or self._conversation()

    def _about_names(self) -> str:
        name = name_in([self._heard])
        if self._has(r"\bwhat(?:'s| is) my name\b|\b(?:know|remember) my name\b|\bwho am i\b"):
            known = f"Your name is {self._name}. I remember."
            return known if self._name else "You have not told me your name. What is it?"
        name = name or _bare_name(self._last, self._heard)
        if name and name != self._name:
            return f"Nice to meet you, {name}. How are you today?"
        return ""

    def _courtesy(self) -> str:
        if self._has(r"\b(good ?bye|bye|see you|have to go|good night)\b"):
            return f"Goodbye{self._called()}. It was nice talking with you."
        if self._has(r"\bhow are you\b|\bhow do you do\b|\bhow about you\b|\band you$"):
            return "I am well, thank you. And how about you?"
        if self._last.endswith(("How are you today?", "how about you?")):
            if self._has(r"\b(fine|good|well|okay|great|happy|all right)\b") and not self._has(
                r"\bnot\b"
            ):
                return script.FINE.format(name=self._called())
            if self._has(r"\b(not|bad|tired|sick|awful|terrible|sad)\b"):
                return script.NOT_WELL
        if self._has(r"\b(thank you|thanks)\b"):
            return self._fresh(script.THANKED)
        if self._has(r"\b(what did you say|say that again|repeat|pardon)\b"):
            return self._again()
        if self._has(r"^(hello|hi|hey|good morning|good evening)\b") and not self._topic():
            asking = f"What is new{self._called()}?" if self._name else "What is your name?"
            return f"Hello{' again' if self._before else ''}. {asking}"
        return ""

    def _asked(self) -> str:
        """Answers questions about the responder."""
        if self._last.endswith(("Another one?", "One more?")) and self._has(_YES):
            return self._fresh(script.JOKES)
        for pattern, lines in script.ASKED:
            if self._has(pattern):
                return self._fresh(lines)
        return ""

    def _conversation(self) -> str:
        """Continues the current topic or starts another."""
        if "I understood:" in self._last or "Did you say:" in self._last:
            if self._has(_NO):
                return self._fresh(script.MISHEARD)
            if self._has(_YES):
                return self._fresh(script.GO_ON)
        _, moved = self._mood()
        left = [line for line in moved if not _is_said(line, self._mine)]
        if left:
            return left[0]
        topic, current = self._topic(), self._current()
        if topic is not None and topic is not current:
            seen = any(_is_said(line, self._mine) for line in topic.lines)
            return topic.again if seen and topic.again not in self._mine else self._next(topic)
        if self._has(_NO) and len(self._heard.split()) <= _UNCLEAR_WORDS:
            return f"{self._fresh(script.NO)} {self._other()}"
        yes = self._fresh(script.YES) + " " if self._has(_YES) else ""
        if current is not None and not self._has(_QUESTION):
            return yes + self._next(current)
        if self._has(_QUESTION):
            return self._fresh(script.UNKNOWN)
        if yes:
            asked_for_more = self._last.endswith(("talk about?", "something else?", "hear about."))
            return yes + (self._other() if asked_for_more else self._fresh(script.GO_ON))
        return self._unclear() or self._fresh(script.GO_ON)

    def _topic(self) -> Topic | None:
        """The last topic in the user's words."""
        found = [
            (match.start(), topic)
            for topic in TOPICS
            for match in re.finditer(topic.words, self._heard)
        ]
        return max(found, key=lambda one: one[0])[1] if found else None

    def _current(self) -> Topic | None:
        """The topic of the last answer."""
        for topic in TOPICS:
            if any(_is_said(line, [self._last]) for line in (*topic.lines, topic.again)):
                return topic
            if self._last.endswith(tuple(line.format(topic=topic.name) for line in script.ELSE)):
                return topic
        return None

    def _next(self, topic: Topic) -> str:
        """The next line of a topic; offers another topic when all are used."""
        left = [line for line in topic.lines if not _is_said(line, self._mine)]
        return left[0] if left else self._other()

    def _other(self) -> str:
        """Offers a topic that has not come up."""
        heard = " ".join([*self._before, self._heard])
        said = " ".join(self._mine)
        left = [t for t in TOPICS if not re.search(t.words, heard) and f" {t.name}" not in said]
        topic = left[0] if left else TOPICS[len(self._mine) % len(TOPICS)]
        offers = sum(said.count(line.partition("{")[0]) for line in script.ELSE)
        return script.ELSE[offers % len(script.ELSE)].format(topic=topic.name)

    def _unclear(self) -> str:
        """Asks the user to confirm words without a topic, at first and now and then."""
        if self._said.manner is None or len(self._heard.split()) < _UNCLEAR_WORDS:
            return ""  # typed words need no confirmation
        asked = sum("I understood:" in line or "Did you say:" in line for line in self._mine)
        adrift = not self._mine or any(_is_said(line, [self._last]) for line in script.GO_ON)
        if asked >= len(script.UNCLEAR) or not adrift:
            return ""
        return script.UNCLEAR[asked].format(said=self._heard)

    def _again(self) -> str:
        if not self._mine:
            return "I have not said anything yet. Shall we begin?"
        return f"I said: {self._last.removeprefix('I said: ')}"

    @property
    def _last(self) -> str:
        return self._mine[-1] if self._mine else ""

    def _called(self) -> str:
        return f", {self._name}" if self._name else ""

    def _has(self, pattern: str) -> bool:
        return re.search(pattern, self._heard) is not None

    def _fresh(self, lines: Sequence[str]) -> str:
        """The first unused line, else the least recently used."""
        left = [line for line in lines if not _is_said(line, self._mine)]
        if left:
            return left[0]
        uses = [max(i for i, mine in enumerate(self._mine) if _is_said(x, [mine])) for x in lines]
        return lines[uses.index(min(uses))]


def _told_name(history: Sequence[ChatMessage]) -> str:
    """The latest name that the user gave."""
    asked, name = "", ""
    for turn in history:
        if turn.who == 1:
            asked = turn.text
        else:
            name = name_in([turn.text]) or _bare_name(asked, turn.text.lower()) or name
    return name


def _bare_name(asked: str, heard: str) -> str:
    """The name in an answer that consists of nothing else, if the name was asked for."""
    only = re.fullmatch(r"(?:it's |it is )?([a-z'-]{3,})[.!]?", heard.strip())
    if not asked.endswith(("What is your name?", "What is it?")) or only is None:
        return ""
    is_name = only[1] not in _NOT_NAMES and not re.search(_YES, heard) and not re.search(_NO, heard)
    return only[1].capitalize() if is_name else ""


def _is_said(line: str, mine: Sequence[str]) -> bool:
    """Whether a line was used in the answers, some of which may have been interrupted."""
    for answer in mine:
        if line in answer or (len(answer) > 12 and answer in line):
            return True
        # an interrupted answer ends with the line's beginning
        start = line[:12]
        if start in answer and line.startswith(answer[answer.index(start) :]):
            return True
    return False
