"""What TensorBoard is given, and what is said where it is absent."""

import sys
import types

import numpy as np
import pytest
import torch

import tiny_batches
from trainer import board as board_lib
from trainer import train


class _Writer:
    """A SummaryWriter that remembers: {tag: {step: value}}."""

    def __init__(self, folder=''):
        self.folder = folder
        self.scalars = {}

    def add_scalar(self, tag, value, step):
        self.scalars.setdefault(tag, {})[step] = value

    def flush(self):
        pass


def _validate(hyper, params):
    return {'users': 3, 'popularity': {'hit@10': .1, 'ndcg@10': .05},
            'model, all terms': {'hit@10': .2, 'ndcg@10': .15, 'users': 3},
            'like': {'auc': .7, 'ne': .9, 'reliability': [(1, 2, 3)]}}


def test_a_training_is_followed():
    data = tiny_batches.data([12, 20, 7, 15, 9, 30, 11, 8])
    data.labels[:] = np.nan
    config = tiny_batches.config(steps=220, batch_events=60, negatives=8,
                                 moments=2, positives=2)
    writer = _Writer()
    _, history = train.train(config, data, _validate, quiet=True,
                             validate_every=10,
                             board=board_lib.Board(writer))
    found = writer.scalars
    # A round has 11 steps.
    assert found['loss/dot'] == {
        record['step']: pytest.approx(record['dot_loss'], abs=1e-4)
        for record in history}
    assert found['learning_rate'] == {
        record['step']: record['learning_rate'] for record in history}
    assert set(found['events_per_second']) == set(found['loss/dot'])
    assert found['validation hit@10/popularity'] == {110: .1, 220: .1}
    assert found['validation ndcg@10/model, all terms'] == {110: .15, 220: .15}
    assert found['validation auc/like'] == {110: .7, 220: .7}
    assert len(history) == 20


def test_a_point_is_the_mean_of_an_interval():
    writer = _Writer()
    board = board_lib.Board(writer)
    for step in range(1, 2 * board_lib.INTERVAL + 2):
        board.count(step, torch.tensor([1. * step, 2., 0.]), 10, .1 * step)
    assert writer.scalars['loss/dot'] == {50: 25.5, 100: 75.5}
    assert writer.scalars['loss/target_aware'] == {50: 2., 100: 2.}
    assert writer.scalars['learning_rate'] == {
        50: pytest.approx(5.), 100: pytest.approx(10.)}
    assert set(writer.scalars['events_per_second']) == {50, 100}


@pytest.mark.parametrize('installed', ['torch.utils.tensorboard',
                                       'tensorboardX', None])
def test_whichever_package_is_there_writes(monkeypatch, installed):
    for name in ('torch.utils.tensorboard', 'tensorboardX'):
        module = types.SimpleNamespace(SummaryWriter=_Writer)
        monkeypatch.setitem(sys.modules, name,
                            module if name == installed else None)
    if installed:
        assert board_lib.open_writer('runs').folder == 'runs'
    else:
        with pytest.raises(ValueError, match='pip install tensorboard'):
            board_lib.open_writer('runs')
