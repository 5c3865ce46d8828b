"""Packed layers equal those that they replace, for any number of rows."""

import copy

import pytest
import torch
from torch import nn

from kernels.packed_linear import PackedConv1d, PackedLinear, with_packed_layers
from models.streaming import CausalConv1d, ConvNeXtStack
from tests.tiny import STYLE, tiny

FLOAT, CPU = torch.float32, torch.device("cpu")


@pytest.mark.parametrize("lead", [(1,), (7,), (8,), (1, 9), (2, 32), (65,), (3, 100), (0,)])
@pytest.mark.parametrize("shape", [(320, 960), (5, 3), (1, 1), (288, 160)])
@pytest.mark.parametrize("biased", [True, False])
def test_a_linear_layer(lead: tuple[int, ...], shape: tuple[int, int], biased: bool) -> None:
    torch.manual_seed(1)
    linear = nn.Linear(*shape, bias=biased).requires_grad_(False)
    x = torch.randn(*lead, shape[0])
    packed = PackedLinear(linear)
    torch.testing.assert_close(packed(x), linear(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (5, 1), (4, 2)])
@pytest.mark.parametrize("padding", [0, 2])
@pytest.mark.parametrize("length", [5, 6, 40, 200])
def test_a_convolution(kernel: int, stride: int, padding: int, length: int) -> None:
    torch.manual_seed(2)
    conv = nn.Conv1d(6, 10, kernel, stride, padding).requires_grad_(False)
    x = torch.randn(2, 6, length)
    torch.testing.assert_close(PackedConv1d(conv)(x), conv(x), atol=1e-5, rtol=1e-5)


def test_what_is_not_a_number_does_not_vanish() -> None:
    packed = PackedLinear(nn.Linear(16, 4))
    x = torch.zeros(3, 16)
    x[1, 5] = float("nan")
    assert packed(x).isnan().all(-1).tolist() == [False, True, False]


def test_only_what_can_be_replaced_is() -> None:
    model = nn.Sequential(
        nn.Conv1d(4, 4, 3, groups=4), nn.Conv1d(4, 4, 3, dilation=2), CausalConv1d(4, 2, 3)
    )
    with_packed_layers(model)
    kinds = [type(each) for each in model.modules()]
    assert kinds.count(nn.Conv1d) == 2 and kinds.count(PackedConv1d) == 1


@pytest.mark.parametrize("name", ["prior", "decoder", "acoustic-decoder"])
def test_a_model_says_the_same_and_still_streams(name: str) -> None:
    plain = tiny(name)
    packed = with_packed_layers(copy.deepcopy(plain))
    torch.manual_seed(3)
    style, sizes = torch.randn(2, STYLE), [1, 1, 3, 7, 2, 6]
    if name == "decoder":
        given: tuple[torch.Tensor, ...] = (torch.randn(2, sum(sizes), 8),)
    else:
        codes, phones = (torch.randint(1, 16, (2, sum(sizes), *more)) for more in ((), (3,)))
        given = (codes, phones)
    with torch.inference_mode():
        wanted = plain(*given, style)
        state = packed.init_state(2)
        pieces = zip(*(each.split(sizes, 1) for each in given), strict=True)
        last = [()] * (len(sizes) - 1) + [(0.2, True)]
        made = [
            packed(*piece, style, state, *(() if name == "decoder" else more or (0.2, False)))
            for piece, more in zip(pieces, last, strict=True)
        ]
    if name == "decoder":
        wanted, made = wanted[0], [samples for samples, _ in made]
    torch.testing.assert_close(torch.cat(made, 1), wanted, atol=2e-3, rtol=1e-3)


def test_a_stack_without_condition() -> None:
    torch.manual_seed(4)
    stack = ConvNeXtStack(12, 2, kernel=5).eval().requires_grad_(False)
    x = torch.randn(3, 20, 12)
    wanted = stack(x)
    torch.testing.assert_close(with_packed_layers(stack)(x), wanted, atol=1e-5, rtol=1e-4)
