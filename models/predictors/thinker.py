"""The thinker: from the user's speech to the words of an answer and a stream of states.

The half of Flow-Omni (arXiv 2412.04917) that decides what to say, without a recogniser or a
language model: the user's audio enters a decoder-only model as vectors, the agent's turns as words.
Each step of an answer yields a word and a state; a predictor speaks the words once the state allows
it.
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
MAX_TOKENS = 80  # an answer is cut off here: about four long sentences
_SENTENCE_ENDS = (".", "?", "!")


@dataclass(frozen=True)
class ThinkerConfig:
    """Sizes of the thinker.

    Attributes:
        feature_dim: dimension of the audio features, at 25 Hz.
        group: features stacked into one position of the sequence.
        listen_depth: layers of the audio adapter.
        words: vocabulary of our own backbone.
        backbone: folder of a Hugging Face causal language model to use instead; empty for none.
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
    """One turn as input: `sound`, features `[T, feature_dim]`, or `tokens`.

    An agent turn has `tokens`; an empty one is about to be generated. `spoken_tokens` `[G]` are the
    training targets: the token spoken at each position of the sound.
    """

    who: int
    sound: Tensor | None = None
    tokens: list[int] = field(default_factory=list)
    spoken_tokens: Tensor | None = None


@dataclass
class ThinkerBatch:
    """A batch of dialogues as sequences.

    Attributes:
        vectors: `[B, L, dim]`.
        token_target, state_target: targets `[B, L]`.
        sounds: adapter output `[S, G, dim]`, None without sound.
        sound_target: token targets of the sounds, `[S, G]`.
    """

    vectors: Tensor
    token_target: Tensor
    state_target: Tensor
    sounds: Tensor | None
    sound_target: Tensor | None


@dataclass
class ThinkerLosses:
    """Cross-entropies (nats) of the next word, of the state, and of the word at each position of
    the sound, which trains the adapter."""

    word: Tensor
    state: Tensor
    listen: Tensor


class SoundAdapter(nn.Module):
    """Maps features `[S, T, feature_dim]` at 25 Hz to vectors `[S, ceil(T / group), out_dim]` in
    the backbone's embedding space; a few bidirectional layers over the whole turn."""

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
        """Number of output vectors for sounds of `lengths` features."""
        return (lengths + self.group - 1) // self.group


class Thinker(nn.Module):
    """Generates the next answer word by word, with a state per word.

    Adapter output enters the sequence as soft tokens: the mean of all word embeddings, weighted by
    their probabilities. What the backbone learnt from text then transfers to speech, and
    uncertainty is preserved.

    Each turn is `<who>` followed by its audio vectors or words. The states of an answer are `pad`
    (text only, too early to speak), `start` (the first sentence is complete: speech may begin),
    `generating`, and `stop`, which has no word.
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

    def without_backbone(self) -> nn.Module:
        """Everything but the backbone, whose weights may be stored elsewhere."""
        return nn.ModuleDict(
            {"adapter": self.adapter, "who": self.who, "state_head": self.state_head}
        )

    def read(self, rows: list[list[Exchange]]) -> ThinkerBatch:
        """Builds the input sequences of a batch, for training and inference alike."""
        device = self.who.weight.device
        sounds, lengths, sound_target = self._sounds(rows, device)
        rest = iter(()) if sounds is None else iter(zip(sounds, lengths, strict=True))
        vectors, tokens, states = [], [], []
        for row in rows:
            parts, token_target, state_target = [], [], []
            for turn in row:
                parts.append(self.who.weight[turn.who][None])
                if turn.sound is not None:
                    vector, length = next(rest)
                    inside = self._soft_tokens(vector[:length])
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
        return ThinkerBatch(
            pad(vectors, batch_first=True),
            pad(tokens, batch_first=True, padding_value=NO_TARGET).to(device),
            pad(states, batch_first=True, padding_value=NO_TARGET).to(device),
            sounds,
            sound_target,
        )

    def states_of(self, tokens: list[int]) -> list[int]:
        """The N + 1 states of an answer of N tokens."""
        ends = (i for i, token in enumerate(tokens) if self.ends_sentence(token))
        start = next(ends, len(tokens) - 1)
        states = [PAD] * start + [START] + [GENERATING] * (len(tokens) - start - 1)
        return [*states, STOP]

    def ends_sentence(self, token: int) -> bool:
        """Whether a token ends a sentence."""
        return self.backbone.decode([token]).strip().endswith(_SENTENCE_ENDS)

    def losses(self, rows: list[list[Exchange]]) -> ThinkerLosses:
        """The losses of a batch of dialogues."""
        read = self.read(rows)
        hidden = self.backbone(read.vectors)
        at_word = read.token_target >= 0
        at_state = read.state_target >= 0
        word = self.backbone.logits(hidden[at_word]).float()
        state = self.state_head(hidden[at_state]).float()
        return ThinkerLosses(
            F.cross_entropy(word, read.token_target[at_word]),
            F.cross_entropy(state, read.state_target[at_state]),
            self._listen_loss(read),
        )

    @torch.inference_mode()
    def answer(
        self, turns: list[Exchange], options: SamplingOptions, generator: torch.Generator
    ) -> Iterator[tuple[int | None, int]]:
        """Generates an answer: a (token, state) per step, the last one (None, `STOP`).

        An answer that reaches `MAX_TOKENS` ends without `STOP`.
        """
        past = self.backbone.init_past()
        hidden = self.backbone(self.read([[*turns, Exchange(AGENT)]]).vectors, past)[0, -1]
        written: list[int] = []
        while len(written) < MAX_TOKENS:
            allowed = self.state_head(hidden)[: STOP + bool(written)]  # never an empty answer
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
        """Adapter output `[S, G, dim]` of all sounds in the batch, their lengths, token targets."""
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
        known = [
            n if t.spoken_tokens is None else t.spoken_tokens
            for t, n in zip(turns, nothing, strict=True)
        ]
        sound_target = pad(known, batch_first=True, padding_value=NO_TARGET).to(device)
        return vectors, counts, sound_target

    def _soft_tokens(self, vectors: Tensor) -> Tensor:
        """Adapter vectors `[G, dim]` to probability-weighted means of word embeddings `[G,
        dim]`."""
        table = self.backbone.table.to(vectors.dtype)
        return F.linear(vectors, table).float().softmax(-1).to(vectors.dtype) @ table

    def _listen_loss(self, read: ThinkerBatch) -> Tensor:
        if read.sounds is None or read.sound_target is None:
            return read.vectors.new_zeros(())
        # Neighbouring positions are redundant: a third of them trains as well at a third of the
        # cost.
        chosen = read.sound_target >= 0
        if self.training:
            chosen &= torch.rand(chosen.shape, device=chosen.device) < 1 / 3
        if not chosen.any():
            return read.vectors.new_zeros(())
        logits = F.linear(read.sounds[chosen], self.backbone.table).float()
        return F.cross_entropy(logits, read.sound_target[chosen])


def build_thinker(config: ThinkerConfig, folder: Path) -> Thinker:
    """Builds a thinker from its configuration.

    Args:
        config: its `backbone` may be relative to `folder`.
        folder: the folder of the thinker's weights.
    """
    if config.backbone:
        return Thinker(config, HuggingFaceBackbone(str(folder / config.backbone)))
    sizes = (config.dim, config.depth, config.num_heads, config.ffn_dim)
    return Thinker(config, WordBackbone(config.words, *sizes))
