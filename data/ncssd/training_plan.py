"""Duration and amount of data of a training of the builder's networks."""

import math
from dataclasses import dataclass

_WARM_UP = 0.1  # fraction of the steps


@dataclass(frozen=True)
class TrainingPlan:
    """The settings of a training.

    Attributes:
        minutes_of_sound: simulated audio per round.
        steps: total number of steps.
        rounds: number of rounds.
        batch: examples per step.
        lr: peak learning rate.
        seed: random seed.
        limit: most dialogues read from each corpus.
    """

    minutes_of_sound: float = 400.0
    steps: int = 8000
    rounds: int = 10
    batch: int = 16
    lr: float = 2e-3
    seed: int = 0
    limit: int = 2000

    @property
    def steps_per_round(self) -> int:
        return -(-self.steps // self.rounds)

    def lr_at(self, step: int) -> float:
        """Learning rate: linear warm-up, then cosine decay."""
        rising = (step + 1) / max(1.0, _WARM_UP * self.steps)
        falling = 0.5 * (1.0 + math.cos(math.pi * step / self.steps))
        return self.lr * min(rising, falling)
