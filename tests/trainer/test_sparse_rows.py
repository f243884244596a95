"""Training only the rows that a step looks up, against PyTorch's Adam."""

import types

import numpy as np
import pytest
import torch

import tiny_batches
from trainer import initial
from trainer import models
from trainer import optimizer as optimizer_lib
from trainer import reference
from trainer import sparse_rows
from trainer import train

TABLES = ('item_embedding', 'item_bias')
NUM_ITEMS = 6
STEPS = 30


def _optimizer(sparse, gradient_norm):
    torch.manual_seed(3)
    config = tiny_batches.config()
    model = models.Model(config.model, NUM_ITEMS, initial.Start(.3),
                         sparse_items=sparse)
    settings = types.SimpleNamespace(
        learning_rate=.1, warmup_share=.2, weight_decay=.01,
        gradient_norm=gradient_norm, average_decay=.8,
        start_share=0.)
    return model, optimizer_lib.Optimizer(model, settings, STEPS)


def _loss(params, rows, step):
    """Uses rows, some of them twice, and a tensor that is no table."""
    wanted = torch.sin(torch.arange(len(rows)) + step)
    items = reference.look_up(params['item_embedding'], rows)
    again = reference.look_up(params['item_embedding'], rows[:2])
    bias = reference.look_up(params['item_bias'], rows)
    matrix = params['w_user_out']
    return ((items @ matrix).sum(-1) + bias - wanted).square().sum() + (
        again.square().sum())


def _train(model, optimizer, rows_of):
    for step in range(STEPS):
        optimizer.next_learning_rate()
        optimizer.zero_grad()
        _loss(model.params(), rows_of(step), step).backward()
        optimizer.apply()


def _arrays(model):
    return {name: value.copy() for name, value in model.to_arrays().items()}


@pytest.mark.parametrize('gradient_norm', [1., 1e9])
def test_rows_that_every_step_looks_up_move_as_in_dense_training(
        gradient_norm):
    dense, sparse = (_optimizer(how, gradient_norm) for how in (False, True))
    for model, optimizer in (dense, sparse):
        _train(model, optimizer,
               lambda step: (torch.arange(NUM_ITEMS + 1) + step) % 7)
    for name, array in _arrays(dense[0]).items():
        np.testing.assert_allclose(sparse[0].to_arrays()[name], array,
                                   rtol=1e-4, atol=1e-5, err_msg=name)
    last = _arrays(sparse[0])
    with dense[1].kept(), sparse[1].kept():
        for name, array in _arrays(dense[0]).items():
            np.testing.assert_allclose(sparse[0].to_arrays()[name], array,
                                       rtol=1e-4, atol=1e-5, err_msg=name)
    for name, array in last.items():
        np.testing.assert_array_equal(sparse[0].to_arrays()[name], array)


@pytest.mark.parametrize('shape', [(5,), (5, 3)])
def test_each_row_is_adam_on_its_own_clock(shape):
    torch.manual_seed(1)
    table = sparse_rows.Table(torch.randn(shape, dtype=torch.float64))
    optimizer = sparse_rows.RowOptimizer(table, (.9, .98), True)
    rows = [torch.nn.Parameter(row.clone()) for row in table.detach()]
    adams = [torch.optim.Adam([row], betas=(.9, .98)) for row in rows]
    means = [row.detach().clone() for row in rows]
    for step in range(1, 41):
        rate, renewed = .1 / step, max(.1, 3 / (3 + step))
        looked_up = torch.randint(4, (3,))  # Never row 4.
        factors = torch.randn(3, *shape[1:], dtype=torch.float64)
        (table.look_up(looked_up) * factors).sum().backward()
        optimizer.gather()
        optimizer.step(rate, renewed)
        for row in set(looked_up.tolist()):
            rows[row].grad = factors[looked_up == row].sum(0)
            adams[row].param_groups[0]['lr'] = rate
            adams[row].step()
        means = [mean + renewed * (row.detach() - mean)
                 for mean, row in zip(means, rows)]
    assert torch.allclose(table.detach(), torch.stack([*rows]).detach(),
                          rtol=1e-5, atol=1e-7)
    optimizer.swap()
    assert torch.allclose(table.detach(), torch.stack(means), rtol=1e-5,
                          atol=1e-7)
    optimizer.swap()
    optimizer.step(.1, .5)  # A step that looked nothing up moves the mean.
    means = [mean + .5 * (row.detach() - mean)
             for mean, row in zip(means, rows)]
    optimizer.swap()
    assert torch.allclose(table.detach(), torch.stack(means), rtol=1e-5,
                          atol=1e-7)


def test_a_row_that_is_not_looked_up_stays():
    model, optimizer = _optimizer(True, 1.)
    before = _arrays(model)
    _train(model, optimizer, lambda step: torch.tensor([1, 2, 5]))
    for name in TABLES:
        changed = (before[name] != model.to_arrays()[name]).reshape(
            NUM_ITEMS + 1, -1).any(1)
        assert changed.tolist() == [False, True, True, False, False, True,
                                    False]


def test_all_gradients_are_clipped_together():
    model, optimizer = _optimizer(True, .5)
    optimizer.next_learning_rate()
    _loss(model.params(), torch.tensor([1, 2, 2]), 0).backward()
    dense, _ = _optimizer(False, .5)
    _loss(dense.params(), torch.tensor([1, 2, 2]), 0).backward()
    wanted = torch.nn.utils.clip_grad_norm_(dense.parameters(), .5)
    assert wanted > .5
    seen = []
    for table in optimizer._tables:
        table.step = lambda *_, table=table: seen.append(
            (table._rows, table.grad))
    optimizer.apply()
    assert len(seen) == 2
    for rows, grad in seen:
        assert rows.tolist() == [1, 2]
        name = TABLES[grad.dim() == 1]
        assert torch.allclose(grad, dense.values[name].grad[rows])
    assert torch.allclose(model.values['w_user_out'].grad,
                          dense.values['w_user_out'].grad)


def test_a_large_catalogue_learns_from_samples():
    """The loss falls as it does by full softmax; only rows of items that were
    looked up have moved."""
    events = tiny_batches.data([20] * 30, 50, unknown=0.)
    events.rows[:] = np.tile(np.arange(1, 21), 30)  # One after the other.
    events.labels[:] = np.nan
    how = {'epochs': 8, 'learning_rate': .03, 'negatives': 16, 'moments': 3,
           'positives': 4, 'batch_events': 200, 'label_smoothing': 0.}
    losses = []
    for items in (0, 1_000):
        config = tiny_batches.config(full_softmax_items=items,
                                     dot_negatives=64, **how)
        model, history = train.train(config, events, quiet=True)
        losses.append([record['dot_loss'] for record in history])
        assert isinstance(model.values['item_bias'],
                          sparse_rows.Table) == (items == 0)
    for found in losses:
        assert found[-1] < .6 * found[0]
    assert losses[0][-1] == pytest.approx(losses[1][-1], rel=.25)


@pytest.mark.parametrize('name, value, message', [
    ('dot_share', .1, 'dot_share is 0.1; it must be 1'),
    ('start_share', .2, 'start_share is 0.2; it must be 0'),
    ('choose_start_share', True, 'choose_start_share is 1; it must be False')])
def test_what_wants_all_items_in_every_step_is_refused(name, value, message):
    config = tiny_batches.config(full_softmax_items=0, **{name: value})
    with pytest.raises(ValueError, match=message):
        train.train(config, tiny_batches.data([20] * 3, 50), quiet=True)
