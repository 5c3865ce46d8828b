"""Products with packed matrices: every type of weights, any number of rows, columns and depth."""

import numpy as np
import pytest
import torch
from torch import Tensor

from kernels.panels import multiply, panels_of, scaled_panels


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    made = torch.full((len(x), len(weight)), torch.nan)
    multiply(x.numpy(), *panels_of(weight, bias), made.numpy())
    return made


def weights(kind: str, *shape: int) -> Tensor:
    if kind == "int8":
        whole = torch.randint(-127, 128, shape).float()
        whole[:, 0] = 127
        return whole * (0.5 + torch.rand(shape[0], 1)).half()
    made = torch.randn(shape)
    return made.half().float() if kind == "int16" else made


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 5, 6, 7, 11, 13, 48, 49, 100])
@pytest.mark.parametrize("shape", [(64, 32), (80, 7), (5, 3), (1, 1), (33, 40)])
@pytest.mark.parametrize("kind", ["int8", "int16", "float32"])
def test_as_the_plain_product(rows: int, shape: tuple[int, int], kind: str) -> None:
    torch.manual_seed(1)
    weight, bias, x = weights(kind, *shape), torch.randn(shape[0]), torch.randn(rows, shape[1])
    assert panels_of(weight).weights.dtype == np.dtype(kind)
    wanted = x.double() @ weight.double().T + bias
    made = product(x, weight, bias).double()
    torch.testing.assert_close(made, wanted, atol=1e-4 * float(weight.abs().max()), rtol=1e-5)


@pytest.mark.parametrize("columns", [48, 20])
def test_a_row_does_not_depend_on_the_others(columns: int) -> None:
    torch.manual_seed(2)
    weight, x = torch.randn(columns, 40), torch.randn(60, 40)
    together = product(x, weight)
    for count in range(1, 20):
        for first in (0, 7, 60 - count):
            assert torch.equal(product(x[first : first + count], weight), together[first:][:count])


def test_what_is_not_a_number_spoils_its_row_alone() -> None:
    x = torch.zeros(9, 16)
    x[4, 5] = torch.nan
    assert product(x, torch.randn(20, 16)).isnan().all(-1).tolist() == [i == 4 for i in range(9)]


def test_a_matrix_of_zeros() -> None:
    assert not product(torch.randn(3, 8), torch.zeros(4, 8)).any()


def test_several_matrices_are_packed_as_each_alone() -> None:
    torch.manual_seed(3)
    several, bias = torch.randn(3, 20, 8), torch.randn(3, 20)
    together = panels_of(several, bias)
    for index in range(3):
        for whole, alone in zip(together, panels_of(several[index], bias[index]), strict=True):
            assert np.array_equal(whole[index], alone)


def test_a_given_scale_is_used() -> None:
    whole, scale, x = torch.randint(-9, 9, (5, 8)), torch.rand(5), torch.randn(2, 8)
    made = torch.empty(2, 5)
    multiply(x.numpy(), *scaled_panels(whole.to(torch.int8), scale), made.numpy())
    torch.testing.assert_close(made, x @ (whole * scale[:, None]).T)
