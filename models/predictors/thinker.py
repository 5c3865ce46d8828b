"""The thinker: the user's sound in, the words of an answer and a state stream out.

The half of Flow-Omni (arXiv 2412.04917) that decides what to say. No recogniser and no language
model stand between: the sound of the user's turns enters a decoder-only model as vectors, beside
the words of the agent's. Each step of the answer gives a word and a state; a predictor of speech
says the words, from the moment at which the state allows it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.predictors.backbones import Backbone, HuggingFaceBackbone, WordBackbone
from models.predictors.sampling import SamplingOptions, draw
from models.predictors.sequence import NO_TARGET
from models.transformer import Transformer

USER, AGENT = 0, 1
PAD, START, GENERATING, STOP = range(4)
STATES = ("pad", "start", "generating", "stop")
MAX_TOKENS = 80  # an answer that does not stop is stopped: four long sentences
_SENTENCE_ENDS = (".", "?", "!")


@dataclass(frozen=True)
class ThinkerConfig:
    """Sizes of the thinker.

    Attributes:
        feature_dim: of the sound's features at 25 Hz.
        group: features joined to one position of the sequence.
        listen_depth: layers of the adapter, as wide as the backbone named by the next fields.
        words: the vocabulary of a backbone of our own.
        backbone: the folder of a Hugging Face causal language model in its place; empty for none.
    """

    feature_dim: int = 256
    group: int = 3
    dim: int = 256
    listen_depth: int = 4
    depth: int = 3
    num_heads: int = 4
    ffn_dim: int = 640
    words: tuple[str, ...] = ()
    backbone: str = ""


@dataclass
class Exchange:
    """One turn as the thinker takes it: `sound`, features `[T, feature_dim]`, or `tokens`.

    An agent's turn is `tokens`; without any it is about to be written. `heard` `[G]` are the
    tokens that are spoken at each position of the sound, for training.
    """

    who: int
    sound: Tensor | None = None
    tokens: list[int] = field(default_factory=list)
    heard: Tensor | None = None


@dataclass
class Read:
    """Rows of turns as the sequence: `vectors` `[B, L, dim]` and what each position predicts,
    `token_target` and `state_target` `[B, L]`; `sounds` `[S, G, dim]` and their `heard` `[S, G]`.
    """

    vectors: Tensor
    token_target: Tensor
    state_target: Tensor
    sounds: Tensor | None
    heard: Tensor | None


@dataclass
class Losses:
    """Cross-entropies in nats: of the next word, of the state, and of the word at each position of
    the sound, by which the adapter learns to hear."""

    word: Tensor
    state: Tensor
    listen: Tensor


class SoundAdapter(nn.Module):
    """Features `[S, T, feature_dim]` at 25 Hz of whole turns to vectors `[S, ceil(T / group), out]`
    in the space of the backbone's words; a few layers that see the whole turn."""

    def __init__(self, config: ThinkerConfig, out_dim: int) -> None:
        super().__init__()
        self.group = config.group
        self.enter = nn.Linear(config.group * config.feature_dim, config.dim)
        self.dropout = nn.Dropout(0.1)
        self.transformer = Transformer(
            config.dim, config.listen_depth, config.num_heads, config.ffn_dim
        )
        self.leave = nn.Linear(config.dim, out_dim)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        features = F.pad(features, (0, 0, 0, -features.shape[1] % self.group))
        grouped = features.unflatten(1, (-1, self.group)).flatten(2)
        h = self.enter(self.dropout(grouped))
        index = torch.arange(h.shape[1], device=h.device)
        seen = index[None] < self.num_positions(lengths)[:, None]
        return self.leave(self.transformer(h, index, seen[:, None, None]))

    def num_positions(self, lengths: Tensor) -> Tensor:
        """How many vectors sounds of so many features become."""
        return (lengths + self.group - 1) // self.group


class Thinker(nn.Module):
    """A dialogue to the next answer, word by word, with a state at each word.

    What the adapter makes of a sound is taken as guesses at words: a position of it enters the
    sequence as the mean of all words' vectors, each weighted by how likely it is. So what was
    learnt of written words holds for spoken ones, and a guess that is not sure stays one.

    Each turn is `<who>` and then its sound's vectors or its words. The states of an answer are
    `pad` (the words run ahead, nothing can be spoken yet), `start` (the first sentence is whole:
    speech may begin), `generating`, and `stop`, which has no word.
    """

    name = "omni-thinker"

    def __init__(self, config: ThinkerConfig, backbone: Backbone) -> None:
        super().__init__()
        self.config = config
        self.backbone = backbone
        self.adapter = SoundAdapter(config, backbone.dim)
        self.who = nn.Embedding(2, backbone.dim)
        nn.init.normal_(self.who.weight, std=backbone.dim**-0.5)
        self.state_head = nn.Linear(backbone.dim, len(STATES))

    def bare(self) -> nn.Module:
        """All but the backbone, which may be kept elsewhere."""
        return nn.ModuleDict(
            {"adapter": self.adapter, "who": self.who, "state_head": self.state_head}
        )

    def read(self, rows: list[list[Exchange]]) -> Read:
        """Rows of turns as the sequence: the one way into it, in training and when answering."""
        device = self.who.weight.device
        sounds, lengths, heard = self._sounds(rows, device)
        rest = iter(()) if sounds is None else iter(zip(sounds, lengths, strict=True))
        vectors, tokens, states = [], [], []
        for row in rows:
            parts, token_target, state_target = [], [], []
            for turn in row:
                parts.append(self.who.weight[turn.who][None])
                if turn.sound is not None:
                    vector, length = next(rest)
                    inside = self._guesses(vector[:length])
                else:
                    numbers = torch.tensor(turn.tokens, dtype=torch.long, device=device)
                    inside = self.backbone.embed(numbers)
                parts.append(inside.to(parts[0].dtype))
                predicts = turn.who == AGENT and turn.tokens
                nothing = [NO_TARGET] * (1 + len(inside))
                token_target += [*turn.tokens, NO_TARGET] if predicts else nothing
                state_target += self.states_of(turn.tokens) if predicts else nothing
            vectors.append(torch.cat(parts))
            tokens.append(torch.tensor(token_target))
            states.append(torch.tensor(state_target))
        pad = nn.utils.rnn.pad_sequence
        return Read(
            pad(vectors, batch_first=True),
            pad(tokens, batch_first=True, padding_value=NO_TARGET).to(device),
            pad(states, batch_first=True, padding_value=NO_TARGET).to(device),
            sounds,
            heard,
        )

    def states_of(self, tokens: list[int]) -> list[int]:
        """The states of an answer of N tokens, N + 1 of them."""
        ends = (i for i, token in enumerate(tokens) if self.ends_sentence(token))
        start = next(ends, len(tokens) - 1)
        states = [PAD] * start + [START] + [GENERATING] * (len(tokens) - start - 1)
        return [*states, STOP]

    def ends_sentence(self, token: int) -> bool:
        """Whether a token closes a sentence."""
        return self.backbone.decode([token]).strip().endswith(_SENTENCE_ENDS)

    def losses(self, rows: list[list[Exchange]]) -> Losses:
        """The losses of a batch of dialogues."""
        read = self.read(rows)
        hidden = self.backbone(read.vectors)
        at_word = read.token_target >= 0
        at_state = read.state_target >= 0
        word = self.backbone.logits(hidden[at_word]).float()
        state = self.state_head(hidden[at_state]).float()
        return Losses(
            F.cross_entropy(word, read.token_target[at_word]),
            F.cross_entropy(state, read.state_target[at_state]),
            self._listen_loss(read),
        )

    @torch.inference_mode()
    def answer(
        self, turns: list[Exchange], options: SamplingOptions, generator: torch.Generator
    ) -> Iterator[tuple[int | None, int]]:
        """The answer to a dialogue: (token, state) a step, the last one (None, `STOP`).

        A token comes with every state but `STOP`; an answer that does not stop of itself ends
        without a `STOP`, after `MAX_TOKENS`.
        """
        past = self.backbone.init_past()
        hidden = self.backbone(self.read([[*turns, Exchange(AGENT)]]).vectors, past)[0, -1]
        written: list[int] = []
        while len(written) < MAX_TOKENS:
            allowed = self.state_head(hidden)[: STOP + bool(written)]  # no answer is empty
            state = int(allowed.argmax())
            if state == STOP:
                yield None, STOP
                return
            written.append(draw(self.backbone.logits(hidden).float(), options, generator, []))
            yield written[-1], state
            token = torch.tensor([[written[-1]]], device=hidden.device)
            hidden = self.backbone(self.backbone.embed(token), past)[0, -1]

    def _sounds(
        self, rows: list[list[Exchange]], device: torch.device
    ) -> tuple[Tensor | None, list[int], Tensor | None]:
        """Vectors `[S, G, dim]` of all sounds in the rows, how many each has, what is heard."""
        turns = [turn for row in rows for turn in row if turn.sound is not None]
        if not turns:
            return None, [], None
        pad = nn.utils.rnn.pad_sequence
        features = [turn.sound for turn in turns if turn.sound is not None]
        lengths = torch.tensor([len(sound) for sound in features])
        together = pad(features, batch_first=True).to(device).float()
        vectors = self.adapter(together, lengths.to(device))
        counts = self.adapter.num_positions(lengths).tolist()
        nothing = [torch.full((count,), NO_TARGET) for count in counts]
        known = [n if t.heard is None else t.heard for t, n in zip(turns, nothing, strict=True)]
        heard = pad(known, batch_first=True, padding_value=NO_TARGET).to(device)
        return vectors, counts, heard

    def _guesses(self, heard: Tensor) -> Tensor:
        """Vectors of the adapter `[G, dim]` to means of the words' vectors `[G, dim]`."""
        table = self.backbone.table.to(heard.dtype)
        return F.linear(heard, table).float().softmax(-1).to(heard.dtype) @ table

    def _listen_loss(self, read: Read) -> Tensor:
        if read.sounds is None or read.heard is None:
            return read.vectors.new_zeros(())
        # Neighbours say nearly the same: a third of them teaches as much, for a third of the work.
        chosen = read.heard >= 0
        if self.training:
            chosen &= torch.rand(chosen.shape, device=chosen.device) < 1 / 3
        if not chosen.any():
            return read.vectors.new_zeros(())
        logits = F.linear(read.sounds[chosen], self.backbone.table).float()
        return F.cross_entropy(logits, read.heard[chosen])


def build_thinker(config: ThinkerConfig, folder: Path) -> Thinker:
    """A thinker as its configuration has it.

    Args:
        config: its `backbone` is a path, or relative to `folder`.
        folder: where the thinker's weights are, or will be.
    """
    if config.backbone:
        return Thinker(config, HuggingFaceBackbone(str(folder / config.backbone)))
    sizes = (config.dim, config.depth, config.num_heads, config.ffn_dim)
    return Thinker(config, WordBackbone(config.words, *sizes))
