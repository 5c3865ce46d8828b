"""Speech-to-speech: a thinker answers the user's speech in text, which a speaker streams."""

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

MAX_THINKER_TURNS = 8  # context of the thinker, the user's last turn included
_SAMPLING = SamplingOptions(temperature=0.5, top_p=0.9)


@dataclass
class Thought:
    """An answer being generated; iterates over pieces of its text.

    Yields nothing until the state stream allows speech to start, then every piece at once.
        text: the text so far.
        states: the state stream, one per step (`models.predictors.thinker.STATES`).
        stopped: whether it ended by the state `stop`, not at the length limit.
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
    """A thinker with a speaker's encoders. Serves many conversations; holds no state of them.

    It only knows the topics it was trained on: the bundled one those of the synthetic conversations
    (`data/synthetic/lexicon.txt`).
    """

    def __init__(self, thinker: Thinker, speaker: Speaker) -> None:
        self.thinker = thinker.to(speaker.device)
        self._speaker = speaker

    @classmethod
    def load(cls, speaker: Speaker, weights: Path | None = None) -> "Omni":
        """Loads the thinker of a folder, by default the bundled one.

        Raises:
            MissingModelError: it is missing; the message gives the command that makes it.
        """
        return cls(load_thinker(WEIGHTS if weights is None else Path(weights)), speaker)

    def exchange(self, who: int, text: str, samples: np.ndarray | None) -> Exchange:
        """A turn as thinker input: audio where there is any, but the agent's own turns as text if
        known.

        Raises:
            InputError: neither text nor audio, or samples that are not finite.
        """
        has_sound = samples is not None and len(samples) > 0
        words = normalise(text, None) and text
        if has_sound and not (who == AGENT and words):
            assert samples is not None
            return Exchange(who, sound=self._speaker.listen(samples))
        if not words:
            raise InputError("a turn needs text or audio; this one has neither")
        return Exchange(who, tokens=self.thinker.backbone.encode(words))

    def think(self, turns: list[Exchange], seed: int | None = None) -> Thought:
        """Answers a conversation, using its last turns.

        Args:
            turns: output of `exchange`, oldest first.
            seed: seeds the sampling; None draws one.

        Raises:
            InputError: the last turn is not the user's.
        """
        if not turns or turns[-1].who == AGENT:
            raise InputError("there is nothing to answer: the last turn must be the user's")
        chosen = int(torch.seed() % 2**31) if seed is None else seed
        return Thought(self.thinker, turns[-MAX_THINKER_TURNS:], chosen)


def load_thinker(folder: Path) -> Thinker:
    """Loads the thinker and its backbone from a folder of weights.

    Raises:
        MissingModelError: it is missing.
        InputError: its Hugging Face backbone has moved or is gone.
    """
    thinker = build_thinker(load_config(folder, Thinker.name, ThinkerConfig), folder)
    own = isinstance(thinker.backbone, WordBackbone)
    load_weights(folder, Thinker.name, thinker if own else thinker.without_backbone())
    return thinker.eval().requires_grad_(False)
