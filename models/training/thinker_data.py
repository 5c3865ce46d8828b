"""Exchanges for the thinker: the user's audio and the answer to it.

In synthetic conversations a known rule gives the answer, which can therefore be judged; in other
dialogues it is the turn that followed. Topics are learnt mostly from unspoken conversations, which
can be generated in any number.
"""

import json
import logging
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from data.audio.pcm import to_int16
from data.errors import MissingModelError
from data.synthetic import VOICES, speak
from data.synthetic.answers import ABOUT_ITSELF, NOT_HEARD, answer_to, topic_called
from data.synthetic.grammar import Writer
from data.synthetic.lexicon import Topic, topics
from models.mel import SAMPLE_RATE
from models.predictors.sequence import NO_TARGET
from models.predictors.thinker import AGENT, USER, Exchange, Thinker
from models.tokenizers.semantic import SemanticTokenizer
from models.training.configuration import setting
from models.training.corpus import Corpus
from models.training.tokenizer_features import speed_of, utterance_features

logger = logging.getLogger(__name__)

VOICES_A_PROMPT = 10
SENTENCES_A_TOPIC = 400  # sampled for the vocabulary


@dataclass(frozen=True)
class ExchangesConfig:
    """Composition of the training rows. Shares are independent; they need not sum to 1."""

    max_turns: int = setting(4, "exchanges per row, at most")
    typed: float = setting(0.1, "share of user turns given as text, not audio", high=1)
    written: float = setting(0.5, "share of rows that are generated, as text", high=1)
    as_heard: float = setting(0.7, "share of their turns written like adapter output", high=1)
    misheard: float = setting(0.08, "share of wrong words in those", high=1)
    extra: float = setting(0.05, "share of words followed by an inserted one", high=1)
    word_positions: int = setting(5, "most positions per word")
    nothing_heard: float = setting(0.03, "share of rows whose last turn is noise", high=1)
    noises: int = setting(100, "number of different noises")
    about: float = setting(0.03, "share of rows that start with a question about itself", high=1)


class Exchanges:
    """Samples rows of turns: audio, answer, audio, answer, ...

    Args:
        root: folder of the corpus.
        corpus: the data; any turn of either speaker may act as the user's.
        features: features per copy, as from `encode_features`; the unmodified utterance first.
        tokenizer: encodes the noises.
        model: provides the tokens.
        seed: seed of the noises.
        config: composition of the rows.
        batch: positions per batch, about.
    """

    def __init__(
        self,
        root: Path,
        corpus: Corpus,
        features: list[list[np.ndarray]],
        tokenizer: SemanticTokenizer,
        model: Thinker,
        seed: int,
        config: ExchangesConfig,
        batch: int,
    ) -> None:
        self._config, self._batch = config, batch
        self._corpus, self._features, self._model = corpus, features, model
        self._topics = topics_of(root, corpus)
        self._dialogues = [
            name for name, turns in corpus.by_dialogue.items() if name in self._topics or turns[1:]
        ]
        self._noises = utterance_features(_noises(seed, config.noises), tokenizer)
        spoken = _about_itself(seed) if self._topics else []
        prompts = utterance_features([samples for samples, _ in spoken], tokenizer)
        self._about = [(s, a) for s, (_, a) in zip(prompts, spoken, strict=True)]
        self._words: dict[str, int | None] = {}
        self._group = model.config.group

    def draw(self, generator: np.random.Generator) -> list[list[Exchange]]:
        """Samples a batch of rows of similar length: the shorter or the longer of twice as many."""
        chance = random.Random(int(generator.integers(1 << 62)))
        rows: list[list[Exchange]] = []
        total = 0
        while total < 2 * self._batch:
            rows.append(self._row(chance))
            total += _length(rows[-1], self._group)
        rows.sort(key=lambda row: _length(row, self._group))
        cut = len(rows) * 2 // 3
        return rows[:cut] if chance.random() < 0.5 else rows[cut:]

    def _row(self, chance: random.Random) -> list[Exchange]:
        if self._topics and chance.random() < self._config.written:
            return self._written(chance)
        name = chance.choice(self._dialogues)
        turns, topic = self._corpus.by_dialogue[name], self._topics.get(name)
        if topic is None:
            return self._followed(chance, turns)
        count = min(len(turns), self._num_turns(chance))
        first = chance.randint(0, len(turns) - count)
        row: list[Exchange] = []
        if self._about and chance.random() < self._config.about:
            prompt, answers = chance.choice(self._about)
            row += [
                Exchange(USER, sound=torch.from_numpy(prompt)),
                self._agent(chance.choice(answers)),
            ]
        for index in turns[first : first + count]:
            text = answer_to(self._corpus.utterances[index].text, topic, chance, "train")
            row += [self._user(chance, index), self._agent(text)]
        if chance.random() < self._config.nothing_heard:
            noise = torch.from_numpy(chance.choice(self._noises))
            row[-2:] = [Exchange(USER, sound=noise), self._agent(NOT_HEARD)]
        return row

    def _written(self, chance: random.Random) -> list[Exchange]:
        """A newly generated conversation."""
        topic = chance.choice(topics())
        row: list[Exchange] = []
        for _ in range(self._num_turns(chance)):
            text = _said(Writer(chance, topic, "train"), chance)
            imitate = chance.random() < self._config.as_heard
            tokens = self._like_adapter(text, chance) if imitate else None
            tokens = tokens or self._model.backbone.encode(text)
            answer = answer_to(text, topic, chance, "train")
            row += [Exchange(USER, tokens=tokens), self._agent(answer)]
        return row

    def _like_adapter(self, text: str, chance: random.Random) -> list[int]:
        """Imitates the adapter's output for a text: each word for as long as it is spoken, without
        punctuation, some of them wrong."""
        vocabulary = len(self._model.backbone.table)
        tokens: list[int] = []
        for word in text.split():
            token = self._token(word.strip(".,?!"))
            if token is None:
                continue
            if chance.random() < self._config.misheard:
                token = chance.randrange(vocabulary)
            tokens += [token] * chance.randint(1, self._config.word_positions)
            if chance.random() < self._config.extra:
                tokens.append(chance.randrange(vocabulary))
        return tokens

    def _token(self, word: str) -> int | None:
        if word not in self._words:
            self._words[word] = self._model.backbone.word(word)
        return self._words[word]

    def _followed(self, chance: random.Random, turns: list[int]) -> list[Exchange]:
        """A stretch of a dialogue as it happened, ending with an answer."""
        last = chance.randrange(1, len(turns))
        first = max(
            last % 2 ^ 1, last - 2 * chance.randint(1, self._config.max_turns) + 1
        )  # a user's turn
        row = []
        for place, index in enumerate(turns[first : last + 1]):
            if (last - first - place) % 2:
                row.append(self._user(chance, index))
            else:
                row.append(self._agent(self._corpus.utterances[index].text))
        return row

    def _user(self, chance: random.Random, index: int) -> Exchange:
        if chance.random() < self._config.typed:
            tokens = self._model.backbone.encode(self._corpus.utterances[index].text)
            return Exchange(USER, tokens=tokens)
        copy = chance.randrange(len(self._features))
        sound = torch.from_numpy(self._features[copy][index])
        speed = speed_of(self._corpus.utterances[index], copy)
        return Exchange(
            USER, sound=sound, spoken_tokens=self._spoken_tokens(index, len(sound), speed)
        )

    def _num_turns(self, chance: random.Random) -> int:
        most = self._config.max_turns
        return 1 if most == 1 or chance.random() < 0.5 else chance.randint(2, most)

    def _agent(self, text: str) -> Exchange:
        return Exchange(AGENT, tokens=self._model.backbone.encode(text))

    def _spoken_tokens(self, index: int, num_frames: int, speed: float) -> torch.Tensor | None:
        """The spoken token at each position of a turn; None without phone times."""
        utterance = self._corpus.utterances[index]
        if utterance.pointer is None:
            return None
        tokens = np.full(len(utterance.units), NO_TARGET)
        for word, start, end in utterance.units.words:
            token = self._token(word)
            if token is not None:
                tokens[start:end] = token
        at = np.minimum((np.arange(num_frames) * speed).astype(int), len(utterance.pointer) - 1)
        at_frame = tokens[np.minimum(utterance.pointer[at], len(tokens) - 1)]
        padded = np.pad(at_frame, (0, -len(at_frame) % self._group), mode="edge")
        return torch.from_numpy(padded[:: self._group].copy())


def topics_of(root: Path, corpus: Corpus) -> dict[str, Topic]:
    """Topics of the synthetic dialogues."""
    found = {}
    for name in corpus.by_dialogue:
        path = root / name / "metadata.json"
        called = (
            json.loads(path.read_text(encoding="utf-8")).get("topic") if path.exists() else None
        )
        topic = topic_called(called) if called else None
        if topic is not None:
            found[name] = topic
    return found


def dialogue_texts(root: Path, corpus: Corpus, seed: int) -> Iterator[str]:
    """All texts of a corpus and answers to them, to build the vocabulary from."""
    known, chance = topics_of(root, corpus), random.Random(seed)
    for _ in range(2):
        yield NOT_HEARD
        yield from (text for prompts, answers in ABOUT_ITSELF for text in prompts + answers)
    for topic in topics() if known else ():
        writer = Writer(chance, topic, "train")
        for _ in range(SENTENCES_A_TOPIC):
            text = _said(writer, chance)
            yield text
            yield answer_to(text, topic, chance, "train")
    for utterance in corpus.utterances:
        yield utterance.text
        topic = known.get(utterance.dialogue)
        if topic is not None:
            yield answer_to(utterance.text, topic, chance, "train")


def _about_itself(seed: int) -> list[tuple[np.ndarray, tuple[str, ...]]]:
    """Questions about the conversation itself, spoken by training voices (int16), with answers."""
    chance = random.Random(seed)
    names = [name for name, voice in VOICES.items() if not voice.held_out]
    found = []
    try:
        for prompts, answers in ABOUT_ITSELF:
            for prompt in prompts:
                for voice in chance.sample(names, min(VOICES_A_PROMPT, len(names))):
                    samples, _ = speak(voice, prompt, "neutral", chance.randrange(1 << 32))
                    found.append((to_int16(samples), answers))
    except MissingModelError as error:
        logger.warning("the thinker will not learn to answer questions about itself: %s", error)
        return []
    return found


def _said(writer: Writer, chance: random.Random) -> str:
    """A turn to answer, mostly a question."""
    parts = [writer.statement()] if chance.random() < 0.4 else []
    if not parts or chance.random() < 0.6:
        parts.append(writer.question())
    return " ".join(parts)


def _length(row: list[Exchange], group: int) -> int:
    return sum(
        1 + (len(turn.tokens) if turn.sound is None else -(-len(turn.sound) // group))
        for turn in row
    )


def _noises(seed: int, count: int) -> list[np.ndarray]:
    """Silence, hiss, hum and rumble of 0.4 to 6 s, int16 at 24 kHz."""
    generator = np.random.default_rng(seed)
    found = []
    for number in range(count):
        length = int(SAMPLE_RATE * generator.uniform(0.4, 6.0))
        level = 10 ** generator.uniform(-4.5, -0.5)
        noise = generator.standard_normal(length)
        if number % 4 == 0:
            noise *= 0.0 if number % 8 else 0.01
        elif number % 4 == 1:  # rumble: integrated noise
            noise = np.cumsum(noise)
            noise -= np.linspace(noise[0], noise[-1], length)
        elif number % 4 == 2:
            hum = np.arange(length) * generator.uniform(40, 400) / SAMPLE_RATE
            noise = np.sin(2 * np.pi * hum) + 0.05 * noise
        peak = max(np.abs(noise).max(), 1e-9)
        found.append(to_int16(noise / peak * level))
    return found
