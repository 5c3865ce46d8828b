"""The built-in responder: rules, a little memory, and no pretence of being more.

It reads the whole conversation anew for every answer and keeps no state, so that one object serves
all sessions, and the same conversation gets the same answer. It expects what a recogniser gives:
lower case, no punctuation, mistakes.
"""

import re
from collections.abc import Iterator, Sequence

from app.replies import Said

_NOT_NAMES = frozenset(
    re.findall(
        r"\w+",
        "a an the not so very really just fine good great okay ok well happy sad tired sorry sure "
        "glad here there going doing trying looking feeling feel in on at from to and but that "
        "this what asking talking about all also back busy done afraid angry excited bored hungry "
        "i you it",
    )
)
_NAME = re.compile(
    r"\b(?:my name is|my name's|call me|i am called|i'm called|name is)\s+([a-z][a-z'-]+)",
    re.IGNORECASE,
)
_I_AM = re.compile(
    r"^(?:hello|hi|hey)?[\s,]*(?:i am|i'm|this is)\s+([a-z][a-z'-]+)\W*$", re.IGNORECASE
)

# Each topic: what brings it up, answers that ask back, and what is said when it comes up again.
_TOPICS: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    (
        "work",
        r"\b(work|job|office|boss|meeting|colleague|project|deadline)\w*\b",
        (
            "Work takes a big part of the day. What do you like best about yours?",
            "I see. And when the work is done, what do you look forward to?",
        ),
        "We talked about work before. Has anything changed since?",
    ),
    (
        "weather",
        r"\b(weather|rain\w*|snow\w*|sun|sunny|cold|warm|hot|wind\w*|storm\w*|cloud\w*)\b",
        (
            "I have no window, so tell me: what is the sky like where you are?",
            "That sounds like weather to talk about. Do you stay inside or go out in it?",
        ),
        "The weather again! It is a safe subject. What would be your perfect day?",
    ),
    (
        "food",
        r"\b(food|eat\w*|ate|dinner|lunch|breakfast|cook\w*|hungry|coffee|tea|bread|soup|pizza)\b",
        (
            "I cannot taste anything, but I like to hear about it. What do you cook best?",
            "Now you would make me hungry, if I could be. Who do you like to eat with?",
        ),
        "You like to talk about food. What was the best meal you ever had?",
    ),
    (
        "music",
        r"\b(music|song\w*|sing\w*|guitar|piano|band|concert|listen to)\b",
        (
            "Music is mostly pitch and timing, and so is my voice. What do you listen to?",
            "Nice. Do you play or sing yourself?",
        ),
        "Music once more. Which song would you play me first?",
    ),
    (
        "family",
        r"\b(family|mother|father|mom|dad|sister|brother|son|daughter|wife|husband|child\w*|kids)\b",
        (
            "Thank you for telling me about your family. Do you see each other often?",
            "Families have many stories. Which one do you tell most often?",
        ),
        "Your family again. They must be close to you. Who makes you laugh most?",
    ),
    (
        "travel",
        r"\b(travel\w*|trip|holiday\w*|vacation|journey|train|plane|fly\w*|beach|city|mountain\w*)\b",
        (
            "I have never been anywhere. What was the finest place you saw?",
            "That sounds like a good way to go. Would you go there again?",
        ),
        "More about travelling! Where would you go tomorrow, if you could?",
    ),
    (
        "animals",
        r"\b(dog\w*|cat\w*|animal\w*|bird\w*|horse\w*|pet\w*)\b",
        (
            "Animals say a lot without words. What is yours like?",
            "I would like to hear one someday. What do you like about them?",
        ),
        "Animals again. If you could talk with one, what would you ask it?",
    ),
    (
        "sleep",
        r"\b(sleep\w*|tired|dream\w*|awake|bed|night)\b",
        (
            "Rest matters. Did you sleep well last night?",
            "I never sleep, so I am curious. What do you dream about?",
        ),
        "You spoke of sleep before. I hope tonight is a quiet one. What helps you rest?",
    ),
    (
        "sport",
        r"\b(sport\w*|run|running|football|soccer|tennis|swim\w*|game|match|play\w*|bike|walk\w*)\b",
        (
            "Moving does people good, I am told. How often do you do it?",
            "Did you win, or was it just for the fun of it?",
        ),
        "Back to sport. What would you like to learn next?",
    ),
)
_OPEN = (
    "Tell me more about that. What happened next?",
    "I follow only simple rules, so help me: what matters most to you in this?",
    "I see. How did that make you feel?",
    "Interesting. What would you like to talk about: work, food, music, or the weather?",
)
_ABOUT_ME = (
    "I am Repartee, a speech system. My words come from a small script, but my voice follows how "
    "you talk. What would you like to hear?"
)


class ScriptedResponder:
    """See `app.replies.Responder`."""

    name = "built-in"

    def reply(self, history: Sequence[Said]) -> Iterator[str]:
        """Yields the answer sentence by sentence."""
        yield from re.split(r"(?<=[.?!]) (?=[A-Z])", answer_to(history))


def answer_to(history: Sequence[Said]) -> str:
    """The answer to a conversation whose last turn is the user's."""
    said = history[-1]
    text = " ".join(said.text.lower().split())
    before = [turn.text.lower() for turn in history[:-1] if turn.who == 0]
    if not text:
        return "Sorry, I did not catch that. Could you say it again?"
    opening = _opening(said, text)
    return f"{opening} {_body(text, before, history)}".strip()


def name_in(texts: Sequence[str]) -> str:
    """The name that a person gave last, with a capital; empty if none."""
    for text in reversed(texts):
        for pattern in (_NAME, _I_AM):
            found = pattern.search(text)
            if found and found[1].lower() not in _NOT_NAMES:
                return found[1].capitalize()
    return ""


def _opening(said: Said, text: str) -> str:
    """A few words on the manner, where it stands out from the turns before."""
    word = said.manner.word if said.manner is not None else ""
    if word == "excited":
        return "Oh, you sound excited!"
    if word == "low":
        return "You sound a little low."
    if re.search(r"\b(great|wonderful|amazing|fantastic|i won|so happy)\b", text):
        return "That is good to hear!"
    if re.search(r"\b(sad|terrible|awful|died|lost my|unhappy|lonely|i am sick|hurt\w*)\b", text):
        return "I am sorry to hear that."
    return ""


def _body(text: str, before: list[str], history: Sequence[Said]) -> str:
    name, known = name_in([text]), name_in(before)
    if re.search(r"\bwhat(?:'s| is) my name\b|\b(?:know|remember) my name\b", text):
        return f"Your name is {known}. I remember." if known else "You have not told me your name."
    if name and name != known:
        return f"Nice to meet you, {name}. How are you today?"
    if re.search(r"\b(good ?bye|bye|see you|have to go|good night)\b", text):
        return f"Goodbye{', ' + known if known else ''}. It was nice talking with you."
    if re.search(
        r"\b(who|what) are you\b|\byour name\b|\babout yourself\b|\bare you (a |an )?", text
    ):
        return _ABOUT_ME
    if re.search(r"\bwhat can you do\b|\bhelp me\b|\bhow do you work\b", text):
        return (
            "I can talk with you for a while. I remember your name and the subjects, and you may "
            "interrupt me at any time. What is on your mind?"
        )
    if re.search(r"\bhow are you\b|\bhow do you do\b", text):
        return "I am well, thank you. And how about you?"
    if re.search(r"\b(thank you|thanks)\b", text):
        return "You are welcome. Is there anything else you want to talk about?"
    if re.search(r"\b(what did you say|say that again|repeat)\b", text):
        return _again(history)
    topic = _topic(text, before)
    if topic:
        return topic
    return _other(text, before, history, known)


def _topic(text: str, before: list[str]) -> str:
    for _, pattern, answers, again in _TOPICS:
        if re.search(pattern, text):
            times = sum(1 for turn in before if re.search(pattern, turn))
            return answers[times] if times < len(answers) else again
    return ""


def _other(text: str, before: list[str], history: Sequence[Said], known: str) -> str:
    asked = [turn for turn in history[:-1] if turn.who == 1 and turn.text.rstrip().endswith("?")]
    if re.search(r"^(yes|yeah|yep|sure|of course|okay|ok)\b", text):
        return "Good. Tell me a little more."
    if re.search(r"^(no|nope|not really|never)\b", text):
        return "All right, then not. What would you rather talk about?"
    if re.search(r"^(well )?(i am|i'm|i feel) (fine|good|well|okay|great|happy)\b", text):
        return "I am glad. What did you do today?"
    if re.search(r"\b(hello|hi|hey|good morning|good evening)\b", text):
        return f"Hello{' again' if before else ''}. " + (
            f"What is new, {known}?" if known else "What is your name?"
        )
    if re.search(r"^(what|why|how|when|where|who|do you|can you|is it|are there)\b", text):
        return (
            "That is a good question, but I only have a small script and do not know the answer. "
            "What do you think?"
        )
    return _OPEN[(len(before) + len(asked)) % len(_OPEN)]


def _again(history: Sequence[Said]) -> str:
    mine = [turn.text for turn in history if turn.who == 1 and turn.text]
    return (
        f"I said: {mine[-1].removeprefix('I said: ')}"
        if mine
        else "I have not said anything yet. Shall we begin?"
    )
