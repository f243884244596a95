"""Categories: which features texts become, and that these are 0 or 1."""

import numpy as np
import pytest
import torch
import xxhash

from trainer import batches
from trainer import candidate_features
from trainer import categories
from trainer import checkpoint
from trainer import config as config_lib
from trainer import dataset
from trainer import export
from trainer import hyper as hyper_lib
from trainer import models
from trainer import spec
from trainer import train
from trainer import warm_start

ODD = {'a': 955, 'A': 980, '=': 693, 'a=b': 767, '#': 397, 'naïve': 334,
       '日本': 563, 'x' * 999: 297, 'a\tb': 211, '0': 28, ' a': 692}
DEVICE = {'name': 'device', 'min_count': 2}
TAGS = {'name': 'tags', 'separator': '|', 'hashed': 4}
KIND = {'name': 'kind', 'min_count': 1, 'separator': ' & '}

EVENTS = '''user,item,time,price,device,tags,kind
ann,1,10,2,phone,a|b,x
ann,2,20,3,tv,,y
bob,1,10,4,phone,b,z & x
bob,3,40,5,,c| a |c,x
eve,3,50,6,fax,|,w
eve,1,60,7,tv,a,x
'''


def _config(event=(), candidate=(), **data):
    return config_lib.from_dict({
        'name': 'x', 'data': {'min_item_count': 1, **data},
        'model': {'d_model': 16, 'num_heads': 2, 'num_layers': 1,
                  'ffn_width': 16, 'head_width': 8,
                  'initial_half_lives': [4.0, 0.0],
                  'event_features': list(event),
                  'candidate_features': list(candidate)},
        'training': {'epochs': 1, 'dropout': 0.}})


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'train.csv').write_text(EVENTS)
    (tmp_path / 'items.csv').write_text(
        'item,kind\n3,x\n1,y & x\n2,\n4,v\n5,x\n')
    return tmp_path


def _floats(data, kind):
    events = torch.arange(data.num_events)
    return batches.Source(data, 'cpu').features(kind, events).numpy()


def _by_hand(config, rows):
    """Features of rows {column: text}, of the model's own words."""
    found = []
    for row in rows:
        floats = [float(row[name]) for name in
                  hyper_lib.numbers(config.model.event_features)]
        for category in hyper_lib.categories(config.model.event_features):
            cell = row[category.name]
            values = {value.strip() for value in (
                cell.split(category.separator) if category.separator
                else [cell])} - {''}
            if category.hashed:
                values = {xxhash.xxh64_intdigest(value) % category.hashed
                          for value in values}
            for value in category.values or range(category.hashed):
                floats.append(float(value in values))
        found.append(floats)
    return np.array(found, np.float32)


def test_a_vocabulary_is_the_datas_most_frequent_values_first(folder):
    data, config = dataset.open_data(
        folder, _config([DEVICE, 'price', TAGS]))
    assert config.model.event_feature_names == (
        'price', 'device=phone', 'device=tv', 'tags#0', 'tags#1', 'tags#2',
        'tags#3')
    rows = [dict(zip(EVENTS.split('\n')[0].split(','), line.split(',')))
            for line in EVENTS.split('\n')[1:-1]]
    found = _floats(data, 'event')
    assert np.array_equal(found, _by_hand(config, rows))
    # An empty cell, a rare value and one of separators alone are nothing.
    assert not found[3:5, 1:3].any() and not found[[1, 4], 3:].any()


@pytest.mark.parametrize('limits, values', [
    ({'min_count': 1}, ('phone', 'tv', 'fax')),
    ({'min_count': 2, 'max_values': 1}, ('phone',)),
    ({'values': ['tv', 'radio']}, ('tv', 'radio'))])
def test_limits_and_given_values(folder, limits, values):
    _, config = dataset.open_data(
        folder, _config([{**DEVICE, **limits}]))
    [category] = config.model.event_features
    assert category == hyper_lib.Category('device', values=values)


def test_only_training_events_make_a_vocabulary(folder):
    (folder / 'later.csv').write_text(EVENTS.replace('phone', 'watch')
                                      .replace(',10,', ',90,'))
    _, config = dataset.open_data(
        folder, _config([{**DEVICE, 'min_count': 1}], heldout=['later.csv']))
    assert config.model.event_features[0].values == ('phone', 'tv', 'fax')


def test_texts_have_the_buckets_that_a_server_gives_them():
    # tests/server/models/category_features_test.cc has the same.
    for text, bucket in ODD.items():
        assert categories.hash_place(text, 1000) == bucket
    category = hyper_lib.Category('c', '|', hashed=1000)
    assert categories.places(category, ['a| a |', '']) == [
        (categories.hash_place('a', 1000),), ()]


@pytest.mark.parametrize('with_table', [False, True])
def test_prepared_data_is_the_same_bit_by_bit(folder, with_table):
    table = {'catalogue': 'items.csv'} if with_table else {}
    config = _config(['price', TAGS, DEVICE], [KIND, 'price'], **table)
    read = dataset.read(config, folder)
    dataset.prepare(config, folder, folder / 'prepared', part_events=2)
    data, resolved = dataset.open_data(folder / 'prepared', config)
    for kind in ('event', 'candidate'):
        assert np.array_equal(_floats(read, kind), _floats(data, kind))
    # Cells are small numbers on the disk.
    assert data.event_sets.dtype == data.candidate_sets.dtype == np.uint8
    # Others of the prepared columns, in another order.
    data, chosen = dataset.open_data(
        folder / 'prepared', _config([DEVICE, TAGS], [KIND], **table))
    assert chosen.model.event_features == resolved.model.event_features[
        :0:-1]
    whole = _floats(read, 'event')
    assert np.array_equal(_floats(data, 'event'), whole[:, [5, 6, 1, 2, 3, 4]])
    assert np.array_equal(_floats(data, 'candidate'),
                          _floats(read, 'candidate')[:, 1:])


def test_another_vocabulary_than_that_prepared_is_refused(folder):
    dataset.prepare(_config([DEVICE, TAGS]), folder, folder / 'prepared')
    for other in ({**DEVICE, 'values': ['tv']}, {**DEVICE, 'separator': ','},
                  {**DEVICE, 'hashed': 8}):
        with pytest.raises(ValueError, match="event_features: 'device' has an"):
            dataset.open_data(folder / 'prepared', _config([other]))
    with pytest.raises(ValueError, match="event_sets has no column 'kind'"):
        dataset.open_data(folder / 'prepared', _config([KIND]))


def test_candidates_have_what_their_newest_event_before_said(folder):
    data, config = dataset.open_data(folder, _config([], ['price', KIND]))
    assert config.model.candidate_feature_names[1:] == (
        'kind=x', 'kind=w', 'kind=y', 'kind=z')
    history = candidate_features.History(data, 'cpu')

    def at(item, second):
        row = int(np.flatnonzero(data.item_ids == item)[0]) + 1
        found = history.at(torch.tensor([[row]]), torch.tensor([second]))
        return found[0, 0, 1:].tolist()
    nothing = [0, 0, 0, 0]
    assert at(1, 10) == nothing  # Nothing is known before its first second.
    assert at(1, 11) == [1, 0, 0, 1]  # Bob's, the later in order.
    assert at(1, 61) == [1, 0, 0, 0]
    assert at(3, 45) == [1, 0, 0, 0] and at(3, 51) == [0, 1, 0, 0]
    known = data.times_us < 45_000_000
    features = candidate_features.of_items(data, known)
    for row, item in enumerate(data.item_ids, 1):
        assert features[row, 1:].tolist() == at(item, 45)
    assert not features[0, 1:].any()


def test_a_column_of_the_item_table_is_an_items_at_all_times(folder):
    data, config = dataset.open_data(
        folder, _config([], ['price', KIND], catalogue='items.csv'))
    assert config.model.candidate_feature_names[1:] == (
        'kind=x', 'kind=v', 'kind=y')
    wanted = {1: [1, 0, 1], 2: [0, 0, 0], 3: [1, 0, 0], 4: [0, 1, 0],
              5: [1, 0, 0]}
    features = candidate_features.of_items(data, data.times_us < 15_000_000)
    history = candidate_features.History(data, 'cpu')
    for row, item in enumerate(data.item_ids.tolist(), 1):
        at = history.at(torch.tensor([[row]]), torch.tensor([5]))[0, 0]
        assert at[1:].tolist() == wanted[item] == features[row, 1:].tolist()
    assert _floats(data, 'candidate')[:, 1:].tolist() == [
        wanted[item] for item in data.items.tolist()]
    other = data.with_catalogue(data.item_ids[::-1].copy())
    assert candidate_features.of_items(
        other, data.times_us < 15_000_000)[1:, 1:].tolist() == [
            wanted[item] for item in other.item_ids.tolist()]


def test_indicators_count_as_they_are(folder):
    data, config = dataset.open_data(folder, _config(['price', DEVICE]))
    model = models.Model(config.model, len(data.item_ids))
    model.normalise('event_projection', data.event_features)
    raw = model.values['event_projection'].detach()
    given = model.params()['event_projection'].detach()
    assert torch.equal(given[:, 1:], raw[:, 1:])
    assert not torch.equal(given[:, 0], raw[:, 0])


def test_a_trained_model_is_exported_and_read_again(folder):
    data, config = dataset.open_data(
        folder, _config(['price', DEVICE, TAGS], [KIND]))
    model, _ = train.train(config, data, quiet=True)
    tensors = {**model.to_arrays(), 'item_ids': data.item_ids}
    assert tensors['event_projection'].shape == (16, 7)
    assert tensors['candidate_projection'].shape == (16, 4)
    export.write(export.Bundle('x', 1, '', config.model, tensors),
                 folder / 'bundle')
    assert export.read(folder / 'bundle').hyper == config.model
    checkpoint.save(folder / 'model.npz', config, model.to_arrays(),
                    data.item_ids, {})
    assert checkpoint.load(folder / 'model.npz')[0] == config


def test_a_value_keeps_what_it_learned_under_its_name(folder):
    def made(values):
        data, config = dataset.open_data(
            folder, _config(['price', {'name': 'device', 'values': values}]))
        return data, models.Model(config.model, len(data.item_ids))
    data, old = made(['tv', 'fax', 'phone'])
    _, new = made(['phone', 'watch', 'tv'])
    before = new.to_arrays()['event_projection'].copy()
    warm_start.Start('old', old.hyper, {
        **old.to_arrays(), 'item_ids': data.item_ids}).apply(
            new, data.item_ids)
    after, theirs = (model.to_arrays()['event_projection']
                     for model in (new, old))
    assert np.array_equal(after[:, [0, 1, 3]], theirs[:, [0, 3, 1]])
    assert np.array_equal(after[:, 2], before[:, 2])


@pytest.mark.parametrize('change', [
    lambda message: message.event_features.append('more'),
    lambda message: message.event_categories[0].values.append('fax'),
    lambda message: message.event_categories[0].values.reverse(),
    lambda message: message.event_categories.add(name='none'),
    lambda message: message.event_features.pop(),
    lambda message: message.event_categories.reverse()])
def test_a_spec_whose_features_are_not_its_categories_is_refused(change):
    hyper = _config(['price', {'name': 'device', 'values': ['tv', 'phone']},
                     TAGS]).model
    message = spec.to_message(hyper)
    spec.to_hyper(message)
    change(message)
    with pytest.raises(ValueError, match='event_features is .*must end with'):
        spec.to_hyper(message)


@pytest.mark.parametrize('features, message', [
    (['device', DEVICE], "event_features is 'device'; it must be a name that"),
    (['c=a', {'name': 'c', 'values': ['a']}], "event_features is 'c=a'"),
    ([{'name': ''}], "name of a category is ''"),
    ([{'name': 'c', 'values': ['a', 'a']}], "c.values is 'a'"),
    ([{'name': 'c', 'values': [' a']}], "c.values is ' a'"),
    ([{'name': 'c', 'values': [1]}], 'c.values is 1'),
    ([{'name': 'c', 'values': ['a'], 'hashed': 2}], 'c.hashed is 2'),
    ([{'name': 'c', 'hashed': 1025}], 'c.hashed is 1025'),
    ([{'name': 'c', 'min_count': 0}], 'c.min_count is 0'),
    ([{'name': 'c', 'max_values': 'x'}], "c.max_values is 'x'"),
    ([{'name': 'c', 'buckets': 3}], "model.event_features is 'buckets'")])
def test_what_a_config_may_not_say(features, message):
    with pytest.raises(ValueError) as error:
        _config(features)
    assert message in str(error.value)


def test_a_category_without_values_is_named(folder):
    with pytest.raises(ValueError, match=r"model.event_features: 'device' has "
                       r'no value that comes 9 times \(min_count\)'):
        dataset.open_data(folder, _config([{**DEVICE, 'min_count': 9}]))
