"""The judges and the decoder: one backward pass serves both sides and mixes nothing up."""

import torch
from torch import Tensor

from models.training.adversary import Judges


def sounds(seed: int) -> tuple[Tensor, Tensor]:
    """Tones and noise of one loudness, `[2, 4800]` each."""
    torch.manual_seed(seed)
    time = torch.arange(4800) / 24_000
    pitch = 100 + 200 * torch.rand(2, 1)
    tones = 0.3 * torch.sin(6.2832 * pitch * time)
    return tones, 0.2 * torch.randn(2, 4800)


def _value(loss: Tensor) -> float:
    return loss.detach().item()


def test_the_judges_learn_from_their_own_loss_only() -> None:
    real, made = sounds(0)
    made.requires_grad_(True)
    judges = Judges()
    losses = judges.losses(made, real)
    losses["judge"].backward(retain_graph=True)
    assert made.grad is None
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in judges.parameters())
    before = [p.grad.clone() for p in judges.parameters() if p.grad is not None]
    (losses["adversarial"] + losses["features"]).backward()
    assert made.grad is not None and made.grad.abs().sum() > 0
    after = [p.grad for p in judges.parameters() if p.grad is not None]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_judges_come_to_tell_noise_from_tones() -> None:
    torch.manual_seed(1)
    judges = Judges()
    optimizer = torch.optim.Adam(judges.parameters(), 3e-3)
    for step in range(30):
        real, made = sounds(step)
        optimizer.zero_grad()
        judges.losses(made, real)["judge"].backward()
        optimizer.step()
    real, made = sounds(1000)
    told = judges.losses(made, real)
    fooled = judges.losses(real, real)
    assert _value(told["judge"]) < 0.2  # that of a judge who cannot tell is 0.5 at best
    assert _value(told["adversarial"]) > _value(fooled["adversarial"]) + 0.3
    assert _value(fooled["features"]) == 0
