"""Speech-to-speech: the thinker writes an answer to what it heard, while a speaker says it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from data.errors import InputError
from models.checkpoint import WEIGHTS, load_config, load_weights
from models.predictors.backbones import WordBackbone
from models.predictors.sampling import SamplingOptions
from models.predictors.thinker import (
    AGENT,
    GENERATING,
    START,
    STOP,
    Exchange,
    Thinker,
    ThinkerConfig,
    build_thinker,
)
from models.speaker import Speaker
from models.text import normalise

MAX_THINKER_TURNS = 8  # that the thinker reads, the user's last one among them
_SAMPLING = SamplingOptions(temperature=0.5, top_p=0.9)


@dataclass
class Thought:
    """An answer while it is being written, an iterator over pieces of its text.

    Nothing comes before the state allows speech to start; then each piece comes as it is written.

    Attributes:
        text: written so far.
        states: of the state stream, one a step (`models.predictors.thinker.STATES`).
        stopped: whether the answer ended by the state `stop`, not because it became too long.
    """

    thinker: Thinker
    turns: list[Exchange]
    seed: int
    text: str = ""
    states: list[int] = field(default_factory=list)

    @property
    def stopped(self) -> bool:
        return self.states[-1:] == [STOP]

    def __iter__(self) -> Iterator[str]:
        generator = torch.Generator().manual_seed(self.seed)
        tokens: list[int] = []
        given = ""
        for token, state in self.thinker.answer(self.turns, _SAMPLING, generator):
            self.states.append(state)
            if token is None:
                break
            tokens.append(token)
            self.text = self.thinker.backbone.decode(tokens)
            if START in self.states or state == GENERATING:
                yield self.text[len(given) :]
                given = self.text
        if self.text != given:
            yield self.text[len(given) :]


class Omni:
    """A thinker with a speaker's ears. Serves many conversations at once; it keeps none.

    It can only talk about what it was trained on: the bundled one about the topics of the
    synthetic conversations (`data/synthetic/lexicon.txt`).
    """

    def __init__(self, thinker: Thinker, speaker: Speaker) -> None:
        self.thinker = thinker.to(speaker.device)
        self._speaker = speaker

    @classmethod
    def load(cls, speaker: Speaker, weights: Path | None = None) -> "Omni":
        """The thinker of a folder, by default the bundled one.

        Raises:
            MissingModelError: it is not there; the message says how to make it.
        """
        return cls(load_thinker(WEIGHTS if weights is None else Path(weights)), speaker)

    def exchange(self, who: int, text: str, samples: np.ndarray | None) -> Exchange:
        """A turn as the thinker takes it: the user's as sound where there is any, the agent's own
        as its words where they are known.

        Raises:
            InputError: neither text nor sound, or samples that are not finite.
        """
        has_sound = samples is not None and len(samples) > 0
        words = normalise(text, None) and text
        if has_sound and not (who == AGENT and words):
            assert samples is not None
            return Exchange(who, sound=self._speaker.listen(samples))
        if not words:
            raise InputError("a turn needs text or sound; this one has neither")
        return Exchange(who, tokens=self.thinker.backbone.encode(words))

    def think(self, turns: list[Exchange], seed: int | None = None) -> Thought:
        """The answer to a conversation, of which the last turns are read.

        Args:
            turns: of `exchange`, oldest first.
            seed: the same seed and turns give the same answer; None draws one.

        Raises:
            InputError: the last turn is not the user's.
        """
        if not turns or turns[-1].who == AGENT:
            raise InputError("there is nothing to answer: the last turn must be the user's")
        chosen = int(torch.seed() % 2**31) if seed is None else seed
        return Thought(self.thinker, turns[-MAX_THINKER_TURNS:], chosen)


def load_thinker(folder: Path) -> Thinker:
    """The thinker in a folder of weights, with its backbone.

    Raises:
        MissingModelError: it is not there.
        InputError: its Hugging Face backbone is not where it was.
    """
    thinker = build_thinker(load_config(folder, Thinker.name, ThinkerConfig), folder)
    own = isinstance(thinker.backbone, WordBackbone)
    load_weights(folder, Thinker.name, thinker if own else thinker.bare())
    return thinker.eval().requires_grad_(False)
