"""A config of column names is enough: what is chosen beats simple rankings."""

import json

import numpy as np

from trainer.__main__ import main

CONFIG = '''
name = "cafe"
[data]
train = ["events.csv"]
heldout = ["later.csv"]
user = "guest"
item = "dish"
time = "at"
'''
DAY_S = 86_400
CUT_S = 60 * DAY_S


def _lines():
    """20 guests who have two of three dishes a day, and other three every 25
    days: what they had most is not what they have next."""
    rng = np.random.default_rng(3)
    for guest in range(20):
        dishes = rng.choice(60, 9, replace=False)
        changes = rng.integers(0, 25)
        for day in range(0, 66, 2):
            phase = min(2, (day + changes) // 30)
            for dish in rng.choice(dishes[3 * phase:3 * phase + 3], 2, False):
                yield guest, dish, day * DAY_S + 1_000 * guest


def _trained(tmp_path, steps):
    """The figures of the test part after so many steps."""
    lines = list(_lines())
    for name, late in (('events', False), ('later', True)):
        (tmp_path / f'{name}.csv').write_text('guest,dish,at\n' + ''.join(
            f'{guest},{dish},{at}\n' for guest, dish, at in lines
            if (at >= CUT_S) == late))
    (tmp_path / 'cafe.toml').write_text(CONFIG)
    assert main(['train', '--config', str(tmp_path / 'cafe.toml'), '--data',
                 str(tmp_path), '--out', str(tmp_path / 'out'), '--quiet',
                 '--device', 'cpu', '--final', '--test', '--set',
                 f'training.steps={steps}']) == 0
    found = json.loads((tmp_path / 'out' / 'metrics.json').read_text())
    assert found['config']['model']['item_memory']['entries'] == 128
    return found['test']


def test_column_names_train_a_model_above_simple_rankings(tmp_path):
    metrics = _trained(tmp_path, 25)
    model = metrics['model, all terms']
    assert model['ndcg@10'] > 2 * metrics['popularity']['ndcg@10']
    assert model['repeat']['ndcg@10'] > (
        1.1 * metrics['own counts']['repeat']['ndcg@10'])


def test_before_a_step_it_ranks_as_decayed_counts_do(tmp_path):
    metrics = _trained(tmp_path, 0)
    model, counts = (metrics[name] for name in (
        'model, all terms', 'own decayed counts'))
    assert model['repeat']['ndcg@10'] > .95 * counts['repeat']['ndcg@10']
    assert model['repeat']['ndcg@10'] > (
        2 * metrics['popularity']['repeat']['ndcg@10'])
