"""Single frames from all over the corpus, to pre-train the short context."""

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
class ShortContextFrames:
    """N frames with their local context.

    Attributes:
        frames: `[N, latent_dim]`.
        before: preceding frames, newest first, `[N, count, latent_dim]`.
        there: mask of those within the same sentence, `[N, count]`.
        age: frames that the unit under the pointer has lasted, `[N]`.
        plan: plan of the sentence, `[N, 4]`.
        style: style vector of another utterance of the voice, `[N, style_dim]`.
        around: output of `units_around`, `[N, AROUND]`.
    """

    frames: Tensor
    before: Tensor
    there: Tensor
    age: Tensor
    plan: Tensor
    style: Tensor
    around: Tensor

    def to(self, device: torch.device) -> "ShortContextFrames":
        return ShortContextFrames(*(value.to(device) for value in vars(self).values()))


class ShortContextData:
    """All frames of the corpus with their local context, at a few bytes per frame beyond the
    latents.

    Frames of a batch come from different utterances, which trains better than contiguous frames.
    """

    def __init__(
        self, dialogues: Dialogues, latents: list[LatentPosterior], model: DialogueModel
    ) -> None:
        self._means = torch.from_numpy(np.concatenate([one.mean for one in latents]))
        self._spreads = torch.from_numpy(np.concatenate([one.informative_std for one in latents]))
        self._styles = torch.from_numpy(np.stack([one.style for one in dialogues.encoded]))
        self._no_style = dialogues.recipe.no_style
        first = np.cumsum([0] + [len(one.mean) for one in latents])
        same = dialogues.corpus.by_voice
        self._same = [same[u.voice] for u in dialogues.corpus.utterances]
        rows: list[Tensor] = []
        around: list[Tensor] = []
        for index in range(len(latents)):
            at = int(first[index])  # sentences partition the frames, in order
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

    def draw(self, generator: np.random.Generator, batch: int, count: int) -> ShortContextFrames:
        """Samples `batch` frames with `count` preceding frames each."""
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
        return ShortContextFrames(
            drawn[:, 0], drawn[:, 1:], there[:, 1:], age, torch.stack(plan, dim=1), style, around
        )
