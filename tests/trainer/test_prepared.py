"""A prepared folder holds what the files say, in bounded parts, and says by
which config."""

import json

import numpy as np
import pytest

from trainer import columns
from trainer import config as config_lib
from trainer import csv_rows
from trainer import dataset
from trainer import prepared
from trainer import sorting
from trainer import vocabulary
from trainer.__main__ import main

CONFIG = {
    'name': 'test', 'data': {
        'train': ['one.csv', 'two.csv'], 'heldout': ['later.csv'],
        'min_item_count': 2, 'labels': {'like': 'liked'}},
    'model': {'event_features': ['price', 'size'],
              'context_features': [{'name': 'day', 'values': ['we', 'th']}],
              'tasks': [{'name': 'next'}, {'name': 'like'}]}}


def _config(*changes):
    return config_lib.with_overrides(config_lib.from_dict(CONFIG), changes)


def _write(folder, seed=1):
    """Three files; most events of the few users are at the same times, and the
    last in a file is the earliest."""
    rng = np.random.default_rng(seed)
    for name, start, count in (('one', 0, 300), ('two', 100, 200),
                               ('later', 400, 50)):
        (folder / f'{name}.csv').write_text(
            'user,item,action,time,price,size,day,liked\n' + ''.join(
                f'u{rng.zipf(1.5) % 23},{rng.zipf(1.5) % 40},'
                f'{rng.choice(["view", "buy", ""])},'
                f'{start + rng.integers(1, 90) * (line < count - 1)},{rng.integers(1_000_000)},'
                f'{rng.random():.3f},{rng.choice(["we", "th", "x"])},'
                f'{rng.choice(["", "0", "1"])}\n' for line in range(count)))


def _check_equal(one, other):
    for name, value in vars(one).items():
        np.testing.assert_array_equal(value, getattr(other, name), name)
        assert np.asarray(value).dtype == np.asarray(
            getattr(other, name)).dtype, name


@pytest.mark.parametrize('part_events', [1, 7, 100, 1 << 20])
def test_prepared_in_parts_is_what_is_read_at_once(tmp_path, monkeypatch,
                                                   part_events):
    _write(tmp_path)
    expected = dataset.read(_config(), tmp_path)
    monkeypatch.setattr(csv_rows, 'PART_ROWS', 37)
    data = dataset.prepare(_config(), tmp_path, tmp_path / 'shop',
                           part_events)
    _check_equal(data, expected)
    assert not data.times_us.flags.writeable  # A map of the file.
    again, config = dataset.open_data(tmp_path / 'shop', _config())
    _check_equal(again, expected)
    assert config.model.actions == tuple(expected.action_names)
    assert {path.name for path in tmp_path.iterdir()} == {
        'one.csv', 'two.csv', 'later.csv', 'shop'}


@pytest.mark.parametrize('chunk', [1, 7, 1 << 20])
def test_parts_of_histories_are_what_a_mask_leaves(tmp_path, monkeypatch,
                                                   chunk):
    monkeypatch.setattr(dataset, '_CHUNK', chunk)
    _write(tmp_path)
    data = dataset.read(_config(), tmp_path)
    assert data.cut_us == data.times_us[data.times_us >= 400_000_000].min()
    user = np.repeat(np.arange(len(data.users)), np.diff(data.offsets))
    early = data.before(120_000_000)
    assert np.diff(early.offsets).min() == 0  # Some users are gone.
    for kept, mask in (
            (early, data.times_us < 120_000_000),
            (data.without_last(2), [
                event + 2 < data.offsets[one + 1]
                for event, one in enumerate(user)])):
        assert np.diff(kept.offsets).tolist() == np.bincount(
            user[mask], minlength=len(data.users)).tolist()
        for name in dataset.EVENT_COLUMNS:
            np.testing.assert_array_equal(getattr(kept, name),
                                          getattr(data, name)[mask])
    nobody = early.without_last(1_000)
    assert not nobody.offsets.any() and not len(nobody.rows)


@pytest.mark.parametrize('seed', range(20))
def test_sorting_in_parts_is_a_stable_sort(seed):
    rng = np.random.default_rng(seed)
    users = rng.integers(0, 12, rng.integers(1, 200)).astype(np.int32)
    times = rng.integers(0, 6, len(users))
    expected = sorted(range(len(users)),
                      key=lambda event: (users[event], times[event]))
    counts = np.bincount(users, minlength=13)
    for part in (1, 5, 40, 1_000):
        parts = list(sorting.order(users, times, counts, part))
        assert np.concatenate(parts).tolist() == expected
        for found in parts:
            assert len(found) <= part or len(set(users[found])) == 1


def test_all_parts_of_a_large_csv_are_one_file(tmp_path, monkeypatch):
    """Lines are counted and quoted ones held together across parts."""
    text = 'user,item,time,title\n' + ''.join(
        f'a,{line},{line},' + ('"two\nlines"\n' if line % 5 == 0 else 'x\n')
        for line in range(1_000))
    config = config_lib.from_dict({'name': 'test',
                                   'data': {'min_item_count': 1}})
    monkeypatch.setattr(csv_rows, 'PART_ROWS', 7)
    monkeypatch.setattr(csv_rows.csv_files, 'PIECE_BYTES', 11)
    (tmp_path / 'train.csv').write_text(text)
    assert list(dataset.read(config, tmp_path).items) == list(range(1_000))
    (tmp_path / 'train.csv').write_text(text + 'a,x,1,x\n')
    with pytest.raises(ValueError, match='train.csv:1202: item "x"'):
        dataset.read(config, tmp_path)
    (tmp_path / 'train.csv').write_text(text + 'a,1,1,"x\n')
    with pytest.raises(ValueError, match='train.csv:1202: a quote is opened'):
        dataset.read(config, tmp_path)


@pytest.mark.parametrize('change, message', [
    ('data.min_item_count=1', 'data.min_item_count = 2, but the config has 1'),
    ('data.equal_times="order"', "data.equal_times = 'moment', but the config "
     "has 'order'"),
    ('data.train=["one.csv"]', r"data.train = \['one.csv', 'two.csv'\], but"),
    ('data.heldout=[]', r"data.heldout = \['later.csv'\], but"),
    ('data.time_unit="ms"', "data.time_unit = 's', but the config has 'ms'"),
    ('data.labels={like="bought"}', "data.labels.like = 'liked', but the "
     "config has 'bought'"),
    ('data.labels={next="liked", like="liked"}', "data.labels.next = ''"),
    ('data.catalogue="items.csv"', "data.catalogue = ''"),
    ('model.context_features=[{name="day", values=["th", "we"]}]',
     "'day' has other values, boundaries or another default"),
    ('model.context_features=[{name="hour", values=["1"]}]',
     "context_rows has no column 'hour'; prepared: day"),
    ('model.event_features=["weight"]',
     "event_features has no column 'weight'; prepared: price, size"),
    ('model.actions=["buy", "view"]', r"actions is \('buy', 'view'\), but"),
])
def test_what_contradicts_the_config_is_refused(tmp_path, change, message):
    _write(tmp_path)
    dataset.prepare(_config('model.actions=["view", "buy"]'), tmp_path,
                    tmp_path / 'shop')
    with pytest.raises(ValueError, match=message):
        dataset.open_data(tmp_path / 'shop', _config(change))


def test_what_changes_nothing_of_the_events_is_taken(tmp_path):
    _write(tmp_path)
    expected = dataset.prepare(_config(), tmp_path, tmp_path / 'shop')
    data, _ = dataset.open_data(tmp_path / 'shop', _config(
        'data.split="last"', 'model.event_features=["size"]',
        'model.tasks=[{name="like"}]', 'model.actions=' + json.dumps(
            expected.action_names.tolist())))
    assert np.array_equal(data.event_features, expected.event_features[:, 1:])
    assert np.array_equal(data.labels, expected.labels[:, 1:],
                          equal_nan=True)
    assert data.rows is not None and not data.rows.flags.writeable


def test_only_a_prepared_folder_is_written_over(tmp_path):
    _write(tmp_path)
    dataset.prepare(_config(), tmp_path, tmp_path / 'shop')
    changed = dataset.prepare(_config('data.min_item_count=1'), tmp_path,
                              tmp_path / 'shop')
    assert len(changed.item_ids) > 20
    with pytest.raises(ValueError, match='is prepared already'):
        dataset.prepare(_config(), tmp_path / 'shop', tmp_path / 'other')
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine/letter.txt').write_text('dear')
    for out in ('mine', 'one.csv'):
        with pytest.raises(ValueError, match=f'{out}: is there already'):
            dataset.prepare(_config(), tmp_path, tmp_path / out)
    assert (tmp_path / 'mine/letter.txt').read_text() == 'dear'


def test_a_file_that_is_refused_leaves_the_old_folder(tmp_path):
    _write(tmp_path)
    dataset.prepare(_config(), tmp_path, tmp_path / 'shop')
    (tmp_path / 'two.csv').write_text('user,item,time\na,x,1\n')
    with pytest.raises(ValueError, match='two.csv'):
        dataset.prepare(_config(), tmp_path, tmp_path / 'shop')
    assert len(dataset.load(tmp_path / 'shop').rows) == 550
    assert not list(tmp_path.glob('.prepare*'))


def test_what_other_versions_wrote_is_refused(tmp_path, capsys):
    _write(tmp_path)
    config = tmp_path / 'my.toml'
    config.write_text('name = "test"\n[data]\ntrain = ["one.csv"]\n')
    assert main(['prepare', '--config', str(config), '--data', str(tmp_path),
                 '--out', str(tmp_path / 'shop')]) == 0
    assert '300 events of ' in capsys.readouterr().out
    about = tmp_path / 'shop/dataset.json'
    values = json.loads(about.read_text())
    about.write_text(json.dumps({**values, 'format': 9}))
    with pytest.raises(ValueError, match='dataset.json: format is 9'):
        dataset.load(tmp_path / 'shop')
    about.write_text(json.dumps(values))
    (tmp_path / 'shop/items.npy').unlink()
    with pytest.raises(ValueError, match='shop: items: made by another'):
        dataset.load(tmp_path / 'shop')
    with pytest.raises(ValueError, match='shop.npz: prepared by an earlier'):
        prepared.is_prepared('shop.npz')


@pytest.mark.parametrize('shape', [(), (3,), (0,)])
def test_a_column_on_disk_is_a_file_of_numpy(tmp_path, shape):
    rng = np.random.default_rng(1)
    parts = [rng.random((rows, *shape)).astype(np.float32)
             for rows in (0, 5, 0, 1_000)]
    store = columns.OnDisk(tmp_path)
    for part in parts:
        store.append('values', part)
    for found in (store.arrays()['values'], np.load(tmp_path / 'values.npy')):
        np.testing.assert_array_equal(found, np.concatenate(parts))


@pytest.mark.parametrize('chunk', [1, 16, 1 << 20])
def test_items_are_counted_and_found_in_parts(monkeypatch, chunk):
    monkeypatch.setattr(vocabulary, '_CHUNK', chunk)
    rng = np.random.default_rng(2)
    items = rng.zipf(1.3, 500).astype(np.uint64) + np.uint64(2 ** 63)
    counts = vocabulary.ItemCounts()
    for part in np.split(items, [3, 3, 200]):
        counts.add(part)
    ids, how_often = np.unique(items, return_counts=True)
    for least in (1, 2, 10_000):
        assert np.array_equal(counts.catalogue(least), ids[how_often >= least])
    for catalogue in (ids, rng.permutation(ids)[:20], ids[:0]):
        row = {item: index + 1 for index, item in enumerate(
            catalogue.tolist())}
        assert vocabulary.rows_of(catalogue, items).tolist() == [
            row.get(item, 0) for item in items.tolist()]
