"""One number samples one code, as often as the weights say."""

import pytest
import torch

from models.predictors.sampling import SamplingOptions, draw, pick


def test_chances_are_in_proportion_to_the_weights() -> None:
    weights, generator = torch.tensor([0.0, 3.0, 0.0, 1.0, 0.0]), torch.Generator().manual_seed(1)
    drawn = torch.tensor([pick(weights, generator) for _ in range(4000)])
    assert set(drawn.tolist()) == {1, 3}
    assert (drawn == 1).float().mean() == pytest.approx(0.75, abs=0.03)


@pytest.mark.parametrize("weights", [[0.0, 0.0], [1.0, float("nan")], [float("inf"), 1.0]])
def test_what_is_no_distribution_is_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="cannot sample"):
        pick(torch.tensor(weights), torch.Generator())


@pytest.mark.parametrize("changed", [{}, {"top_k": 5}, {"typical_p": 0.5}, {"top_p": 1.0}])
def test_a_seed_repeats_whatever_the_filters(changed: dict[str, float]) -> None:
    torch.manual_seed(2)
    options, logits = SamplingOptions(**changed), 0.3 * torch.randn(200)  # type: ignore[arg-type]

    def codes() -> list[int]:
        generator = torch.Generator().manual_seed(3)
        return [draw(logits, options, generator, []) for _ in range(20)]

    assert codes() == codes() and len(set(codes())) > 1
