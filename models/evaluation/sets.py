"""Evaluation sets: held-out sentences and voices, spoken by the teacher.

Every sentence is in the test split (by a hash of its words), every user voice is held out, and
seeds have a range of their own; `tests/models/evaluation/test_sets.py` checks all three.
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
from models.evaluation.spoken import cached_speech
from models.text import normalise

# Test corpora have seeds of at least 2^62, training below that; these are above both.
SEED_BASE = 1 << 64
SPEECH, VOCODER, MANNER, CLONE, ROBUST, TOKENS, SPEED, OTHERS, QUESTIONS = (
    SEED_BASE + n for n in range(9)
)

# Teacher voices in which replies are evaluated, and their names in the bundle.
JUDGED_VOICES = {"flite-kal16": "kal", "flite-rms": "rms", "flite-slt": "slt"}
NUM_OTHERS = 6  # reference utterances per voice
REFERENCE_S = 8.0
NUM_REFERENCES = 3  # utterances to cut the reference from
NUM_COMPARED = 4  # further utterances of a cloned voice, to compare with
LONG_SENTENCES = 6  # about 20 s


@dataclass(frozen=True)
class Item:
    """A text and a rendition by the teacher or a person.

    Attributes:
        text: the text.
        voice: the speaker.
        samples: `[T]` at 24 kHz.
        phones: (phone, start, end) in seconds, if known.
        language: `en` or `zh`.
        held_out: whether the voice is excluded from training; None for non-synthetic voices.
    """

    text: str
    voice: str
    samples: np.ndarray
    phones: list[tuple[str, float, float]] = field(default_factory=list)
    language: str = "en"
    held_out: bool | None = False


@dataclass
class EvaluationSet:
    """Items, and other utterances of each of their voices."""

    items: list[Item]
    others: dict[str, list[np.ndarray]]
    source: str


@dataclass(frozen=True)
class Subject:
    """A voice to clone: its reference audio, and further utterances to compare with."""

    voice: str
    reference: np.ndarray
    utterances: list[np.ndarray]
    language: str = "en"
    held_out: bool | None = True


@dataclass(frozen=True)
class CloneSet:
    """Voices to clone, candidates for confusion, and texts.

    Attributes:
        subjects: voices to clone.
        rivals: utterances of further voices, by name.
        texts: texts by language, each spoken by every clone.
        long_texts: a text of about 20 s by language.
        source: origin of the data.
    """

    subjects: list[Subject]
    rivals: dict[str, list[np.ndarray]]
    texts: dict[str, list[str]]
    long_texts: dict[str, str]
    source: str


@dataclass(frozen=True)
class DialogueSet:
    """Voices and texts for evaluation dialogues, spoken by the teacher.

    Attributes:
        texts: texts of turns, in one language.
        users, agents: voices; users' are held out.
        others: utterances of the agents' voices, to clone those that no bundle has.
        source: origin of texts and voices.
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
    """Voices excluded from training: all, or `num` of them spread over the list."""
    names = [name for name, voice in VOICES.items() if voice.held_out]
    chosen = len(names) if num is None else min(num, len(names))
    return [names[i * len(names) // chosen] for i in range(chosen)]


def say(voice: str, text: str, manner: str = "neutral", seed: int = SPEECH) -> Item:
    """The teacher's rendition; Kokoro's are cached, as it runs in real time."""
    if voice in VOICES:
        samples, phones = speak(voice, text, manner, seed)
        return Item(text, voice, samples, [(name, start, end) for name, start, end in phones])
    known = kokoro_voices().get(voice)
    samples, phones = cached_speech(voice, normalise(text, None), manner, seed)
    return Item(text, voice, samples, phones, held_out=known is not None and known.held_out)


def sentences(num: int, seed: int) -> list[str]:
    """Held-out sentences of 8 to 16 words.

    Raises:
        InputError: `num` is less than 1.
    """
    if num < 1:
        raise InputError(f"--count is {num}; it must be at least 1")
    return held_out_sentences(num, seed)


def clone_set(num: int, num_texts: int) -> CloneSet:
    """Held-out voices of the classic synthesizers; the voices of `JUDGED_VOICES` are rivals."""
    utterances = {
        voice: other_utterances(voice, NUM_REFERENCES + NUM_COMPARED)
        for voice in (*held_out_voices(num), *JUDGED_VOICES)
    }
    subjects = [
        Subject(voice, cut_reference(known[:NUM_REFERENCES]), known[NUM_REFERENCES:])
        for voice, known in utterances.items()
        if voice not in JUDGED_VOICES
    ]
    rivals = {voice: utterances[voice][NUM_REFERENCES:] for voice in JUDGED_VOICES}
    long_text = " ".join(sentences(LONG_SENTENCES, CLONE + 1000))
    texts = sentences(num_texts, CLONE)
    return CloneSet(subjects, rivals, {"en": texts}, {"en": long_text}, "teacher")


def cut_reference(utterances: list[np.ndarray]) -> np.ndarray:
    """Reference audio for cloning."""
    return np.concatenate(utterances)[: int(REFERENCE_S * SAMPLE_RATE)]


def dialogue_set(num_texts: int) -> DialogueSet:
    """Users in held-out voices of the classic synthesizers, agents in `JUDGED_VOICES`."""
    others = {voice: other_utterances(voice, 3) for voice in JUDGED_VOICES}
    texts = sentences(num_texts, MANNER)
    return DialogueSet(texts, held_out_voices(), list(JUDGED_VOICES), others, "teacher")


def spoken_set(num: int, seed: int, voices: Iterable[str]) -> EvaluationSet:
    """`num` sentences, each in every voice, and other utterances of the voices."""
    texts = sentences(num, seed)
    names = list(voices)
    items = [say(voice, text) for text in texts for voice in names]
    return EvaluationSet(items, {voice: other_utterances(voice) for voice in names}, "teacher")


@dataclass(frozen=True)
class Question:
    """A question of the test split and its rendition by a held-out voice.

    `asked`, the audio, is synthesized on first use, so that texts alone need no synthesizer.
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
    """`num` questions of the test split, cycling through topics and held-out voices.

    Raises:
        InputError: `num` is less than 1.
    """
    if num < 1:
        raise InputError(f"--count is {num}; it must be at least 1")
    voices, found = held_out_voices(), []
    for number in range(num):
        rng = random.Random(f"{QUESTIONS} question {number}")
        topic = topics()[number % len(topics())]
        text = ""
        asked = {question.text for question in found}
        while split_of(text) != "test" or text in asked:  # the shortest texts are in all splits
            text = Writer(rng, topic, "test").question()
        voice, manner = voices[number % len(voices)], rng.choice(list(MANNERS))
        found.append(Question(topic.name, text, voice, manner, QUESTIONS + number))
    return found


def other_utterances(voice: str, num: int = NUM_OTHERS) -> list[np.ndarray]:
    """Other utterances of a voice by the teacher, never sentences of an evaluation set."""
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
    """Distinct turns of the grammar's test split with at least eight characters."""
    rng = random.Random(f"{ROBUST} zh")
    found: dict[str, None] = {}
    while len(found) < num:
        for line in write_dialogue(rng, "test", "zh")[1]:
            if len(line.text) >= 8:
                found[line.text] = None
    return list(found)[:num]


def hard_texts(num: int, language: str = "en") -> list[str]:
    """Hard texts: very short, very long, repetitive, with numbers and symbols; and plain held-out
    sentences, singly and in groups of two to four."""
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
