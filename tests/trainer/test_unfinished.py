"""An interrupted training ends with the bits of one that nobody interrupted."""

import pathlib

import numpy as np
import pytest
import torch

from trainer import config as config_lib
from trainer import dataset
from trainer import train
from trainer import unfinished


class _Interrupted(unfinished.Unfinished):
    """As if the process was killed after some saves."""

    saves_left = 2

    def save(self, state):
        super().save(state)
        self.saves_left -= 1
        if self.saves_left == 0:
            raise KeyboardInterrupt


def _config(**training):
    return config_lib.from_dict({
        'name': 'tiny', 'data': {'min_item_count': 1},
        'model': {'d_model': 16, 'num_heads': 2, 'num_layers': 1,
                  'ffn_width': 16, 'head_width': 8,
                  'initial_half_lives': [4.0, 0.0], 'actions': ['buy']},
        'training': {'epochs': 4, 'learning_rate': .01, 'batch_events': 128,
                     'negatives': 16, 'moments': 3, 'positives': 4,
                     # Whatever is random, and whatever is kept beside.
                     'dropout': .1, 'unseen_share': .1, 'random_windows': .5,
                     'average_decay': .9, **training}})


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(1)
    lines = ['user,item,action,time']
    for user in range(30):
        for moment in range(20):
            lines += [f'{user},{item},buy,{1_000 * moment}'
                      for item in rng.choice(50, 3, replace=False)]
    (tmp_path / 'train.csv').write_text('\n'.join(lines) + '\n')
    return dataset.read(_config(), tmp_path)


def _train(config, data, rest=None):
    return train.train(config, data, quiet=True, unfinished=rest)


def _without_seconds(history):
    return [{key: value for key, value in record.items() if key != 'seconds'}
            for record in history]


@pytest.mark.parametrize('training', [{}, {
    'full_softmax_items': 0, 'dot_negatives': 32}], ids=['full', 'sampled'])
def test_an_interrupted_training_ends_as_it_would_have(tmp_path, data, capsys,
                                                       training):
    path = tmp_path / 'unfinished.pt'
    config = _config(**training)
    model, history = _train(config, data)
    with pytest.raises(KeyboardInterrupt):
        _train(config, data, _Interrupted(path, config, data))
    torch.rand(7)  # Another process has other random numbers.
    rest = unfinished.Unfinished(path, config, data)
    again, all_epochs = _train(config, data, rest)
    assert f'(epoch 2), as {path} has it' in capsys.readouterr().out
    assert [record['epoch'] for record in all_epochs] == [1, 2, 3, 4]
    assert _without_seconds(all_epochs) == _without_seconds(history)
    whole, resumed = model.to_arrays(), again.to_arrays()
    for name, array in whole.items():
        np.testing.assert_array_equal(resumed[name], array, name)
    rest.remove()
    assert list(tmp_path.glob('unfinished*')) == []


@pytest.mark.parametrize('change', ['config', 'events'])
def test_another_training_begins_anew(tmp_path, data, change):
    path = tmp_path / 'unfinished.pt'
    with pytest.raises(KeyboardInterrupt):
        _train(_config(), data, _Interrupted(path, _config(), data))
    config = _config(learning_rate=.02) if change == 'config' else _config()
    events = data.before(15_000 * 1_000_000) if change == 'events' else data
    assert unfinished.Unfinished(path, config, events).load() is None
    assert unfinished.Unfinished(path, _config(), data).load() is not None


@pytest.mark.parametrize('content', [b'', b'not a file of torch', b'PK\3\4'])
def test_a_damaged_file_is_named(tmp_path, data, content):
    path = pathlib.Path(tmp_path / 'unfinished.pt')
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f'{path}: cannot be read'):
        unfinished.Unfinished(path, _config(), data).load()


def test_what_takes_long_to_write_is_written_less_often(tmp_path, data):
    times = iter([0., 4.,  # A short one, and again at once.
                  5., 16., 100., 235.9, 236.2, 237.])
    rest = unfinished.Unfinished(tmp_path / 'unfinished.pt', _config(), data,
                                 clock=lambda: next(times))

    def saved(number):
        rest.save({'number': number})
        return rest.load()['number']
    assert saved(1) == 1
    assert saved(2) == 2  # Took 11 s: none for 220 s from second 16 on.
    assert saved(3) == 2
    assert saved(4) == 2
    assert saved(5) == 5
