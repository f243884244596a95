"""Rows of content that are made where a step looks them up, against all of
them at once."""

import dataclasses

import numpy as np
import pytest
import torch

import tiny_batches
from trainer import content
from trainer import hyper as hyper_lib
from trainer import initial
from trainer import item_table
from trainer import models
from trainer import reference
from trainer import sampler as sampler_lib
from trainer import sparse_rows
from trainer import steps
from trainer import train

NUM_ITEMS = 12
ATTRIBUTES = (hyper_lib.ItemAttribute('colour', values=('red', 'blue')),
              hyper_lib.ItemAttribute('tags', separator='|',
                                      values=('a', 'b', 'c')))
NUMBERS = (hyper_lib.ItemNumber('price', mean=3., scale=2.),)


def _table(rng):
    """Attributes of rows with one to four values."""
    offsets, codes = {}, {}
    for attribute in ATTRIBUTES:
        sizes = rng.integers(1, 5 if attribute.separator else 2, NUM_ITEMS + 1)
        offsets[attribute.name] = (np.cumsum(sizes) - sizes).astype(np.int64)
        codes[attribute.name] = rng.integers(
            0, 1 + len(attribute.values), sizes.sum()).astype(np.int64)
    return item_table.ItemTable(ATTRIBUTES, offsets, codes, NUMBERS, rng.normal(
        size=(NUM_ITEMS + 1, 1)).astype(np.float32))


def _config(**training):
    model = {'target_aware': hyper_lib.DEDICATED_BLOCK}
    if training.get('reconstruction_weight'):
        model['num_seeds'] = 8
    config = tiny_batches.config(model=model, **{
        'full_softmax_items': 0, 'dot_negatives': 8, 'negatives': 9,
        'moments': 2, 'label_smoothing': .1, **training})
    return dataclasses.replace(config, model=dataclasses.replace(
        config.model, item_attributes=ATTRIBUTES, item_numbers=NUMBERS))


def _model(config, sparse, share):
    torch.manual_seed(3)
    model = models.Model(
        config.model, NUM_ITEMS, initial.Start(.3), 0.,
        config.training.reconstruction_weight and 4,
        _table(np.random.default_rng(1)), sparse)
    counts = torch.arange(NUM_ITEMS + 1)
    model.know_by_content(counts, 3, share)
    return model.train()


@pytest.mark.parametrize('share', [0., .4])
@pytest.mark.parametrize('weight', [0., .1], ids=['', 'reconstruction'])
def test_losses_and_gradients_are_those_of_all_rows(share, weight):
    config = _config(reconstruction_weight=weight)
    source, batch = tiny_batches.whole(tiny_batches.data([9, 14, 5]))
    sampler = sampler_lib.Sampler(source.item_counts(), config.training)
    found = []
    for sparse in (False, True):
        model = _model(config, sparse, share)
        torch.manual_seed(5)
        losses = steps.step_losses(model, source, sampler, config,
                                   steps.targets_of(config, 'cpu'), batch)
        sum(losses).backward()
        found.append((torch.stack(losses).detach(), {
            name: value.grad for name, value in model.named_parameters()}))
        assert isinstance(model.params()['item_embedding'],
                          content.Rows) == sparse
    assert (found[0][0][:2] > 0).all() and (found[0][0][2] > 0) == (weight > 0)
    assert torch.allclose(found[0][0], found[1][0], atol=1e-5)
    moved = set()
    for name, wanted in found[0][1].items():
        mine = found[1][1][name]
        if mine is not None and mine.is_sparse:
            moved.add(name)
            mine = mine.to_dense()
        assert (mine is None) == (wanted is None), name
        if wanted is not None:
            assert torch.allclose(mine, wanted, atol=1e-5), name
    assert moved == {'values.item_embedding', 'values.item_bias'}
    assert all(found[1][1][f'content.tables.content__{name}'].abs().max() > 0
               for name in ('colour', 'tags', 'numbers'))


@pytest.mark.parametrize('rows', [[0], [NUM_ITEMS], [3, 3, 0, NUM_ITEMS, 3],
                                  [[1, 2], [12, 1]], []])
def test_rows_are_those_of_all(rows):
    model = _model(_config(), True, 0.)
    rows = torch.tensor(rows, dtype=torch.long)
    for name in ('item_embedding', 'item_bias'):
        made = reference.look_up(model.params()[name], rows)
        all_rows = model.eval().params()[name]
        assert torch.is_tensor(all_rows)
        assert torch.allclose(made, all_rows[rows], atol=1e-6)
        detached = model.train().params()[name].detach()
        assert torch.allclose(reference.look_up(detached, rows), made)
        assert made.requires_grad
        assert not reference.look_up(detached, rows).requires_grad


def test_all_look_ups_of_a_step_leave_the_same_own_parts_out():
    model = _model(_config(), True, .5)
    rows = torch.arange(NUM_ITEMS + 1)
    params = model.params()
    first = reference.look_up(params['item_embedding'], rows)
    assert torch.equal(first, reference.look_up(params['item_embedding'],
                                                rows))
    assert not torch.equal(first, reference.look_up(
        model.params()['item_embedding'], rows))


def test_a_large_catalogue_with_content_learns():
    events = tiny_batches.data([20] * 30, NUM_ITEMS, unknown=0.)
    events.rows[:] = np.tile(1 + np.arange(20) % NUM_ITEMS, 30)
    events.labels[:] = np.nan
    config = _config(epochs=16, learning_rate=.03, batch_events=200,
                     label_smoothing=0., content_only_share=.1,
                     dot_negatives=128)
    config = dataclasses.replace(config, model=dataclasses.replace(
        config.model, target_aware=hyper_lib.OFF, head_width=0))
    events = dataclasses.replace(events, item_table=_table(
        np.random.default_rng(1)))
    shapes, losses = [], []

    def validate(hyper, params):
        shapes.append(params['item_embedding'].shape)
        return {'model, dot term': {'ndcg@10': len(shapes)}}
    for most in (0, 1_000):
        config = dataclasses.replace(config, training=dataclasses.replace(
            config.training, full_softmax_items=most))
        model, history = train.train(config, events, validate, quiet=True)
        assert isinstance(model.values['item_bias'],
                          sparse_rows.Table) == (most == 0)
        losses.append([record['dot_loss'] for record in history])
        # What is kept is of whole rows, and so is what validates.
        shapes.append(model.to_arrays()['item_embedding'].shape)
    assert set(shapes) == {(NUM_ITEMS + 1, 16)}
    assert losses[0][-1] < .75 * losses[0][0]
    assert losses[0][-1] == pytest.approx(losses[1][-1], rel=.25)
