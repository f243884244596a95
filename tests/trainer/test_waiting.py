"""What weighs more where a user came back late, and what was popular lately."""

import math

import numpy as np
import pytest
import torch

from trainer import batches
from trainer import config as config_lib
from trainer import dataset
from trainer import dot_loss
from trainer import losses
from trainer import models
from trainer import recent
from trainer import train
from trainer import waiting

DAY_S = 86_400


def _config(**training):
    return config_lib.from_dict({
        'name': 'x', 'data': {'min_item_count': 1},
        'model': {'d_model': 16, 'num_heads': 2, 'num_layers': 1,
                  'ffn_width': 16, 'initial_half_lives': [4., 0.]},
        'training': {'label_smoothing': 0., 'epochs': 1, 'dropout': 0.,
                     **training}})


def _data(tmp_path, lines, config=_config()):
    (tmp_path / 'train.csv').write_text('user,item,time\n' + '\n'.join(
        ','.join(map(str, line)) for line in lines) + '\n')
    return dataset.read(config, tmp_path)


LINES = [('ann', 1, 0), ('ann', 2, 9), ('ann', 3, 9), ('ann', 4, 10_008),
         ('bob', 1, 0), ('bob', 4, 99)]


def _batch(tmp_path):
    source = batches.Source(_data(tmp_path, LINES), 'cpu')
    return source.cut(np.array([0, 4]), np.array([4, 2]))


def test_gaps_weigh_their_power(tmp_path):
    batch = _batch(tmp_path)
    found = waiting.weights(batch, .5)[batch.valid].numpy()
    # The last events of ann and bob wait for nothing, as does the one before
    # another of its moment.
    expected = np.sqrt([10, 1, 10_000, 1, 100, 1])
    np.testing.assert_allclose(found, expected / expected.mean(), rtol=1e-6)
    assert (waiting.weights(batch, 0.) == 1).all()


@pytest.mark.parametrize('power', [0., .5])
def test_the_dot_loss_is_their_weighted_mean(tmp_path, power):
    batch, config = _batch(tmp_path), _config(waiting_power=power)
    torch.manual_seed(1)
    params = models.Model(config.model, 4).params()
    users = torch.nn.functional.normalize(torch.randn(2, 4, 16), dim=-1)
    found = dot_loss.next_item_loss(params, config.training, batch, users,
                                  batch.valid)
    items = torch.nn.functional.normalize(params['item_embedding'], dim=-1)
    scores = torch.log_softmax(params['log_scale'].exp() * users @ items.T +
                               params['item_bias'], -1)
    wait = waiting.weights(batch, power)
    total = weight = 0.
    # (window, from, to, share of a moment): the last is within a moment.
    for window, start, end, share in ((0, 0, 1, .5), (0, 0, 2, .5),
                                      (0, 2, 3, 1.), (1, 0, 1, 1.),
                                      (0, 1, 2, None)):
        each = 1. if share is None else share * float(wait[window, start])
        total -= each * float(scores[window, start, batch.rows[window, end]])
        weight += each
    assert float(found) == pytest.approx(total / weight, rel=1e-5)


def test_the_target_aware_loss_weighs_positions():
    logits = torch.tensor([[[2., 1., 0.], [0., 3., 1.]]])
    adjust = torch.zeros_like(logits)
    is_target = torch.tensor([[[True], [True]]])
    each = [float(torch.logsumexp(row, 0) - row[0]) for row in logits[0]]
    found = losses._softmax_loss(logits, adjust, is_target, 0.,
                                 torch.tensor([[1., 3.]]))
    assert float(found) == pytest.approx((each[0] + 3 * each[1]) / 4)


def test_shift_is_how_much_more_there_was_lately(tmp_path):
    lines = [('ann', 1, n * DAY_S) for n in range(90)]
    lines += [('bob', 2, (60 + n) * DAY_S) for n in range(30)]
    found = recent.shift(_data(tmp_path, lines), 30)
    # 60 of 120 events are of the last 30 days and the one they begin with.
    late, usual = np.array([31, 30]), np.array([90, 30]) * 61 / 120
    np.testing.assert_allclose(
        found, [0, *np.log((late + 3) / (usual + 3))], rtol=1e-6)
    assert not recent.shift(_data(tmp_path, lines), 0).any()
    assert not recent.shift(_data(tmp_path, lines), 1_000).any()


def test_a_model_keeps_what_its_validation_saw(tmp_path):
    lines = [(user, item, (10 * user + item) * DAY_S) for user in range(9)
             for item in range(user, user + 5)]
    data, seen = _data(tmp_path, lines), []

    def validate(_, params):
        seen.append(params['item_bias'])
        return {'model, all terms': {'ndcg@10': 0.}}
    for days in (0., 30.):
        model, _ = train.train(_config(recent_days=days), data, validate,
                               quiet=True)
        np.testing.assert_array_equal(model.params()['item_bias'].detach(),
                                      seen[-1])
    np.testing.assert_allclose(seen[1] - seen[0], recent.shift(data, 30.),
                               atol=1e-5)
    assert math.isclose(float(seen[0][0]), float(seen[1][0]))
