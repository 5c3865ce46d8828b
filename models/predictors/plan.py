"""The prosody of a turn as four tokens: mean pitch, pitch range, level and rate.

They stand between a turn's text and its frames, like Chain-Talker's style tokens: the model chooses
its prosody from the dialogue before it speaks, and sees that of past turns. Training and inference
measure them from a turn's semantic codes by the same function.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.tokenizers.semantic import Prosody

PLAN_FIELDS = ("pitch", "range", "level", "rate")
NUM_BINS = 16


@dataclass(frozen=True)
class PlanScale:
    """The value at the centre of the first and of the last bin of each field."""

    low: tuple[float, ...] = (-1.0, 0.0, -1.0, 4.0)
    high: tuple[float, ...] = (1.0, 1.2, 0.6, 20.0)

    def pitch(self, plan: Tensor) -> float:
        """The mean log-F0 of a plan `[4]`, relative to the speaker, in units of `LOG_F0_UNIT`."""
        low, high = self.low[0], self.high[0]
        return low + float(plan[0]) / (NUM_BINS - 1) * (high - low)

    def bins(self, values: Tensor) -> Tensor:
        """Quantises values `[..., 4]` to bins `[..., 4]`, 0 to 15."""
        low, high = torch.tensor(self.low), torch.tensor(self.high)
        return (
            ((values - low) / (high - low) * (NUM_BINS - 1)).round().clamp(0, NUM_BINS - 1).long()
        )


def measure_plan(prosody: Prosody, num_phones: int) -> Tensor:
    """The plan `[4]` of one turn, from the prosody `[1, T]` decoded from its codes.

    Pitch and range are mean and standard deviation of relative log-F0 over voiced frames, level is
    the mean energy of voiced frames, rate is phones per second of speech.
    """
    log_f0, energy = prosody.log_f0[0].float().cpu(), prosody.energy[0].float().cpu()
    voiced = prosody.voicing[0].cpu() > 0
    if voiced.sum() < 2:
        return torch.tensor([0.0, 0.0, -1.0, 4.0])
    active = energy > energy[voiced].mean() - 2.0
    pitch = log_f0[voiced]
    seconds = max(float(active.sum()) * 0.04, 0.04)
    return torch.stack(
        [
            pitch.mean(),
            pitch.std(),
            energy[voiced].mean(),
            torch.tensor(num_phones / seconds),
        ]
    )
