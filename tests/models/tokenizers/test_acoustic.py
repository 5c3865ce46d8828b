"""Residual codes: any prefix of levels decodes, and each level reduces the error."""

import torch

from models.tokenizers.acoustic import AcousticConfig, AcousticTokenizer
from models.training.acoustic import _clustered
from models.training.acoustic_decoder import _near, _training_input
from tests.tiny import tiny


def fitted(points: torch.Tensor) -> AcousticTokenizer:
    model = AcousticTokenizer(AcousticConfig(latent_dim=points.shape[1], num_levels=3, num_codes=8))
    model.scale.copy_(torch.tensor([2.0, 0.5]))
    rest = points / model.scale
    for level in range(3):
        model.codebooks[level] = _clustered(
            rest, rest[:8], 30, torch.Generator().manual_seed(level)
        )
        codes = model.encode(points, level + 1)[..., -1]
        rest = rest - model.codebooks[level][codes]
    return model


def test_each_level_reduces_the_error() -> None:
    points = torch.randn(400, 2, generator=torch.Generator().manual_seed(3)) * 2
    model = fitted(points)
    codes = model.encode(points)
    errors = [
        float(((model.decode(codes[:, :n]) - points) / model.scale).square().mean())
        for n in (1, 2, 3)
    ]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    torch.testing.assert_close(model.encode(points, 2), codes[:, :2])
    torch.testing.assert_close(model.sums(codes)[:, -1] * model.scale, model.decode(codes))


def test_dead_codes_restart() -> None:
    """Two clusters of points with all centres in one of them: none stays unused."""
    heaps = torch.cat([torch.zeros(900, 2), torch.full((100, 2), 50.0)])
    heaps = heaps + 0.1 * torch.randn(heaps.shape, generator=torch.Generator().manual_seed(0))
    centres = _clustered(heaps, heaps[:16], 30, torch.Generator().manual_seed(1))
    codes = torch.cdist(heaps, centres).argmin(-1)
    assert len(codes.unique()) == 16
    assert (centres > 25).any()


def test_targets_of_corrupted_rows() -> None:
    """Clean rows have the tokenizer's own codes as targets; corrupted rows the remaining
    residual."""
    acoustic = tiny("acoustic")
    assert isinstance(acoustic, AcousticTokenizer)
    torch.manual_seed(0)
    scaled = torch.randn(4, 50, 8)
    nothing = torch.full((4, 50), -1)  # no sampled codes
    first, totals, targets = _training_input(acoustic, _near(acoustic, 16), scaled, nothing, 0.15)
    codes = acoustic.encode(scaled * acoustic.scale)
    for row in (1, 3):  # clean rows
        torch.testing.assert_close(first[row], codes[row, :, 0])
        torch.testing.assert_close(targets[:, row], codes[row, :, 1:].T)
        sums = acoustic.sums(codes[row])[:, :-1].transpose(0, 1)
        torch.testing.assert_close(totals[:, row], sums)
    for row in (0, 2):
        assert (first[row] != codes[row, :, 0]).any()
        for level, book in enumerate(acoustic.codebooks[1:]):
            left = scaled[row] - totals[level, row]
            torch.testing.assert_close(targets[level, row], torch.cdist(left, book).argmin(-1))
