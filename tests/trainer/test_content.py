"""Item attributes: the table that is read, the tower, and items to come."""

import numpy as np
import pytest
import torch

from trainer import cases
from trainer import config as config_lib
from trainer import content
from trainer import dataset
from trainer import evaluate
from trainer import evaluations
from trainer import export
from trainer import hyper as hyper_lib
from trainer import initial
from trainer import models
from trainer import train

ITEMS = ('item,colour,tags,price\n'
         '10,red,a|b,1.0\n'
         '30,blue, b |,\n'
         '20,red,,3.0\n'
         '40,green,a|a|z,5.0\n')


def _config(**changes):
    model = {'d_model': 16, 'num_heads': 2, 'num_layers': 1, 'ffn_width': 16,
             'head_width': 8, 'initial_half_lives': [4.0, 0.0],
             'item_attributes': ['colour', {'name': 'tags', 'separator': '|'}],
             'item_numbers': ['price']}
    return config_lib.from_dict({
        'name': 'x', 'data': {'catalogue': 'items.csv', 'min_item_count': 2,
                              **changes.pop('data', {})},
        'model': {**model, **changes.pop('model', {})},
        'training': changes.pop('training', {})})


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'items.csv').write_text(ITEMS)
    # 50 and 60 are not in the table: 50 is had often enough for a row.
    (tmp_path / 'train.csv').write_text(
        'user,item,time\nann,10,1\nann,10,2\nbob,20,3\nbob,50,4\nbob,50,5\n'
        'ann,60,6\n')
    return tmp_path


def _of_row(table, name, row):
    ends = np.append(table.offsets[name], len(table.codes[name]))
    return table.codes[name][ends[row]:ends[row + 1]].tolist()


def test_a_table_becomes_codes_and_normalised_numbers(folder):
    data, config = dataset.open_data(folder, _config())
    assert data.item_ids.tolist() == [10, 20, 30, 40, 50]
    colour, tags = config.model.item_attributes
    # Of two items or more; the most frequent first, then by name.
    assert (colour.values, tags.values) == (('red',), ('a', 'b'))
    table = data.item_table
    assert [_of_row(table, 'colour', row) for row in range(6)] == [
        [0], [1], [1], [0], [0], [0]]
    assert [_of_row(table, 'tags', row) for row in range(6)] == [
        [0], [1, 2], [0], [2], [1, 0], [0]]
    price, = config.model.item_numbers
    assert (price.mean, price.scale) == pytest.approx((3., (8 / 3) ** .5))
    assert table.normalised[:, 0] == pytest.approx(
        np.array([0, -2, 0, 0, 2, 0]) / price.scale)


def test_what_is_prepared_is_what_is_read(folder):
    data, config = dataset.open_data(folder, _config())
    data.save(folder / 'data.prepared')
    again, same = dataset.open_data(folder / 'data.prepared', _config())
    assert same == config
    for name, array in data.item_table.arrays().items():
        assert np.array_equal(again.item_table.arrays()[name], array)
    with pytest.raises(ValueError, match=r"model.item_attributes is \['size'\],"
                                         r" but the data was prepared with "
                                         r"\['colour', 'tags'\]"):
        dataset.open_data(folder / 'data.prepared', _config(
            model={'item_attributes': ['size']}))
    with pytest.raises(ValueError, match="'colour' has other values"):
        dataset.open_data(folder / 'data.prepared', _config(model={
            'item_attributes': [{'name': 'colour', 'values': ['black']},
                                'tags']}))


@pytest.mark.parametrize('items, message', [
    ('item,colour,tags,price\n10,red,,1\n10,blue,,2\n',
     'items.csv:3: item "10" has a line already'),
    ('item,colour,tags,price\n10,red,,cheap\n',
     'items.csv:2: price "cheap" is not a finite number'),
    ('item,tags,price\n10,a,1\n', 'no column "colour"'),
])
def test_a_bad_table_is_refused(folder, items, message):
    (folder / 'items.csv').write_text(items)
    with pytest.raises(ValueError, match=message):
        dataset.open_data(folder, _config())


def test_attributes_need_a_table(folder):
    with pytest.raises(ValueError, match='data.catalogue says which file'):
        dataset.open_data(folder, _config(data={'catalogue': ''}))
    with pytest.raises(ValueError, match='a column that is named once'):
        _config(model={'item_attributes': ['price']})


def _model(folder):
    data, config = dataset.open_data(folder, _config())
    torch.manual_seed(3)
    model = models.Model(config.model, len(data.item_ids), initial.Start(.5),
                         item_table=data.item_table)
    with torch.no_grad():
        for value in model.parameters():
            value.normal_()
    return data, model


def test_a_row_is_its_own_part_and_the_means_of_its_values(folder):
    data, model = _model(folder)
    counts = torch.tensor([0, 2, 1, 0, 0, 2])
    model.know_by_content(counts, 2, .5)
    arrays = model.eval().to_arrays()
    of = {name: arrays[content.PREFIX + name].astype(np.float64)
          for name in ('colour', 'tags', 'numbers')}
    table = data.item_table
    for row in range(6):
        wanted = sum(of[name][_of_row(table, name, row)].mean(0)
                     for name in ('colour', 'tags'))
        wanted = wanted + table.normalised[row] @ of['numbers']
        if counts[row] >= 2:
            wanted = wanted + np.append(
                model.values['item_embedding'][row].detach(),
                model.values['item_bias'][row].detach())
        assert arrays['item_embedding'][row] == pytest.approx(
            wanted[:-1], abs=1e-5)
        assert arrays['item_bias'][row] == pytest.approx(wanted[-1], abs=1e-5)


def test_a_share_of_the_items_trains_without_its_own_part(folder):
    _, model = _model(folder)
    model.know_by_content(torch.full((6,), 2), 2, .25)
    whole = model.eval().params()['item_embedding']
    alone = whole - model.values['item_embedding']
    model.train()
    missing = 0
    for _ in range(500):
        rows = model.params()['item_embedding']
        is_alone = (rows - alone).abs().amax(1) < 1e-5
        is_whole = (rows - whole).abs().amax(1) < 1e-5
        assert (is_alone ^ is_whole).all()
        missing += int(is_alone.sum())
    assert missing / 3_000 == pytest.approx(.25, abs=.03)


def test_a_bundle_holds_the_tower(folder, tmp_path):
    data, config = dataset.open_data(folder, _config(
        training={'epochs': 1, 'batch_events': 64}))
    model, _ = train.train(config, data, quiet=True)
    assert not model.training
    tensors = {**model.to_arrays(), 'item_ids': data.item_ids}
    export.write(export.Bundle('x', 1, '', config.model, tensors),
                 tmp_path / 'bundle')
    again = export.read(tmp_path / 'bundle')
    assert again.hyper == config.model
    assert set(again.tensors) == set(tensors)
    file = tmp_path / 'bundle' / export.CONTENT_FILE
    file.write_bytes(file.read_bytes()[:-4] + b'\0\0\0\1')
    with pytest.raises(ValueError, match='content.safetensors: SHA-256'):
        export.read(tmp_path / 'bundle')


def _write_tastes(folder, rng):
    """Users who take new things of one colour at each moment, of 12 colours.

    Items 0 to 59 are had from the beginning; those from 60 on only at the last
    moment, by everybody.
    """
    (folder / 'items.csv').write_text('item,colour\n' + ''.join(
        f'{item},c{item % 12}\n' for item in range(120)))
    lines = ['user,item,time']
    for user in range(120):
        own = np.arange(user % 12, 60, 12)
        lines += [f'{user},{item},{1_000 * at}'
                  for at, item in enumerate(rng.permutation(own)[:4])]
        lines.append(f'{user},{60 + rng.choice(own)},10000')
    (folder / 'train.csv').write_text('\n'.join(lines) + '\n')


@pytest.mark.parametrize('target_aware', [hyper_lib.OFF,
                                          hyper_lib.DEDICATED_BLOCK])
def test_new_items_are_found_by_their_content(tmp_path, target_aware):
    _write_tastes(tmp_path, np.random.default_rng(4))
    head = 0 if target_aware == hyper_lib.OFF else 8
    found = {}
    for attributes in (['colour'], []):
        data, config = dataset.open_data(tmp_path, _config(
            model={'item_attributes': attributes, 'item_numbers': [],
                   'target_aware': target_aware, 'head_width': head},
            training={'epochs': 12, 'learning_rate': .02, 'batch_events': 64,
                      'dropout': 0., 'negatives': 32, 'item_init_std': .2,
                      'content_only_share': .3}))
        cut_us = 9_000 * 1_000_000
        evaluation = evaluate.Evaluation(data, cases.after(data, cut_us))
        model, _ = train.train(config, data.before(cut_us), quiet=True)
        found[bool(attributes)] = evaluation(config.model, model.params())
    best = 'model, dot term' if head == 0 else 'model, all terms'
    # 5 new items of 60 have the colour, and 5 of the others.
    assert found[True][best]['new item']['hit@10'] > .5
    assert found[True][best]['new item']['ndcg@10'] > (
        1.2 * found[False][best]['new item']['ndcg@10'])


def test_new_items_are_ranked_among_themselves(folder):
    data, config = dataset.open_data(folder, _config(data={'min_item_count': 1}))
    found = cases.after(data, 4_000_000).of_new_items(data)
    # Ann takes 60 at last and Bob 50, which nobody had before second 4.
    assert [list(data.items[events]) for events in found.targets] == [[60], [50]]
    assert set(data.item_ids[np.flatnonzero(found.among) - 1]) == {30, 40, 50,
                                                                   60}
    model, _ = train.train(config_lib.with_overrides(
        config, ['training.epochs=1']), data.before(4_000_000), quiet=True)
    evaluation = evaluate.Evaluation(data, found)
    result = evaluation(config.model, model.params())
    assert set(result) == {'users', 'moments', 'in any order',
                           'model, dot term', 'model, all terms'}
    assert result['in any order']['hit@10'] == 1
    assert result['model, all terms']['hit@10'] == 1
    ranks = evaluation.ranks()
    assert set(ranks) == {'ann', 'bob'} and max(ranks.values()) <= 4


def test_where_nothing_is_new_it_is_told(folder):
    data, _ = dataset.open_data(folder, _config(data={'min_item_count': 1}))
    how = evaluations.How(only_new=True)
    assert evaluations.between(data, 4_000_000, None, how)
    with pytest.raises(ValueError, match='--new-items: nothing that is to be'):
        evaluations.between(data, 2_000_000, 3_000_000, how)
