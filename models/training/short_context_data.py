"""Single frames from all over the corpus, for what is learnt of a frame from near by."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.predictors.dialogue_model import DialogueModel
from models.predictors.sequence import ages
from models.predictors.units import units_around
from models.training.dialogues import Dialogues
from models.training.encoded import LatentPosterior


@dataclass
class NearFrames:
    """N frames and what is near them.

    Attributes:
        frames: `[N, latent_dim]`.
        before: the frames before each, newest first, `[N, count, latent_dim]`.
        there: which of them are of its sentence, `[N, count]`.
        age: how long the unit under its pointer has lasted, `[N]`.
        plan: of its sentence, `[N, 4]`.
        style: of another utterance of its voice, `[N, style_dim]`.
        around: of `units_around`, `[N, AROUND]`.
    """

    frames: Tensor
    before: Tensor
    there: Tensor
    age: Tensor
    plan: Tensor
    style: Tensor
    around: Tensor

    def to(self, device: torch.device) -> "NearFrames":
        return NearFrames(*(value.to(device) for value in vars(self).values()))


class NearCorpus:
    """Every frame of the corpus's sentences with what is near it, a few bytes each beside the
    latents.

    Neighbours in a batch are of different utterances, which teaches more than a stretch of one
    does.
    """

    def __init__(
        self, dialogues: Dialogues, latents: list[LatentPosterior], model: DialogueModel
    ) -> None:
        self._means = torch.from_numpy(np.concatenate([one.mean for one in latents]))
        self._spreads = torch.from_numpy(np.concatenate([one.heard_std for one in latents]))
        self._styles = torch.from_numpy(np.stack([one.style for one in dialogues.encoded]))
        self._no_style = dialogues.recipe.no_style
        first = np.cumsum([0] + [len(one.mean) for one in latents])
        same = dialogues.corpus.by_voice
        self._same = [same[u.voice] for u in dialogues.corpus.utterances]
        rows: list[Tensor] = []
        around: list[Tensor] = []
        for index in range(len(latents)):
            at = int(first[index])  # sentences hold all frames, one after the other
            for segment in dialogues.segments_of(index, model):
                assert segment.pointer is not None and segment.plan is not None
                count = len(segment.pointer)
                columns = [
                    torch.arange(at, at + count),
                    torch.arange(count),
                    torch.full((count,), index),
                    ages(segment.pointer),
                    *(torch.full((count,), int(value)) for value in segment.plan),
                ]
                at += count
                rows.append(torch.stack(columns, dim=1).int())
                around.append(units_around(segment.units)[segment.pointer].short())
            assert at == first[index + 1]
        self._rows, self._around = torch.cat(rows), torch.cat(around)

    def draw(self, generator: np.random.Generator, batch: int, count: int) -> NearFrames:
        """`batch` frames, each after `count` others."""
        chosen = torch.from_numpy(generator.integers(len(self._rows), size=batch))
        frame, since, utterance, age, *plan = self._rows[chosen].long().unbind(1)
        back = torch.arange(count + 1)
        there = back <= since[:, None]
        wanted = (frame[:, None] - back).clamp(min=0)
        means, spreads = self._means[wanted].float(), self._spreads[wanted].float()
        drawn = means + spreads * torch.randn_like(means)
        others = [self._same[i] for i in utterance.tolist()]
        picks = generator.random(batch)
        whose = [same[int(pick * len(same))] for same, pick in zip(others, picks, strict=True)]
        style = self._styles[torch.tensor(whose)].float()
        style[torch.from_numpy(generator.random(batch) < self._no_style)] = 0.0
        around = self._around[chosen].long()
        return NearFrames(
            drawn[:, 0], drawn[:, 1:], there[:, 1:], age, torch.stack(plan, dim=1), style, around
        )
