"""The fast product equals the reference; a replaced layer's outputs are nearly the same."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from kernels.int8_linear import Int8Linear, linear, num_parameters, with_int8_linears
from kernels.int8_linear.linear import FEW_ROWS, ROWS_TOGETHER
from kernels.quantising import quantise


@pytest.mark.parametrize("lead", [(), (1,), (2, 3), (4, 40)])
def test_few_and_many_rows_are_near_the_layer(lead: tuple[int, ...]) -> None:
    torch.manual_seed(2)
    given = nn.Linear(256, 96)
    x = torch.randn(*lead, 256)
    with torch.inference_mode():
        wanted, made = given(x), Int8Linear(given)(x)
    assert made.shape == wanted.shape
    assert (made - wanted).norm() < 0.02 * wanted.norm()


def test_every_linear_layer_inside_is_replaced() -> None:
    model = nn.Sequential(nn.Linear(64, 32), nn.Sequential(nn.LayerNorm(32), nn.Linear(32, 2)))
    with_int8_linears(model)
    kinds = [type(module) for module in model.modules()]
    assert kinds.count(Int8Linear) == 2 and nn.Linear not in kinds


def test_parameters_are_counted_wherever_they_lie() -> None:
    model = nn.Sequential(nn.Linear(64, 8), nn.Linear(8, 3, bias=False), nn.LayerNorm(3))
    count = num_parameters(model)
    assert count == 64 * 8 + 8 + 8 * 3 + 6
    assert num_parameters(with_int8_linears(model)) == count


@pytest.mark.parametrize("bf16", [True, False])
@pytest.mark.parametrize("rows", [0, 1, 8, 9, 100])
@pytest.mark.parametrize("shape", [(64, 7), (5, 256), (1, 1)])
@pytest.mark.parametrize("biased", [True, False])
def test_as_the_rounded_matrix(
    bf16: bool, rows: int, shape: tuple[int, int], biased: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "has_bf16", lambda: bf16)
    torch.manual_seed(1)
    given, x = nn.Linear(shape[1], shape[0], bias=biased), torch.randn(rows, shape[1])
    weight_int8, scale = quantise(given.weight.detach())
    with torch.inference_mode():
        made = Int8Linear(given)(x)
        wanted = F.linear(x, weight_int8 * scale[:, None], given.bias)
    rounded = 2e-2 if bf16 and rows > FEW_ROWS else 1e-5
    torch.testing.assert_close(made, wanted, rtol=rounded, atol=rounded)
    assert made.dtype == torch.float32


@pytest.mark.parametrize("scale_type", [torch.float32, torch.float16])
@pytest.mark.parametrize("shape", [(3, 32), (5, 7), (1, 1), (4, 3, 5), (2, 6, 1)])
@pytest.mark.parametrize("size", [1e-6, 0.02, 300.0])
def test_a_rounded_matrix_is_near_itself(
    shape: tuple[int, ...], size: float, scale_type: torch.dtype
) -> None:
    matrix = size * torch.randn(shape, generator=torch.Generator().manual_seed(1))
    weight_int8, scale = quantise(matrix, scale_type)
    assert (
        weight_int8.shape == shape and scale.dtype == scale_type and weight_int8.abs().max() <= 127
    )
    back = weight_int8 * scale.float().view(-1, *[1] * (len(shape) - 1))
    step = scale.float().view(-1, *[1] * (len(shape) - 1))
    assert ((back - matrix).abs() <= 0.5 * step + 127 * step * torch.finfo(scale_type).eps).all()


def test_many_rows_come_to_the_product_in_few_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: set[int] = set()
    monkeypatch.setattr(linear, "has_bf16", lambda: True)
    product = F.linear
    monkeypatch.setattr(F, "linear", lambda x, w: sizes.add(x.shape[0]) or product(x, w))
    layer = Int8Linear(nn.Linear(64, 32))
    rows = torch.randn(3 * ROWS_TOGETHER, 64)
    whole = layer(rows)
    for count in range(FEW_ROWS + 1, len(rows), 7):
        torch.testing.assert_close(layer(rows[:count]), whole[:count])
    assert sizes == {2 * ROWS_TOGETHER, 3 * ROWS_TOGETHER}


def test_rows_may_lie_anywhere() -> None:
    layer = Int8Linear(nn.Linear(32, 4))
    turned = torch.randn(32, 2).T
    assert torch.equal(layer(turned), layer(turned.contiguous()))
