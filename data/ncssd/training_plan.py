"""How long a network of the builder is trained, and on how much."""

import math
from dataclasses import dataclass

_WARM_UP = 0.1  # share of the steps


@dataclass(frozen=True)
class TrainingPlan:
    """How long to train, on how much."""

    minutes_of_sound: float = 400.0  # of a round
    steps: int = 8000
    rounds: int = 10
    batch: int = 16
    lr: float = 2e-3
    seed: int = 0
    limit: int = 2000  # dialogues of a corpus

    @property
    def steps_a_round(self) -> int:
        return -(-self.steps // self.rounds)

    def lr_at(self, step: int) -> float:
        """Rises over the first tenth of the steps, then falls as a cosine."""
        rising = (step + 1) / max(1.0, _WARM_UP * self.steps)
        falling = 0.5 * (1.0 + math.cos(math.pi * step / self.steps))
        return self.lr * min(rising, falling)
