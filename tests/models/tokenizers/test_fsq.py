"""The scalar quantiser and its code embeddings."""

import pytest
import torch
from torch import nn

from models.tokenizers.fsq import FSQ, CodeEmbedding, CodeHead, with_folded_codes

LEVELS = (4, 3, 5)


def test_every_code_decodes_to_values_that_quantise_to_it() -> None:
    fsq = FSQ(LEVELS)
    codes = torch.arange(60)
    values = fsq.decode(codes)
    again, found = fsq(torch.atanh(values))
    assert torch.equal(found, codes)
    torch.testing.assert_close(again, values)
    assert len(values.unique(dim=0)) == 60


def test_extremes_stay_in_range_and_gradients_pass() -> None:
    fsq = FSQ(LEVELS)
    x = torch.tensor([[-50.0, 50.0, 0.1]], requires_grad=True)
    values, codes = fsq(x)
    assert 0 <= int(codes) < 60 and values.abs().max() < 1
    values.sum().backward()
    assert x.grad[0, 2] > 0.5


@pytest.mark.parametrize("level", [0, 1, 2])
def test_head_and_embedding_share_the_level_order(level: int) -> None:
    """Raising the logit of one level value raises exactly the codes with that value."""
    head, embedding = CodeHead(LEVELS, 2), CodeEmbedding(LEVELS, 2)
    for parameter in head.parameters():
        torch.nn.init.zeros_(parameter)
    row = sum(LEVELS[:level]) + 1
    head.shared.bias.data[row] = 1.0
    favoured = head(torch.zeros(2)).nonzero()[:, 0]
    has_it = (embedding.digits == row).any(-1).nonzero()[:, 0]
    assert torch.equal(favoured, has_it)


@pytest.mark.parametrize("num_extra", [0, 2])
def test_folded_layers_are_equivalent(num_extra: int) -> None:
    torch.manual_seed(5)
    codes, hidden = torch.arange(60 + num_extra), torch.randn(3, 4, 8)
    model = nn.ModuleList([CodeHead(LEVELS, 8), CodeEmbedding(LEVELS, 8, num_extra)])
    wanted = model[0](hidden), model[1](codes)
    with_folded_codes(model)
    assert [type(each) for each in model] == [nn.Linear, nn.Embedding]
    torch.testing.assert_close((model[0](hidden), model[1](codes)), wanted, atol=1e-5, rtol=1e-5)
