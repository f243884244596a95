"""Exported events are the same in Parquet as in the CSV that they came in."""

import gzip

import numpy as np
import pytest

from trainer import config as config_lib
from trainer import convert_export
from trainer import dataset

pa = pytest.importorskip('pyarrow')
parquet = pytest.importorskip('pyarrow.parquet')

CSV = ('user,item,action,time,price,age\n'
       'b,18446744073709551615,view,1511200980,0.1,-3\n'
       'b,7,buy,1511200980.000001,1e-45,0\n'
       '"a,""x",7,view,1511200979.25,3.4028235e+38,-0\n'
       'Jé,9,,1511200981,0,16777217\n')


def _write(folder, text=CSV):
    folder.mkdir(exist_ok=True)
    path = folder / 'events.csv.gz'
    path.write_bytes(gzip.compress(text.encode()))
    return path


def _read(path):
    return dataset.read(config_lib.from_dict({
        'name': 'test', 'data': {'train': [path.name], 'min_item_count': 1},
        'model': {'event_features': ['price', 'age']}}), path.parent)


def test_it_is_read_as_the_csv_is(tmp_path):
    events = _write(tmp_path)
    out = tmp_path / 'events.parquet'
    assert convert_export.convert(events, out) == 4
    found, wanted = _read(out), _read(events)
    assert list(found.users) == list(wanted.users)
    for name in ('offsets', 'item_ids', 'items', 'rows', 'action_names',
                 'actions', 'times_us'):
        np.testing.assert_array_equal(getattr(found, name),
                                      getattr(wanted, name), name)
    assert (np.asarray(found.event_features).tobytes() ==
            np.asarray(wanted.event_features).tobytes())


def test_its_types_are_small(tmp_path):
    convert_export.convert(_write(tmp_path), tmp_path / 'events.parquet')
    schema = parquet.read_schema(tmp_path / 'events.parquet')
    assert [(field.name, str(field.type)) for field in schema] == [
        ('user', 'string'), ('item', 'uint64'), ('action', 'string'),
        ('time', 'timestamp[us, tz=UTC]'), ('price', 'float'),
        ('age', 'float')]


def test_many_rows_are_written_in_groups(tmp_path, monkeypatch):
    monkeypatch.setattr('trainer.csv_rows.PART_ROWS', 3)
    monkeypatch.setattr(convert_export, '_GROUP_ROWS', 6)
    lines = ''.join(f'u{n},{n},view,{1511200980 + n}\n' for n in range(20))
    events = _write(tmp_path, 'user,item,action,time\n' + lines)
    out = tmp_path / 'events.parquet'
    assert convert_export.convert(events, out) == 20
    with parquet.ParquetFile(out) as file:
        assert file.num_row_groups == 4
        assert file.read()['item'].to_pylist() == list(range(20))


def test_an_export_of_nobody_is_a_file_without_rows(tmp_path):
    out = tmp_path / 'events.parquet'
    assert not convert_export.convert(
        _write(tmp_path, 'user,item,action,time\n'), out)
    assert parquet.read_table(out).num_rows == 0


@pytest.mark.parametrize('line, problem', [
    ('a,x7,view,1511200980', 'events.csv.gz:2: item "x7" is not an item id'),
    ('a,7,view', 'events.csv.gz:2: '),
    ('a,7,view,soon', 'events.csv.gz:2: time "soon" is not a number')])
def test_a_bad_line_is_named_and_nothing_is_written(tmp_path, line, problem):
    events = _write(tmp_path, f'user,item,action,time\n{line}\n')
    with pytest.raises(ValueError, match=problem):
        convert_export.convert(events, tmp_path / 'events.parquet')
    assert [path.name for path in tmp_path.iterdir()] == [events.name]


def test_what_is_there_is_left(tmp_path):
    out = tmp_path / 'events.parquet'
    out.write_text('mine')
    with pytest.raises(ValueError, match='is there already'):
        convert_export.convert(_write(tmp_path), out)
    assert out.read_text() == 'mine'
