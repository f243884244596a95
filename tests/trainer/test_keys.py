"""Items that are texts, from a CSV file to a bundle."""

import numpy as np
import pytest

from trainer import checkpoint
from trainer import config as config_lib
from trainer import dataset
from trainer import export
from trainer import keys
from trainer import train


def _config(**data):
    return config_lib.from_dict({
        'name': 'x', 'data': {'item_keys': 'text', 'min_item_count': 1, **data},
        'model': {'d_model': 16, 'num_heads': 2, 'num_layers': 1,
                  'ffn_width': 16, 'head_width': 8,
                  'initial_half_lives': [4.0, 0.0]},
        'training': {'epochs': 1}})


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'train.csv').write_text(
        'user,item,time\nann,B00EX,1\nann,"tea, green",2\nbob,7,3\n'
        'bob,B00EX,4\nbob,café,5\n')
    return tmp_path


def test_ids_are_hashes_as_others_make_them():
    # Of XXH64's own test vectors, seed 0.
    assert keys.ids(['', 'a', 'abc']).tolist() == [
        0xEF46DB3751D8E999, 0xD24EC4F1A98C6E5B, 0x44BC2CF5AD770999]


def test_a_data_set_knows_the_texts_of_its_items(folder):
    data = dataset.read(_config(), folder)
    assert len(data.item_ids) == 4
    assert data.item_ids.tolist() == keys.ids(data.item_keys).tolist()
    assert [data.item_keys[row - 1] for row in data.rows] == [
        'B00EX', 'tea, green', '7', 'B00EX', 'café']
    data.save(folder / 'data')
    assert dataset.load(folder / 'data').item_keys.tolist() == (
        data.item_keys.tolist())
    # So does one with another catalogue.
    some = data.with_catalogue(data.item_ids[1:3])
    assert some.item_keys.tolist() == data.item_keys.tolist()[1:3]
    (folder / 'items.csv').write_text('item\nB00EX\nnever had\n')
    listed = dataset.read(_config(catalogue='items.csv'), folder)
    assert sorted(listed.item_keys) == ['B00EX', 'never had']


def test_two_texts_of_one_hash_are_refused(folder, monkeypatch):
    monkeypatch.setattr(keys, 'ids', lambda texts: np.ones(
        len(texts), np.uint64))
    with pytest.raises(ValueError, match="'B00EX' and 'tea, green' have the "
                                         'same hash: give one'):
        dataset.read(_config(), folder)


def test_a_bundle_has_the_texts_and_titles_of_its_items(folder, tmp_path):
    data, config = dataset.open_data(folder, _config())
    model, _ = train.train(config, data, quiet=True)
    checkpoint.save(tmp_path / 'model.npz', config, model.to_arrays(),
                    data.item_ids, {}, data.item_keys)
    config, tensors, _ = checkpoint.load(tmp_path / 'model.npz')
    assert '__item_keys__' not in tensors
    (tmp_path / 'titles.tsv').write_text('B00EX\tAn example\nother\tNone\n')
    export.write(export.Bundle('x', 1, '', config.model, tensors,
                               checkpoint.item_keys(tmp_path / 'model.npz')),
                 tmp_path / 'bundle', tmp_path / 'titles.tsv')
    written = (tmp_path / 'bundle' / export.KEYS_FILE).read_text()
    assert dict(line.split('\t') for line in written.splitlines()) == {
        str(keys.ids([key])[0]): key
        for key in ('B00EX', 'tea, green', '7', 'café')}
    [example] = keys.ids(['B00EX'])
    assert (tmp_path / 'bundle' / export.TITLES_FILE).read_text() == (
        f'{example}\tAn example\n')
