"""Reading CSV files: order, catalogue, buckets, and errors that help."""

import numpy as np
import pytest

from trainer import config as config_lib
from trainer import dataset
from trainer import hyper as hyper_lib

HEADER = 'user,item,action,time,price,day,liked\n'


def _config(actions=('view', 'buy'), **data):
    return config_lib.from_dict({
        'name': 'test', 'data': {'min_item_count': 2,
                                 'labels': {'like': 'liked'}, **data},
        'model': {'actions': actions, 'event_features': ['price'],
                  'context_features': [{'name': 'day', 'values': ['we', 'th']}],
                  'tasks': [{'name': 'next'}, {'name': 'like'}]}})


def _read(tmp_path, lines, **data):
    (tmp_path / 'train.csv').write_text(HEADER + lines)
    return dataset.read(_config(**data), tmp_path)


def test_events_are_sorted_by_time_and_equal_times_keep_their_order(tmp_path):
    data = _read(tmp_path, 'b,7,buy,30,1,we,1\n'
                 'a,7,view,20,1.5,th,\n'
                 'b,18446744073709551615,view,10,2,we,0\n'
                 'b,9,view,30,3,xx,\n'
                 'a,9,buy,20,4,we,\n')
    assert list(data.users) == ['b', 'a']
    assert list(data.offsets) == [0, 3, 5]
    assert list(data.item_ids) == [7, 9]
    assert list(data.rows) == [0, 1, 2, 1, 2]  # The huge id occurs once.
    assert list(data.times_us // 1_000_000) == [10, 30, 30, 20, 20]
    assert list(data.event_features[:, 0]) == [2, 1, 3, 1.5, 4]
    assert list(data.context_rows[:, 0]) == [1, 1, 0, 2, 1]
    assert np.isnan(data.labels[:, 0]).all()
    assert data.labels[1, 1] == 1 and data.labels[0, 1] == 0


@pytest.mark.parametrize('line, message', [
    ('a,x7,buy,10,1,we,', r'3: item "x7" is not an item id'),
    ('a,18446744073709551616,buy,10,1,we,', r'3: item "184467.*2\^64 - 1'),
    ('a,7,sell,10,1,we,', r'3: action "sell" is not one of.*view, buy'),
    ('a,7,buy,soon,1,we,', r'3: time "soon" is not a number of s'),
    ('a,7,buy,10,inf,we,', r'3: price "inf" is not a finite number'),
    ('a,7,buy,10,1,we,maybe', r'3: liked "maybe" is not 0, 1 or nothing'),
    (',7,buy,10,1,we,', r'3: user "" is empty'),
])
def test_a_bad_cell_is_named(tmp_path, line, message):
    with pytest.raises(ValueError, match='train.csv:' + message):
        _read(tmp_path, 'a,7,buy,10,1,we,\n' + line + '\n')


def test_a_missing_column_is_named(tmp_path):
    (tmp_path / 'train.csv').write_text('user,item,action\na,1,buy\n')
    with pytest.raises(ValueError, match='no column "time" in the header'):
        dataset.read(_config(), tmp_path)


def test_before_and_save_keep_users(tmp_path):
    data = _read(tmp_path, 'a,7,buy,10,1,,\na,9,buy,30,1,,\nb,7,buy,40,1,,\n'
                 'b,9,buy,5,1,,\n')
    early = data.before(20_000_000)
    assert list(early.offsets) == [0, 1, 2]
    assert list(early.rows) == [1, 2]
    early.save(tmp_path / 'data')
    loaded = dataset.load(tmp_path / 'data')
    assert list(loaded.rows) == [1, 2]
    assert loaded.column_names['labels'] == ['next', 'like']


def test_select_takes_columns_by_name(tmp_path):
    data = _read(tmp_path, 'a,7,buy,10,1,we,1\na,7,buy,30,1,th,0\n')
    like = hyper_lib.Hyper(tasks=(hyper_lib.Task('like'),),
                           event_features=('price',))
    chosen = data.select(like)
    assert chosen.labels.tolist() == [[1], [0]]
    assert chosen.event_features.shape == (2, 1)
    assert chosen.context_rows.shape == (2, 0)
    with pytest.raises(ValueError, match="labels has no column 'share'"):
        data.select(hyper_lib.Hyper(tasks=(hyper_lib.Task('share'),)))


@pytest.mark.parametrize('cuts', [
    {'validate_from': '2022-05-06'}, {'test_from': '2022-05-06'},
    {'validate_from': '2022-05-06', 'test_from': '2022-05-06T00:00+08:00'},
    {'validate_from': '2022-05-06', 'test_from': '2022-05-07',
     'heldout': ['late.csv']}])
def test_cuts_in_time_are_checked(cuts):
    with pytest.raises(ValueError, match='data.test_from'):
        _config(**cuts)


def test_unknown_config_fields_are_named():
    with pytest.raises(ValueError, match='training.epoch;'):
        config_lib.from_dict({'name': 'x', 'training': {'epoch': 3}})
    with pytest.raises(ValueError, match='d_model is 60'):
        config_lib.from_dict({'name': 'x', 'model': {'d_model': 60}})


def _plain(tmp_path, text, **data):
    (tmp_path / 'train.csv').write_text(text)
    config = config_lib.from_dict({
        'name': 'plain', 'data': {'min_item_count': 1, **data}})
    return dataset.read(config, tmp_path)


def test_actions_are_those_of_the_data_where_the_config_has_none(tmp_path):
    data = _plain(tmp_path, 'user,item,action,time\na,1,wish,1\na,1,buy,2\n'
                  'a,1,view,3\na,1,buy,4\na,1,,5\n')
    # The most frequent first, then by name; an empty cell is the first.
    assert list(data.action_names) == ['buy', 'view', 'wish']
    assert list(data.actions) == [2, 0, 1, 0, 0]


def test_without_an_action_column_there_is_one_action(tmp_path):
    data = _plain(tmp_path, 'user,item,time\na,1,1\n')
    assert list(data.action_names) == ['event'] and list(data.actions) == [0]
    with pytest.raises(ValueError, match='no column "verb"'):
        _plain(tmp_path, 'user,item,time\na,1,1\n', action='verb')


def test_a_column_of_other_things_is_no_action(tmp_path):
    lines = ''.join(f'a,1,{time},{time}\n' for time in range(300))
    with pytest.raises(ValueError, match="'action' has 300 different values"):
        _plain(tmp_path, 'user,item,action,time\n' + lines)


def test_a_config_gets_the_actions_of_its_data_or_is_refused():
    config = _config(actions=())
    assert config_lib.with_actions(config, np.array(['a', 'b'])
                                   ).model.actions == ('a', 'b')
    with pytest.raises(ValueError, match=r"\('view', 'buy'\), but the data"):
        config_lib.with_actions(_config(), ('buy', 'view'))
    wanted = config_lib.with_overrides(
        config, ['training.target_actions=["pay"]'])
    with pytest.raises(ValueError, match="target_actions has 'pay'"):
        config_lib.with_actions(wanted, ('view', 'buy'))


@pytest.mark.parametrize('unit, text, time_us', [
    ('s', '1511200980', 1511200980_000_000),
    ('s', '1511200980.1234567', 1511200980_123_456),
    ('s', '-1.5', -1_500_000),
    ('ms', '1511200980123', 1511200980_123_000),
    ('ms', '1511200980123.5', 1511200980_123_500),
    ('us', '1511200980123456', 1511200980_123_456),
    ('rfc3339', '2017-11-20T18:03:00Z', 1511200980_000_000),
    ('rfc3339', '2017-11-20T18:03:00.25+01:00', 1511197380_250_000),
])
def test_times_are_exact(tmp_path, unit, text, time_us):
    data = _plain(tmp_path, f'user,item,time\na,1,{text}\n', time_unit=unit)
    assert list(data.times_us) == [time_us]


def test_a_bad_date_is_named(tmp_path):
    with pytest.raises(ValueError, match='train.csv:2: time "noon" is not'):
        _plain(tmp_path, 'user,item,time\na,1,noon\n', time_unit='rfc3339')


def test_another_catalogue_gives_other_rows(tmp_path):
    data = _read(tmp_path, 'a,7,buy,10,1,,\na,7,buy,11,1,,\na,9,buy,12,1,,\n')
    assert list(data.rows) == [1, 1, 0]  # 9 is too rare.
    other = data.with_catalogue(np.array([20, 9, 3], np.uint64))
    assert list(other.rows) == [0, 0, 2]
    assert list(other.before(12_000_000).items) == [7, 7]


def test_training_events_after_the_cut_are_told(tmp_path, capsys):
    (tmp_path / 'later.csv').write_text(HEADER + 'a,7,buy,20,1,,\n')
    _read(tmp_path, 'a,7,buy,10,1,,\nb,7,buy,20,1,,\n', heldout=['later.csv'])
    assert '1 events of the training files are not before' in (
        capsys.readouterr().err)


def test_too_few_events_for_any_item_are_told(tmp_path):
    with pytest.raises(ValueError, match='data.min_item_count is 2, but no'):
        _plain(tmp_path, 'user,item,time\na,7,10\n', min_item_count=2)


def test_one_file_is_cut_where_validation_starts(tmp_path):
    data = _read(tmp_path, 'a,7,buy,10,1,,\na,7,buy,20,1,,\na,9,buy,30,1,,\n'
                 'a,9,buy,40,1,,\n', validate_from='1970-01-01T01:00:30+01:00',
                 test_from='1970-01-01T00:00:40')
    assert data.cut_us == 30_000_000
    assert list(data.item_ids) == [7]  # 9 is too rare in the training part.
    assert list(data.rows) == [1, 1, 0, 0]
