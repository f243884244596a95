"""A Parquet file is read as the CSV file that says the same."""

import datetime
import decimal

import numpy as np
import pytest

from trainer import config as config_lib
from trainer import csv_events
from trainer import dataset
from trainer import parquet_rows

pa = pytest.importorskip('pyarrow')
parquet = pytest.importorskip('pyarrow.parquet')

SECOND = 1_500_000_000
# A cell of each column in the type that it has in most files.
COLUMNS = {
    'user': pa.array(['b', 'a', 'b', 'Jé', 'a', 'b']),
    'item': pa.array([7, 2 ** 64 - 1, 9, 7, 9, 0], pa.uint64()),
    'action': pa.array(['view', None, 'buy', '', 'view', 'view']),
    'time': pa.array([SECOND + 30, SECOND, SECOND + 10, SECOND + 30, SECOND,
                      SECOND + 30]),
    'price': pa.array([1, .5, -2e30, 3.25, 0, 1e-50]),
    'day': pa.array(['we', 'th', None, 'xx', '', 'we']),
    'liked': pa.array([1, None, 0, 0, 1, None], pa.int8())}
# The same texts and numbers, written otherwise.
OTHER_TYPES = {
    'user': COLUMNS['user'].dictionary_encode(),
    'item': pa.array(list(map(str, COLUMNS['item'].to_pylist()))),
    'action': COLUMNS['action'].cast('large_string'),
    'time': COLUMNS['time'].cast('float64'),
    'price': pa.array(['1', '.5', '-2e30', '3.25', '0', '1e-50']),
    'day': COLUMNS['day'].cast('binary'),
    'liked': COLUMNS['liked'].cast('bool')}


def _config(**data):
    return config_lib.from_dict({
        'name': 'test', 'data': {'min_item_count': 1,
                                 'labels': {'like': 'liked'}, **data},
        'model': {'event_features': ['price'],
                  'context_features': [{'name': 'day', 'values': ['we', 'th']}],
                  'tasks': [{'name': 'next'}, {'name': 'like'}]}})


def _csv(columns):
    rows = zip(*(column.to_pylist() for column in columns.values()))
    return '\n'.join([','.join(columns), *(
        ','.join('' if cell is None else str(cell) for cell in row)
        for row in rows)]) + '\n'


def _read(folder, columns, **data):
    folder.mkdir(exist_ok=True)
    parquet.write_table(pa.table(columns), folder / 'train.parquet')
    return dataset.read(_config(train=['train.parquet'], **data), folder)


def _check_equal(one, other, but=('made_by', 'item_stats')):
    for name, value in vars(one).items():
        if name not in but:
            np.testing.assert_array_equal(value, getattr(other, name), name)
            assert np.asarray(value).dtype == np.asarray(
                getattr(other, name)).dtype, name


@pytest.mark.parametrize('columns', [COLUMNS, OTHER_TYPES])
@pytest.mark.parametrize('part', [1, 4, 1 << 20])
def test_parquet_says_what_csv_does(tmp_path, monkeypatch, columns, part):
    monkeypatch.setattr(parquet_rows, 'PART_ROWS', part)
    (tmp_path / 'train.csv').write_text(_csv(COLUMNS))
    expected = dataset.read(_config(), tmp_path)
    assert list(expected.users) == ['b', 'a', 'Jé']
    assert list(expected.action_names) == ['view', 'buy']
    _check_equal(_read(tmp_path / 'it', columns), expected)


def test_users_are_the_same_as_numbers_and_as_texts(tmp_path):
    columns = {'item': [1, 2], 'time': [1, 2], 'price': [0., 0.],
               'day': ['', ''], 'liked': [0, 1]}
    (tmp_path / 'later.csv').write_text(_csv(
        {'user': pa.array([7]), **{name: pa.array(values[:1])
                                   for name, values in columns.items()},
         'time': pa.array([9])}))
    data = _read(tmp_path, {'user': pa.array([7, 30]), **columns},
                 heldout=['later.csv'])
    assert list(data.users) == ['7', '30'] and list(data.offsets) == [0, 2, 3]


@pytest.mark.parametrize('times', [
    pa.array([1_500_000_000_123_456_999, -1], pa.timestamp('ns')),
    pa.array([1_500_000_000_123_456, -1], pa.timestamp('us', 'Europe/Paris')),
    pa.array([1_500_000_000_123_456, -1]),
    pa.array(['2017-07-14T02:40:00.123456Z', '1969-12-31T23:59:59.999999Z'])])
def test_times_of_any_kind(tmp_path, times):
    unit = 'rfc3339' if times.type == 'string' else 'us'
    two = {name: column[:2] for name, column in COLUMNS.items()}
    data = _read(tmp_path, {**two, 'time': times}, time_unit=unit)
    assert sorted(data.times_us) == [-1, 1_500_000_000_123_456]


@pytest.mark.parametrize('unit, count', [('s', 1_500_000_000),
                                         ('ms', 1_500_000_000_500)])
def test_whole_and_broken_times_are_what_their_texts_are(tmp_path, unit,
                                                         count):
    one = {name: column[:1] for name, column in COLUMNS.items()}
    for times in ([count], [float(count)], [count + .25],
                  [decimal.Decimal(count)]):
        data = _read(tmp_path, {**one, 'time': pa.array(times)},
                     time_unit=unit)
        per_unit = config_lib.TIME_UNITS[unit]
        assert list(data.times_us) == [int(float(times[0]) * per_unit)]
    stamped = pa.array([count], pa.timestamp(unit))
    assert list(_read(tmp_path, {**one, 'time': stamped}).times_us) == [
        count * config_lib.TIME_UNITS[unit]]


def test_a_date_is_its_first_second(tmp_path):
    one = {name: column[:1] for name, column in COLUMNS.items()}
    data = _read(tmp_path, {**one, 'time': pa.array(
        [datetime.date(1970, 1, 3)])})
    assert list(data.times_us) == [2 * 86_400 * 1_000_000]


@pytest.mark.parametrize('change, message', [
    ({'user': ['b', None]}, 'row 2: user "" is empty'),
    ({'user': pa.array([5, None])}, 'row 2: user "" is empty'),
    ({'user': pa.array([b'b', b'J\xe9'])},
     r'row 2: user "J\\xe9" is not UTF-8'),
    ({'user': [1., 2.]}, 'column "user" is of the type double: users are texts '
     'or whole numbers'),
    ({'item': [7, -1]}, r'row 2: item "-1" is not an item id: .* 0 to 2\^64'),
    ({'item': [7., 8.]}, r'row 1: item "7.0" is not an item id: .*point'),
    ({'item': pa.array([7, None])}, 'row 2: item "" is empty'),
    ({'item': ['7', 'x']}, 'row 2: item "x" is not an item id: they are whole'),
    ({'time': [SECOND * 1_000, SECOND]}, 'row 1: time "1500000000000" is in '
     'the year 49503 if it counts s, in 2017 if it counts ms: time_unit = '
     '"ms"'),
    ({'time': [SECOND, np.nan]}, 'row 2: time "" is not a number of s'),
    ({'time': pa.array([0, None], pa.timestamp('ms'))},
     'row 2: time "" is not a number of s'),
    ({'time': pa.array([0, 2 ** 60], pa.timestamp('ms'))},
     'row 2: time ".*Z" is outside of the years 1 to 9999'),
    ({'time': ['2017-01-01T00:00:00Z', '']}, 'row 1: time "2017.*" is a date, '
     'not a number of s since 1970: time_unit = "rfc3339"'),
    ({'price': [1., np.inf]}, 'row 2: price "inf" is not a finite number'),
    ({'price': [1., None]}, 'row 2: price "" is not a finite number'),
    ({'price': [1., 1e39]}, r'row 2: price "1e\+39" is not a finite number'),
    ({'liked': [0, 2]}, 'row 2: liked "2" is not 0, 1 or nothing'),
    ({'sku': [1, 2], 'item': None}, 'no column "item" in the header .*: '
     'data.item says what it is called'),
])
@pytest.mark.parametrize('part', [1, 100])
def test_a_bad_cell_is_named(tmp_path, monkeypatch, change, message, part):
    monkeypatch.setattr(parquet_rows, 'PART_ROWS', part)
    columns = {**{name: column[:2] for name, column in COLUMNS.items()},
               **change}
    with pytest.raises(ValueError, match='train.parquet: ' + message):
        _read(tmp_path, {name: values for name, values in columns.items()
                         if values is not None})


@pytest.mark.parametrize('part', [1, 4, 100])
def test_the_first_bad_cell_is_the_first_in_the_file(tmp_path, monkeypatch,
                                                     part):
    monkeypatch.setattr(parquet_rows, 'PART_ROWS', part)
    columns = {**COLUMNS, 'item': ['7', '7', '7', 'x', '7', '7'],
               'liked': [1, 1, 3, 1, 1, 1]}
    with pytest.raises(ValueError, match='row 3: liked "3"'):
        _read(tmp_path, columns)


@pytest.mark.parametrize('content, message', [
    (b'user,item\n', 'train.parquet: not Parquet, or damaged: '),
    (None, 'cannot read .*train.parquet: No such file')])
def test_what_is_no_parquet_is_named(tmp_path, content, message):
    if content:
        (tmp_path / 'train.parquet').write_bytes(content)
    with pytest.raises(ValueError, match=message):
        dataset.read(_config(train=['train.parquet']), tmp_path)


def test_a_file_without_rows_is_named(tmp_path):
    with pytest.raises(ValueError, match='train.parquet: no events'):
        _read(tmp_path, {name: column[:0] for name, column in COLUMNS.items()})


def test_a_catalogue_may_be_parquet(tmp_path):
    parquet.write_table(pa.table({'item': [9, 4, 7], 'title': ['a', 'b', 'c']}),
                        tmp_path / 'items.parquet')
    data = _read(tmp_path, COLUMNS, catalogue='items.parquet')
    assert list(data.item_ids) == [4, 7, 9]


def test_only_columns_that_are_asked_for_are_read(tmp_path):
    parquet.write_table(pa.table({**COLUMNS, 'other': ['x'] * 6}),
                        tmp_path / 'train.parquet')
    rows = next(parquet_rows.parts(tmp_path / 'train.parquet', ['user']))
    assert rows.header == [*COLUMNS, 'other']
    assert rows._batch.schema.names == ['user']
    assert len(list(csv_events.parts(tmp_path / 'train.parquet',
                                     _config()))) == 1
