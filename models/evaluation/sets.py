"""Evaluation sets: held-out sentences and voices, and the teacher that speaks them.

Every sentence is of the test split (a hash of its words says so), every user voice is held out, and
the seeds lie in a range of their own; `tests/models/evaluation/test_sets.py` proves it.
"""

import functools
import random
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from data.audio import SAMPLE_RATE
from data.errors import InputError
from data.synthetic import MANNERS, VOICES, held_out_sentences, speak
from data.synthetic.grammar import Writer, split_of, write_dialogue
from data.synthetic.kokoro.voices import kokoro_voices
from data.synthetic.lexicon import topics
from models.evaluation.spoken import spoken_once
from models.text import normalise

# Seeds of test corpora lie at or above 2^62 and of training below; these are neither.
SEED_BASE = 1 << 64
SPEECH, VOCODER, MANNER, CLONE, ROBUST, TOKENS, SPEED, OTHERS, QUESTIONS = (
    SEED_BASE + n for n in range(9)
)

# The teacher's voices that replies are judged in, and what the bundle calls them.
JUDGED_VOICES = {"flite-kal16": "kal", "flite-rms": "rms", "flite-slt": "slt"}
NUM_OTHERS = 6  # utterances that tell what a voice sounds like
REFERENCE_S = 8.0
NUM_REFERENCES = 3  # utterances that the reference is cut from; the others tell the voice
NUM_TOLD = 4
LONG_SENTENCES = 6  # about 20 s


@dataclass(frozen=True)
class Item:
    """A text and how the teacher, or a recording, says it.

    Attributes:
        text: what is said.
        voice: who says it.
        samples: `[T]` at 24 kHz.
        phones: (phone, start, end) in seconds, where they are known.
        language: `en` or `zh`.
        held_out: whether training never hears the voice; None for who is no synthesizer's.
    """

    text: str
    voice: str
    samples: np.ndarray
    phones: list[tuple[str, float, float]] = field(default_factory=list)
    language: str = "en"
    held_out: bool | None = False


@dataclass
class EvaluationSet:
    """Items, and for each voice other utterances of it."""

    items: list[Item]
    others: dict[str, list[np.ndarray]]
    source: str


@dataclass(frozen=True)
class Subject:
    """A voice to be cloned: from which sound, and other utterances that tell how it sounds."""

    voice: str
    reference: np.ndarray
    told: list[np.ndarray]
    language: str = "en"
    held_out: bool | None = True


@dataclass(frozen=True)
class CloneSet:
    """Whom to clone, with whom a clone may be confused beside them, and what clones say.

    Attributes:
        subjects: the voices.
        rivals: utterances of further voices, by name.
        texts: a language's texts, each said by every clone.
        long_texts: a language's text of about 20 s.
        source: where they are from.
    """

    subjects: list[Subject]
    rivals: dict[str, list[np.ndarray]]
    texts: dict[str, list[str]]
    long_texts: dict[str, str]
    source: str


@dataclass(frozen=True)
class Cast:
    """Who speaks dialogues for evaluation, all by the teacher, and what.

    Attributes:
        texts: of turns, in one language.
        users, agents: voices; users' are held out.
        others: utterances of the agents' voices, to clone them from where no bundle has them.
        source: where texts and voices are from.
    """

    texts: list[str]
    users: list[str]
    agents: list[str]
    others: dict[str, list[np.ndarray]]
    source: str
    language: str = "en"


def teacher_voices() -> tuple[str, ...]:
    return tuple(JUDGED_VOICES)


def held_out_voices(num: int | None = None) -> list[str]:
    """Voices that training never hears: all, or `num` of them from the whole list."""
    names = [name for name, voice in VOICES.items() if voice.held_out]
    chosen = len(names) if num is None else min(num, len(names))
    return [names[i * len(names) // chosen] for i in range(chosen)]


def say(voice: str, text: str, manner: str = "neutral", seed: int = SPEECH) -> Item:
    """The teacher speaks; what Kokoro says is kept, since it takes a second for each second."""
    if voice in VOICES:
        samples, phones = speak(voice, text, manner, seed)
        return Item(text, voice, samples, [(name, start, end) for name, start, end in phones])
    known = kokoro_voices().get(voice)
    samples, phones = spoken_once(voice, normalise(text, None), manner, seed)
    return Item(text, voice, samples, phones, held_out=known is not None and known.held_out)


def sentences(num: int, seed: int) -> list[str]:
    """Held-out sentences of 8 to 16 words.

    Raises:
        InputError: fewer than one is asked for.
    """
    if num < 1:
        raise InputError(f"--count is {num}; it must be at least 1")
    return held_out_sentences(num, seed)


def clone_set(num: int, num_texts: int) -> CloneSet:
    """Held-out voices of the classic synthesizers; the judged ones are rivals."""
    told = {
        voice: other_utterances(voice, NUM_REFERENCES + NUM_TOLD)
        for voice in (*held_out_voices(num), *JUDGED_VOICES)
    }
    subjects = [
        Subject(voice, cut_reference(known[:NUM_REFERENCES]), known[NUM_REFERENCES:])
        for voice, known in told.items()
        if voice not in JUDGED_VOICES
    ]
    rivals = {voice: told[voice][NUM_REFERENCES:] for voice in JUDGED_VOICES}
    long_text = " ".join(sentences(LONG_SENTENCES, CLONE + 1000))
    texts = sentences(num_texts, CLONE)
    return CloneSet(subjects, rivals, {"en": texts}, {"en": long_text}, "teacher")


def cut_reference(utterances: list[np.ndarray]) -> np.ndarray:
    """What a voice is cloned from."""
    return np.concatenate(utterances)[: int(REFERENCE_S * SAMPLE_RATE)]


def cast(num_texts: int) -> Cast:
    """Users in held-out voices of the classic synthesizers, agents in the judged ones."""
    others = {voice: other_utterances(voice, 3) for voice in JUDGED_VOICES}
    texts = sentences(num_texts, MANNER)
    return Cast(texts, held_out_voices(), list(JUDGED_VOICES), others, "teacher")


def spoken_set(num: int, seed: int, voices: Iterable[str]) -> EvaluationSet:
    """`num` sentences, each in every voice, and other utterances of the voices."""
    texts = sentences(num, seed)
    names = list(voices)
    items = [say(voice, text) for text in texts for voice in names]
    return EvaluationSet(items, {voice: other_utterances(voice) for voice in names}, "teacher")


@dataclass(frozen=True)
class Question:
    """A question of the test split, and how a held-out voice asks it.

    Its words need no synthesizer; `asked`, its sound, is synthesized on first use.
    """

    topic: str
    text: str
    voice: str
    manner: str
    seed: int

    @functools.cached_property
    def asked(self) -> Item:
        return say(self.voice, self.text, self.manner, self.seed)


def questions(num: int) -> list[Question]:
    """`num` questions of the test split, round the topics and the held-out voices.

    Raises:
        InputError: fewer than one is asked for.
    """
    if num < 1:
        raise InputError(f"--count is {num}; it must be at least 1")
    voices, found = held_out_voices(), []
    for number in range(num):
        rng = random.Random(f"{QUESTIONS} question {number}")
        topic = topics()[number % len(topics())]
        text = ""
        asked = {question.text for question in found}
        while split_of(text) != "test" or text in asked:  # the shortest ones are in all splits
            text = Writer(rng, topic, "test").question()
        voice, manner = voices[number % len(voices)], rng.choice(list(MANNERS))
        found.append(Question(topic.name, text, voice, manner, QUESTIONS + number))
    return found


def other_utterances(voice: str, num: int = NUM_OTHERS) -> list[np.ndarray]:
    """What else the teacher says in a voice: never a sentence of an evaluation set."""
    return [say(voice, text).samples for text in sentences(num, OTHERS)]


_TEXTS = (
    "Yes.",
    "No, not yet.",
    "I see.",
    "Really?",
    "All right!",
    "Wait, what?",
    "It costs $42.50, I think.",
    "We met on 3 March 2024 at 7:45 pm.",
    "Dr. Smith lives at 221 Baker St.",
    "Well... I do not know; maybe, perhaps, who can say?",
    "One two three four five six seven eight nine ten.",
    "No no no no no, that is not it at all.",
    "Call me at 555 0199, please.",
    "Yes 😀, of course **we** can!",
)


_MANDARIN_TEXTS = (
    "好。",
    "嗯。",
    "真的吗？",
    "等等，什么？",
    "不不不不不，完全不是这样。",
    "一共四十二块五，对吧？",
    "我们2024年3月3日晚上7:45见的面。",
    "请打13800138000找我。",
    "气温降到了-5℃，风力3到4级。",
    "这个……我不知道，也许吧，谁说得清呢？",
    "他下周要去Boston开会，记得带上iPad。",
    "好的😀，我们**当然**可以！",
    "我昨天去了一趟银行然后在路上遇到了一个老朋友他说他刚从国外回来想请我吃饭",
    "石室诗士施氏，嗜狮，誓食十狮。",
)


def _held_out_mandarin(num: int) -> list[str]:
    """Turns of the grammar's test split of at least eight characters, all different."""
    rng = random.Random(f"{ROBUST} zh")
    found: dict[str, None] = {}
    while len(found) < num:
        for line in write_dialogue(rng, "test", "zh")[1]:
            if len(line.text) >= 8:
                found[line.text] = None
    return list(found)[:num]


def hard_texts(num: int, language: str = "en") -> list[str]:
    """Texts that break a speaker: very short, very long, repeating, with numbers and signs; and
    plain held-out sentences, alone and in twos and threes."""
    rng = random.Random(ROBUST)
    several = max(40, num)
    plain = sentences(several, ROBUST) if language == "en" else _held_out_mandarin(several)
    fixed, space = (_TEXTS, " ") if language == "en" else (_MANDARIN_TEXTS, "")
    found: list[str] = []
    while len(found) < num:
        chance = rng.random()
        if chance < 0.3:
            found.append(rng.choice(fixed))
        else:
            many = 1 if chance < 0.7 else 2 if chance < 0.9 else 4
            found.append(space.join(rng.sample(plain, many)))
    return found
