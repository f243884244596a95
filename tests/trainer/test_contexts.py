"""Context features: values and numbers, from the data or as configured."""

import numpy as np
import pytest

from trainer import config as config_lib
from trainer import contexts
from trainer import dataset
from trainer import hyper as hyper_lib

Feature = hyper_lib.ContextFeature


def test_values_are_the_datas_where_none_are_named():
    texts, counts = ['tv', '', 'fax', 'phone', 'web'], [9, 80, 4, 20, 9]
    found = contexts.resolved(Feature('device'), texts, counts)
    assert found.values == ('phone', 'tv', 'web')
    assert contexts.rows(found, texts).tolist() == [2, 0, 0, 1, 3]
    named = Feature('device', values=('fax',))
    assert contexts.resolved(named, texts, counts) == named


def test_a_number_has_a_row_for_what_it_has_reached():
    """As tests/model/context_feature_test.cc."""
    age = Feature('age', boundaries=(-1.5, 18., 65.), default='40')
    assert age.num_rows == 5
    assert contexts.rows(age, ['-2', '-1.5', '17.999', '18', '1.8e1', '1e300']
                         ).tolist() == [1, 2, 2, 3, 3, 4]
    assert contexts.rows(age, ['old', 'nan', 'inf', '-inf', '1e999', '1,5']
                         ).tolist() == [0] * 6
    # An empty cell is what the default says.
    assert contexts.rows(age, ['']).tolist() == [3]
    assert contexts.rows(Feature('device', values=('a',)), ['']).tolist() == [0]


@pytest.mark.parametrize('seed', range(5))
def test_buckets_have_as_many_events_each(seed):
    rng = np.random.default_rng(seed)
    numbers = rng.permutation(rng.normal(size=3_000).round(2))
    texts, counts = np.unique(numbers, return_counts=True)
    found = contexts.resolved(Feature('x', buckets=8), [
        *map(str, texts), ''], [*counts, 500])
    assert found.buckets == 0 and len(found.boundaries) == 7
    rows = contexts.rows(found, list(map(str, numbers)))
    sizes = np.bincount(rows, minlength=9)[1:]
    # Numbers are not split: up to the most frequent one more or less.
    assert abs(sizes - 3_000 / 8).max() <= 2 * counts.max()


def test_buckets_of_few_numbers_are_fewer():
    found = contexts.resolved(Feature('x', buckets=8), ['1', '2'], [90, 10])
    assert found.boundaries == (2.,)
    assert contexts.rows(found, ['1', '2']).tolist() == [1, 2]
    assert contexts.resolved(Feature('x', buckets=8), ['7'], [3]
                             ).boundaries == (7.,)
    # One number of most events.
    skewed = contexts.resolved(Feature('x', buckets=2), ['1', '2', '3'],
                               [97, 2, 1])
    assert skewed.boundaries == (3.,)


@pytest.mark.parametrize('texts, counts, message', [
    (['1', 'two'], [1, 1], "'x' has buckets, but its cell 'two' is no number"),
    (['', '7'], [5, 0], "'x' has buckets, but no training event has a number"),
])
def test_what_is_no_number_is_told(texts, counts, message):
    with pytest.raises(ValueError, match=message):
        contexts.resolved(Feature('x', buckets=4), texts, counts)


def test_a_feature_is_of_one_kind():
    with pytest.raises(ValueError, match='one of values, boundaries and'):
        Feature('x', values=('a',), buckets=3)
    with pytest.raises(ValueError, match='x.boundaries is .* rising numbers'):
        Feature('x', boundaries=(2., 1.))
    config = hyper_lib.from_dict({'context_features': [
        'device', {'name': 'age', 'buckets': 4, 'default': '30'}]})
    assert config.context_features == (Feature('device'), Feature(
        'age', buckets=4, default='30'))


@pytest.fixture
def folder(tmp_path):
    lines = [f'u{n % 3},{n},{n},{["tv", "", "web"][n % 3]}' for n in range(30)]
    (tmp_path / 'train.csv').write_text(
        'user,item,time,device\n' + '\n'.join(lines) + '\n')
    (tmp_path / 'later.csv').write_text('user,item,time,device\n' + ''.join(
        f'u3,1,{100 + n},fax\n' for n in range(9)))
    (tmp_path / 'users.csv').write_text('user,age,town\nu0,20,a\nu1,60,a\n'
                                        'u2,,b\nu9,99,c\n')
    return tmp_path


def _config(*features, **data):
    return config_lib.from_dict({
        'name': 'x', 'data': {'users': 'users.csv', 'heldout': ['later.csv'],
                              'min_item_count': 1, **data},
        'model': {'context_features': features}})


def test_a_data_set_takes_contexts_from_events_and_users(folder):
    config = _config('town', {'name': 'device', 'default': 'web'},
                     {'name': 'age', 'boundaries': [30.], 'default': '1'})
    data, config = dataset.open_data(folder, config)
    town, device, age = config.model.context_features
    # A fax is only in what is held out; towns have too few users.
    assert device.values == ('tv', 'web')
    assert town.values == () and age.boundaries == (30.,)
    of_user = {user: data.context_rows[begin:end].tolist() for user, begin, end
               in zip(data.users, data.offsets[:-1], data.offsets[1:])}
    assert of_user == {'u0': [[0, 1, 1]] * 10, 'u1': [[0, 2, 2]] * 10,
                       'u2': [[0, 2, 1]] * 10, 'u3': [[0, 0, 1]] * 9}
    data.save(folder / 'data')
    again, same = dataset.open_data(folder / 'data', _config('device'))
    assert same.model.context_features == (device,)
    assert again.context_rows[:, 0].tolist() == (
        data.context_rows[:, 1].tolist())
    with pytest.raises(ValueError, match="'device' has other values"):
        dataset.open_data(folder / 'data', _config(
            {'name': 'device', 'values': ['fax']}))


def test_a_user_has_one_line(folder):
    (folder / 'users.csv').write_text('user,age\nu0,20\nu1,20\nu0,20\n')
    with pytest.raises(ValueError, match='users.csv:4: user "u0" has a line '
                                         'already'):
        dataset.read(_config('age'), folder)
