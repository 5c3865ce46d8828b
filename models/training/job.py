"""What every recipe is told."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from models.checkpoint import save_model
from models.training.configuration import Recipe
from models.training.corpus import Corpus
from models.training.loop import Budget, Run, done_once


@dataclass(frozen=True)
class Job:
    """One recipe's task.

    Attributes:
        data: the folder of the corpus; what is made of its utterances is kept there.
        corpus: what to learn from.
        out: the folder of weights, those it needs and those it writes.
        work: the folder of checkpoints and logs.
        seed: of everything random.
        budget: how long.
        resume: go on from the checkpoint in `work`.
    """

    data: Path
    corpus: Corpus
    out: Path
    work: Path
    seed: int
    budget: Budget
    resume: bool = False

    def run(self, name: str, recipe: Recipe, rate: float | None = None) -> Run:
        """The training run called `name`, as `recipe` has it; `rate` is another learning rate."""
        return Run(
            self.work / name,
            self.seed,
            self.budget,
            recipe.rate if rate is None else rate,
            weight_decay=recipe.weight_decay,
            warmup=recipe.warmup,
            clip=recipe.clip,
            resume=self.resume,
        )

    def save(self, name: str, model: nn.Module, config: object, int8: bool = False) -> None:
        """Writes the weights called `name` to `out`, as `save_model` does, floats as float16; of
        several processes only the first writes."""
        done_once(lambda: save_model(self.out, name, model, config, half=True, int8=int8))
