"""What a model takes of another one, and what it leaves."""

import dataclasses

import numpy as np
import pytest
import torch

import tiny_batches
from trainer import checkpoint
from trainer import export
from trainer import hyper as hyper_lib
from trainer import initial
from trainer import item_table
from trainer import models
from trainer import train
from trainer import warm_start

MODEL = {
    'actions': ['view', 'buy'], 'num_layers': 2,
    'event_features': ['price', 'length'], 'candidate_features': ['age'],
    'context_features': [{'name': 'tab', 'values': ['a', 'b']},
                         {'name': 'day', 'values': ['mo', 'tu']}],
    'tasks': [{'name': 'next'}, {'name': 'like', 'dot_term': False}]}


def _arrays(hyper, num_items, seed):
    """A Model and its arrays, of which no two numbers are equal."""
    torch.manual_seed(seed)
    model = models.Model(hyper, num_items, initial.Start(.3))
    with torch.no_grad():
        for value in model.values.values():
            value += .2 * torch.randn(value.shape)
    return model, {name: value.copy() for name, value in
                   model.to_arrays().items()}


def _started(mine, theirs=MODEL, ids=(9, 4, 7), old_ids=(4, 5, 9)):
    """(arrays as they began, as they are now, of the other, lines)."""
    hyper, other = (tiny_batches.config(model=model).model
                    for model in (mine, theirs))
    model, before = _arrays(hyper, len(ids), 1)
    _, old = _arrays(other, len(old_ids), 2)
    start = warm_start.Start('old.npz', other, {
        **old, 'item_ids': np.array(old_ids, np.uint64)})
    lines = start.apply(model, np.array(ids, np.uint64))
    return before, model.to_arrays(), old, lines


def _is(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_items_are_known_by_their_ids():
    before, now, old, lines = _started(MODEL)
    for name in ('item_embedding', 'item_bias'):
        # Rows of: out of vocabulary, 9, 4, 7.
        _is(now[name][:3], old[name][[0, 3, 1]])
        _is(now[name][3], before[name][3])
    for name in set(now) - {'item_embedding', 'item_bias'}:
        _is(now[name], old[name])
    assert lines == [f'old.npz: {len(now)} of {len(now)} tensors are taken; 2 '
                     'items are known, 1 are new, 1 are gone']


def test_what_has_a_name_is_known_by_it():
    mine = {**MODEL, 'actions': ['buy', 'like', 'view'],
            'event_features': ['length', 'stars', 'price'],
            'candidate_features': ['size', 'age'],
            'context_features': [{'name': 'day', 'values': ['tu', 'we']},
                                 {'name': 'hour', 'values': ['1']}],
            'tasks': [{'name': 'like', 'dot_term': False}, {'name': 'next'},
                      {'name': 'long', 'dot_term': False}]}
    before, now, old, lines = _started(mine)
    # The last row is a candidate's.
    _is(now['action_embedding'][[0, 2, 3]], old['action_embedding'][[1, 0, 2]])
    _is(now['action_embedding'][1], before['action_embedding'][1])
    _is(now['event_projection'][:, [0, 2]], old['event_projection'][:, [1, 0]])
    _is(now['event_projection'][:, 1], before['event_projection'][:, 1])
    _is(now['candidate_projection'][:, 1], old['candidate_projection'][:, 0])
    _is(now['context.day'][:2], old['context.day'][[0, 2]])
    _is(now['context.day'][2], before['context.day'][2])
    _is(now['context.hour'], before['context.hour'])
    for name in ('head.w1', 'head.b1', 'head.w2', 'head.b2'):
        _is(now[name][:2], old[name][[1, 0]])
        _is(now[name][2], before[name][2])
    assert lines[1] == 'as without it: context.hour'


def test_other_shapes_start_as_without_it():
    before, now, old, lines = _started({**MODEL, 'ffn_width': 24})
    for name in now:
        if name.endswith(('.w_12', '.w_3')):
            _is(now[name], before[name])
            assert name in lines[1]
    _is(now['layers.0.w_qkvg'], old['layers.0.w_qkvg'])


@pytest.mark.parametrize('layers', [1, 3])
def test_the_dedicated_block_stays_the_last(layers):
    before, now, old, _ = _started({**MODEL, 'num_layers': layers})
    for index in range(min(2, layers)):
        _is(now[f'layers.{index}.w_o'], old[f'layers.{index}.w_o'])
    _is(now[f'layers.{layers}.w_o'], old['layers.2.w_o'])
    if layers == 3:
        _is(now['layers.2.w_o'], before['layers.2.w_o'])


def test_a_number_that_is_cut_up_alike_keeps_its_rows():
    def with_age(*boundaries):
        return {**MODEL, 'context_features': [
            {'name': 'age', 'values': (), 'boundaries': boundaries}]}
    _, now, old, _ = _started(with_age(1., 5.), with_age(1., 5.))
    _is(now['context.age'], old['context.age'])
    before, now, old, _ = _started(with_age(1., 5.), with_age(2., 5.))
    _is(now['context.age'][0], old['context.age'][0])
    _is(now['context.age'][1:], before['context.age'][1:])


def test_no_layer_is_taken_of_a_block():
    before, now, old, lines = _started({
        **MODEL, 'num_layers': 3, 'target_aware': hyper_lib.ALL_LAYERS})
    _is(now['layers.1.w_o'], old['layers.1.w_o'])
    _is(now['layers.2.w_o'], before['layers.2.w_o'])
    assert 'layers.2.w_o' in lines[1]


def test_other_facts_of_the_item_memory_are_learned_anew():
    def with_memory(*half_lives_s):
        return {**MODEL, 'item_memory': {'entries': 8,
                                         'half_lives_s': half_lives_s}}
    before, now, _, _ = _started(with_memory(10, 100), with_memory(10, 90))
    _is(now['memory_head'], before['memory_head'])
    _, now, old, _ = _started(with_memory(10, 100), with_memory(10, 100))
    _is(now['memory_projection'], old['memory_projection'])


def _with_content(values, codes, seed):
    """(Model, arrays) of items with one colour each; codes of rows 0 ... N."""
    attribute = hyper_lib.ItemAttribute('colour', '', values)
    table = item_table.ItemTable(
        (attribute,), {'colour': np.arange(len(codes))},
        {'colour': np.array(codes)}, (), np.zeros((len(codes), 0), np.float32))
    hyper = dataclasses.replace(tiny_batches.config(model=MODEL).model,
                                item_attributes=(attribute,))
    torch.manual_seed(seed)
    model = models.Model(hyper, len(codes) - 1, initial.Start(.3),
                         item_table=table)
    with torch.no_grad():
        for value in model.parameters():
            value += .2 * torch.randn(value.shape)
    return model, {name: value.copy() for name, value in
                   model.to_arrays().items()}


def test_items_stay_as_whole_where_their_content_is_known_anew():
    other, old = _with_content(('blue', 'green'), [0, 1, 2, 1], 2)
    model, before = _with_content(('red', 'blue'), [0, 2, 2, 1], 1)
    own = model.values['item_embedding'].detach().numpy().copy()
    start = warm_start.Start('old', other.hyper, {
        **old, 'item_ids': np.array([4, 5, 9], np.uint64)})
    start.apply(model, np.array([9, 4, 7], np.uint64))
    now = model.to_arrays()
    for name in ('item_embedding', 'item_bias'):
        _is(now[name][:3], old[name][[0, 3, 1]])
    colours = now['content.colour']
    _is(colours[[0, 2]], old['content.colour'][[0, 1]])
    _is(colours[1], before['content.colour'][1])
    # A new item: its colour's part, and its own as it began.
    _is(now['item_embedding'][3], colours[1, :-1] + own[3])


def test_a_training_goes_on_from_a_file_or_a_bundle(tmp_path, capsys):
    """Whose first loss is about what the other training ended with."""
    data = tiny_batches.data([40] * 12, unknown=0.)
    data = dataclasses.replace(data, labels=np.full_like(data.labels, np.nan))
    data.rows[:] = np.tile(np.arange(40) % 12 + 1, 12)
    config = tiny_batches.config(
        steps=120, learning_rate=.02, batch_events=160, negatives=8,
        moments=2, positives=2, label_smoothing=0., seed=3)
    model, history = train.train(config, data, quiet=True)
    assert history[-1]['dot_loss'] < .7 * history[0]['dot_loss']
    checkpoint.save(tmp_path / 'model.npz', config, model.to_arrays(),
                    data.item_ids, {})
    export.write(export.Bundle(
        'tiny', 1, '', config.model,
        {**model.to_arrays(), 'item_ids': data.item_ids}),
        tmp_path / 'tiny' / '1')
    short = dataclasses.replace(config, training=dataclasses.replace(
        config.training, steps=4, learning_rate=1e-6))
    first = {}
    for path in ('model.npz', 'tiny/1'):
        _, again = train.train(short, data, quiet=True,
                               start=warm_start.load(tmp_path / path))
        first[path] = again[0]['dot_loss']
        assert 'tensors are taken; 12 items are known' in (
            capsys.readouterr().out)
    assert first['model.npz'] == first['tiny/1']
    assert first['model.npz'] < .8 * history[0]['dot_loss']
