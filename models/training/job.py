"""Arguments shared by all recipes."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from models.checkpoint import save_model
from models.training.configuration import Recipe
from models.training.corpus import Corpus
from models.training.loop import Budget, Run, on_first_process


@dataclass(frozen=True)
class Job:
    """One recipe's job.

    Attributes:
        data: folder of the corpus, also of caches derived from it.
        corpus: training data.
        out: folder of weights, read and written.
        work: folder of checkpoints and logs.
        seed: seed of everything random.
        budget: length of the training.
        resume: continue from the checkpoint in `work`.
    """

    data: Path
    corpus: Corpus
    out: Path
    work: Path
    seed: int
    budget: Budget
    resume: bool = False

    def run(self, name: str, recipe: Recipe, rate: float | None = None) -> Run:
        """The training run called `name` with the settings of `recipe`; `rate` overrides its
        rate."""
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
        """Saves the weights called `name` to `out`, floats as float16; only in the first of several
        processes."""
        on_first_process(lambda: save_model(self.out, name, model, config, half=True, int8=int8))
