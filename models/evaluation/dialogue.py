"""`eval dialogue`: does the prosody of an answer follow the audio of the preceding turn?

A pair is one dialogue in two versions that differ in the audio of the user's last turn alone:
excited or sad, same words. The two answers, also with the same words, must be ordered by the rule
of the synthetic conversations: higher and faster after excitement. Ties count as half.
"""

import random
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.synthetic import ANSWER_TO, MANNERS
from models.evaluation import bars
from models.evaluation.figures import Example, Figure, Result, Table, ratio, shown
from models.evaluation.melody import melody
from models.evaluation.panel import Panel
from models.evaluation.replies import EvaluatedSpeaker, MakeOptions, SpokenReply, speak, voice_named
from models.evaluation.sets import (
    MANNER,
    DialogueSet,
    say,
)

SIDES = ("excited", "sad")
MOST_TURNS = 6


@dataclass(frozen=True)
class Condition:
    """The history given: number of turns, and their audio (kept, removed, shuffled)."""

    turns: int
    sound: str

    def __str__(self) -> str:
        return f"{self.turns} past turns, sound {self.sound}"


MAIN = Condition(2, "kept")
REMOVED = Condition(2, "removed")
MOST = Condition(MOST_TURNS, "kept")
CONDITIONS = (
    MAIN,
    REMOVED,
    Condition(2, "shuffled"),
    Condition(0, "kept"),
    Condition(1, "kept"),
    Condition(4, "kept"),
    MOST,
)


@dataclass
class PastTurn:
    """A past turn; `samples` is its audio in each version of the pair."""

    who: int
    text: str
    samples: dict[str, np.ndarray]


@dataclass
class Pair:
    """Up to six past turns, the last one the user's; the answer's text and voice."""

    turns: list[PastTurn]
    answer: str
    voice: str


def make_pairs(num: int, chosen: DialogueSet, most_turns: int = MOST_TURNS) -> list[Pair]:
    """Pairs from the texts of a set, which are reused if there are too few."""
    needed = num * (most_turns + 1)
    texts = (chosen.texts * (needed // len(chosen.texts) + 1))[:needed]
    users, agents = chosen.users, chosen.agents
    pairs = []
    for index in range(num):
        rng = random.Random(f"{MANNER} pair {index}")
        own = texts[index * (most_turns + 1) : (index + 1) * (most_turns + 1)]
        user, agent = users[index % len(users)], agents[index % len(agents)]
        turns = _past(own[:most_turns], user, agent, rng)
        pairs.append(Pair(turns, own[-1], agent))
    return pairs


def _past(texts: list[str], user: str, agent: str, rng: random.Random) -> list[PastTurn]:
    turns: list[PastTurn] = []
    manner = "neutral"
    for place, text in enumerate(texts):
        who = (len(texts) - 1 - place) % 2
        if place == len(texts) - 1:
            sounds = {side: say(user, text, side, MANNER).samples for side in SIDES}
        else:
            manner = ANSWER_TO[manner] if who else rng.choice(list(MANNERS))
            sound = say(agent if who else user, text, manner, MANNER).samples
            sounds = {side: sound for side in SIDES}  # noqa: C420 - a wider type
        turns.append(PastTurn(who, text, sounds))
    return turns


def history(pairs: list[Pair], index: int, side: str, condition: Condition) -> list[tuple]:
    """The history before the answer: (who, text, samples or None) per turn."""
    turns = pairs[index].turns[len(pairs[index].turns) - condition.turns :]
    # The version of a shuffled turn is random, so it carries no information.
    other = pairs[(index + 1) % len(pairs)].turns[len(pairs[index].turns) - condition.turns :]
    heard = random.Random(f"{MANNER} {index} {side}").choice(SIDES)
    rows = []
    for turn, stranger in zip(turns, other, strict=True):
        sound = turn.samples[side]
        if condition.sound == "removed":
            sound = None
        elif condition.sound == "shuffled":
            sound = stranger.samples[heard]
        rows.append((turn.who, turn.text, sound))
    return rows


def evaluate(
    speaker: EvaluatedSpeaker,
    options: MakeOptions,
    num: int,
    chosen: DialogueSet,
    panel: Panel,
    conditions: tuple[Condition, ...] = CONDITIONS,
) -> Result:
    """Answers every pair under every condition and compares its two versions."""
    most = max(condition.turns for condition in conditions)
    pairs = make_pairs(num, chosen, max(most, 1))
    voices = {v: voice_named(speaker, v, others)[0] for v, others in chosen.others.items()}
    figures: list[Figure] = []
    rows: list[list[str]] = []
    examples: list[Example] = []
    teacher = order_of(_teacher(pairs), panel)
    for condition in conditions:
        answers = [
            answer(speaker, pairs, index, side, condition, voices[pair.voice], options)
            for index, pair in enumerate(pairs)
            for side in SIDES
        ]
        found = order_of([answer.samples for answer in answers], panel)
        rows.append(_row(str(condition), found))
        figures += _figures(condition, found, teacher)
        if condition == MAIN:
            examples = _examples(pairs, answers)
    rows.append(_row("the teacher, by the rule", teacher))
    columns = [
        "condition",
        "pitch %",
        "rate %",
        "both %",
        "F0, semitones",
        "faster by",
        "louder, dB",
    ]
    table = Table("Ordered rightly (excited above sad), and by how much", columns, rows)
    settings = {
        "pairs": num,
        "source": chosen.source,
        "users": len(set(chosen.users)),
        "agents": chosen.agents,
        "conditions": [str(condition) for condition in conditions],
    }
    return Result(
        "dialogue", "Dialogue: manner follows the sound", settings, figures, [table], examples
    )


def answer(
    speaker: EvaluatedSpeaker,
    pairs: list[Pair],
    index: int,
    side: str,
    condition: Condition,
    voice: Any,
    options: MakeOptions,
) -> SpokenReply:
    dialogue = speaker.open_dialogue()
    for who, text, samples in history(pairs, index, side, condition):
        speaker.add_turn(dialogue, who, text, samples)
    # Different seeds: without audio the order is then random, not a tie.
    chosen = options(2 * index + SIDES.index(side))
    return speak(speaker, dialogue, pairs[index].answer, voice, chosen)


def _teacher(pairs: list[Pair]) -> list[np.ndarray]:
    return [
        say(pair.voice, pair.answer, ANSWER_TO[side], MANNER).samples
        for pair in pairs
        for side in SIDES
    ]


def order_of(sounds: list[np.ndarray], panel: Panel) -> dict[str, np.ndarray]:
    """Per pair: whether pitch and rate are in the right order (0, 0.5, 1), and effect sizes."""
    judged = panel.ask(melody, [(sound,) for sound in sounds])
    high, low = judged[::2], judged[1::2]

    def values(key: str) -> tuple[np.ndarray, np.ndarray]:
        return np.array([row[key] for row in high]), np.array([row[key] for row in low])

    f0, seconds, level = values("f0_hz"), values("active_s"), values("level_db")
    usable = (f0[0] > 0) & (f0[1] > 0) & (seconds[0] > 0) & (seconds[1] > 0)
    pitch = np.where(usable, _order(f0[0], f0[1]), 0.0)
    rate = np.where(usable, _order(seconds[1], seconds[0]), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        semitones = 12 * np.log2(f0[0] / f0[1])
        faster = seconds[1] / seconds[0]
    return {
        "pitch": pitch,
        "rate": rate,
        "both": pitch * rate,
        "semitones": semitones[usable],
        "faster": faster[usable],
        "louder_db": (level[0] - level[1])[usable],
    }


def _order(larger: np.ndarray, smaller: np.ndarray) -> np.ndarray:
    return np.where(larger == smaller, 0.5, (larger > smaller).astype(float))


def _row(name: str, found: dict[str, np.ndarray]) -> list[str]:
    accuracies = [shown(100 * found[key].mean()) for key in ("pitch", "rate", "both")]
    sizes = [
        shown(found[key].mean()) if len(found[key]) else "–"
        for key in ("semitones", "faster", "louder_db")
    ]
    return [name, *accuracies, *sizes]


_LABELS = {"pitch": "F0 ordered rightly", "rate": "rate ordered rightly", "both": "both at once"}


def _figures(
    condition: Condition, found: dict[str, np.ndarray], teacher: dict[str, np.ndarray]
) -> list[Figure]:
    asked: dict[str, Any] = {key: {} for key in _LABELS}
    if condition == MAIN:
        asked = dict.fromkeys(_LABELS, bars.MANNER)
    elif condition == REMOVED:  # without audio each is at chance, and both together at a quarter
        asked["pitch"] = asked["rate"] = bars.CHANCE
    elif condition == MOST:
        asked = {key: {"goal": bars.MANNER.get("goal")} for key in _LABELS}
    mark = f"{condition.turns}_{condition.sound}"
    figures = [
        ratio(
            f"{key}_{mark}",
            f"{label}; {condition}",
            found[key],
            scale=100,
            unit="%",
            teacher=float(100 * teacher[key].mean()),
            **asked[key],
        )
        for key, label in _LABELS.items()
    ]
    if condition == MAIN:
        figures += [
            ratio("semitones", "F0, excited over sad", found["semitones"], unit="semitones",
                  teacher=float(teacher["semitones"].mean()), **bars.MANNER_SEMITONES),
            ratio("faster", "rate, excited over sad", found["faster"],
                  teacher=float(teacher["faster"].mean()), **bars.MANNER_RATE),
        ]  # fmt: skip
    return figures


def _examples(pairs: list[Pair], answers: list[SpokenReply]) -> list[Example]:
    found = []
    for index, pair in enumerate(pairs[:2]):
        last = pair.turns[-1]
        sounds = {}
        for place, side in enumerate(SIDES):
            sounds[f"user, {side}"] = last.samples[side]
            sounds[f"answer to {side}"] = answers[2 * index + place].samples
        found.append(Example(f"user: {last.text}", pair.answer, sounds))
    return found
