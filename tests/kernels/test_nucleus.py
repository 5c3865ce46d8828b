"""The compiled filter equals the reference."""

import pytest
import torch

from kernels.nucleus import nucleus, nucleus_reference


@pytest.mark.parametrize("count", [1, 2, 7, 1024, 2560])
@pytest.mark.parametrize("temperature", [1e-4, 0.2, 1.0, 2.0])
@pytest.mark.parametrize("mass", [1e-3, 0.5, 0.9, 0.999, 1.0])
def test_as_the_reference(count: int, temperature: float, mass: float) -> None:
    generator = torch.Generator().manual_seed(count)
    logits = 3 * torch.randn(count, generator=generator)
    made = nucleus(logits, temperature, mass)
    wanted = nucleus_reference(logits, temperature, mass)
    torch.testing.assert_close(made, wanted, atol=1e-5, rtol=1e-4)
    assert made.sum() == pytest.approx(1, abs=1e-5)


def test_those_that_are_as_likely_go_by_their_order() -> None:
    made = nucleus(torch.zeros(10), 1.0, 0.35)
    torch.testing.assert_close(made, torch.tensor([0.25] * 4 + [0.0] * 6))


def test_what_is_not_a_number_does_not_vanish() -> None:
    logits = torch.randn(50)
    logits[7] = float("nan")
    assert nucleus(logits, 0.2, 0.9).isnan().any()


def test_another_type_and_a_view_are_taken() -> None:
    logits = torch.randn(4, 30)
    wide = nucleus(logits.double()[:, ::2][1], 0.5, 0.8)
    torch.testing.assert_close(wide, nucleus(logits[1, ::2], 0.5, 0.8), atol=1e-6, rtol=1e-4)
