"""Which share of its start a model keeps."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.trainer import tiny_batches
from trainer import start_share
from trainer import train


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
    learned = torch.tensor([1., 8., -math.inf])
    with torch.no_grad():
        model.weight.copy_(learned)

    def validate(mixed):
        return _validation(-abs(1 - float(mixed.weight[0].detach()) - best_at))

    with start_share.best(model, first, validate) as (validation, share):
        assert share == best_at
        assert validation == _validation(pytest.approx(0))
        assert model.weight.tolist() == [1 - best_at, 8 - 4 * best_at,
                                         -math.inf]
    assert torch.equal(model.weight, learned)


def test_of_equal_shares_the_smallest_is_kept():
    model = _Model(1.)
    with start_share.best(model, [torch.zeros(1)],
                          lambda _: _validation(.5)) as (_, share):
        assert share == 0
        assert model.weight.tolist() == [1.]


# What each of three validations has of the shares 0, .25 and .5: the best
# mixture is of a step that is not the best without one.
@pytest.mark.parametrize('average_decay', [0., .5])
def test_a_share_has_a_best_step_of_its_own(average_decay):
    figures = iter([.5, .1, .1, .4, .6, .1, .3, .3, .3])
    seen = []

    def validate(_, params):
        seen.append({name: value.clone() for name, value in params.items()})
        return _validation(next(figures))

    def trained(**settings):
        config = tiny_batches.config(
            batch_events=60, negatives=8, moments=2, positives=2,
            learning_rate=.01, patience=0, average_decay=average_decay,
            **settings)
        data = tiny_batches.data([12, 20, 7, 15, 9, 30, 11, 8])
        data.labels[:] = np.nan
        return train.train(config, data, validate, quiet=True,
                           validate_every=1)

    model, history = trained(epochs=3, choose_start_share=True)
    assert [record['start_share'] for record in history] == [0, .25, 0]
    assert history[1]['validation'] == _validation(.6)
    arrays = model.to_arrays()
    for name, value in seen[4].items():
        assert np.array_equal(arrays[name], value.numpy()), name
    # Choosing changes nothing of what is trained on.
    figures, chosen = iter([.5, .4, .3]), seen[::3]
    seen = []
    trained(epochs=3)
    for with_choice, without in zip(chosen, seen, strict=True):
        for name, value in without.items():
            assert torch.equal(value, with_choice[name]), name
