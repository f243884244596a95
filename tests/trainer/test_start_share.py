"""Which share of its start a model keeps."""

import math

import pytest
import torch
from torch import nn

from trainer import start_share


class _Model(nn.Module):
    def __init__(self, *values):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(values))


def _validation(figure):
    return {'model, all terms': {'ndcg@10': figure}}


@pytest.mark.parametrize('best_at', start_share.SHARES)
def test_the_share_that_validates_best_is_mixed_in(best_at):
    model = _Model(0., 4., -math.inf)
    first = start_share.first_weights(model)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([1., 8., -math.inf]))

    def validate(mixed):
        return _validation(-abs(1 - float(mixed.weight[0]) - best_at))

    best = {'step': 7, 'validation': validate(model)}
    start_share.choose(model, first, best, validate)
    assert best['start_share'] == best_at
    assert best['validation'] == _validation(pytest.approx(0))
    assert model.weight.tolist() == [1 - best_at, 8 - 4 * best_at, -math.inf]


def test_of_equal_shares_the_smallest_is_kept():
    model = _Model(1.)
    first = [torch.zeros(1)]
    best = {'validation': _validation(.5)}
    start_share.choose(model, first, best, lambda _: _validation(.5))
    assert best['start_share'] == 0
    assert model.weight.tolist() == [1.]
