"""A stranger's CSV files and a TOML file, nothing else: docs/training.md.

The files have what real ones have and examples do not: other column names,
columns that nobody asked for, times in milliseconds, one user with 16,000
events and many with one to three, items again and again, ties in time, ids up
to 2^64 - 1, and later items and users that training never saw.
"""

import json

import numpy as np

from bench import served_quality
from trainer import config as config_lib
from trainer import evaluate
from trainer import export

CONFIG = '''name = "stranger"

[data]
train = ["clicks.csv"]
heldout = ["later.csv"]
user = "visitor"
item = "sku"
action = "what"
time = "at_ms"
time_unit = "ms"
min_item_count = 3

[model]
d_model = 32
num_heads = 2
num_layers = 2
ffn_width = 32
head_width = 16
initial_half_lives = [4.0, 100.0]

[training]
epochs = 3
learning_rate = 5e-3
negatives = 64
'''

HEADER = 'session,visitor,colour,at_ms,sku,what\n'
START_MS = 1_600_000_000_123
CUT_MS = START_MS + 30 * 86_400_000
LONG = 16_500


def _line(rng, visitor, when_ms, sku, what):
    colour = rng.choice(['red', '"dark, blue"', ''])
    return f's{rng.integers(9)},{visitor},{colour},{when_ms},{sku},{what}\n'


def _history(rng, visitor, count, skus):
    """Lines of one visitor before the cut, in order of time."""
    favourites = rng.choice(skus, 4)
    times = np.sort(rng.integers(START_MS, CUT_MS, count))
    times[1::5] = times[:-1:5][:len(times[1::5])]  # Ties.
    lines = []
    for when_ms in times:
        known = rng.random() < .6
        sku = rng.choice(favourites) if known else rng.choice(skus)
        what = rng.choice(['look', 'buy', 'wish list'], p=[.7, .2, .1])
        lines.append((when_ms, _line(rng, visitor, when_ms, sku, what)))
    return favourites, lines


def _write_files(folder, rng):
    """clicks.csv and later.csv; returns the visitors who are in both."""
    skus = np.concatenate([
        np.array([2 ** 64 - 1, 2 ** 63 + 1, 0], np.uint64),
        rng.integers(1, 2 ** 62, 150).astype(np.uint64)])
    new_sku = 2 ** 64 - 2
    before, after, both = [], [], 0
    for number in range(161):
        visitor = '"Ann, the first"' if number == 0 else f'Zoë/{number}'
        count = LONG if number == 0 else int(rng.integers(1, 4))
        favourites, lines = _history(rng, visitor, count, skus)
        before += lines
        if number % 3 == 0:
            both += 1
            # A basket of what she likes, twice, and what nobody knew.
            for sku in (favourites[0], new_sku, 2 ** 62 + number,
                        favourites[0]):
                after.append((CUT_MS + number, _line(
                    rng, visitor, CUT_MS + number, sku, 'buy')))
            after.append((CUT_MS + 5_000_000, _line(
                rng, visitor, CUT_MS + 5_000_000, favourites[1], 'look')))
    after.append((CUT_MS, _line(rng, 'only later', CUT_MS, skus[0], 'gift')))
    for name, lines in (('clicks.csv', before), ('later.csv', after)):
        lines.sort(key=lambda pair: pair[0])
        (folder / name).write_text(HEADER + ''.join(l for _, l in lines))
    return both


def test_a_stranger_needs_only_a_config_file(tmp_path, programs, run_trainer):
    both = _write_files(tmp_path, np.random.default_rng(7))
    config_file = tmp_path / 'stranger.toml'
    config_file.write_text(CONFIG)

    run_trainer('train', '--config', config_file, '--data', tmp_path, '--out',
                tmp_path / 'run', '--quiet')
    history = json.loads((tmp_path / 'run/metrics.json').read_text())['history']
    assert history[-1]['dot_loss'] < history[0]['dot_loss']
    printed = run_trainer('export', '--model', tmp_path / 'run/model.npz',
                          '--out', tmp_path / 'models')
    assert 'models/stranger/1' in printed
    bundle_folder = tmp_path / 'models/stranger/1'
    bundle = export.read(bundle_folder)
    # From the data, the most frequent first; one is in later.csv alone.
    assert bundle.hyper.actions == ('look', 'buy', 'wish list', 'gift')
    assert {0, 2 ** 63 + 1, 2 ** 64 - 1} <= set(bundle.tensors['item_ids'])
    assert 2 ** 64 - 2 not in bundle.tensors['item_ids']

    offline = json.loads(run_trainer(
        'evaluate', '--model', bundle_folder, '--config', config_file,
        '--data', tmp_path, '--json'))
    assert offline['users'] == both
    assert 0 < offline['own history']['hit@10'] < 1

    served = served_quality.serve(bundle_folder, config_lib.load(config_file),
                                  tmp_path, programs)
    assert served.evaluated['users'] == both
    assert served.evaluated['users_without_history'] == 1
    assert served_quality.disagreements(
        served.evaluated['qlarank'], served_quality.offline_figures(offline),
        (served.evaluated['users'], offline['users'])) == []
    # Of the three things in every basket, one at most is known.
    assert max(row['recall@10'] for name, row in offline.items()
               if name != 'users') <= 1 / 3 + 1e-9


def test_a_long_history_is_served_as_it_is_computed(tmp_path, programs,
                                                    run_trainer):
    """16,000 events: each user's last one left out, nothing but user Ann."""
    rng = np.random.default_rng(8)
    skus = np.arange(100, 400).astype(np.uint64)
    _, lines = _history(rng, 'ann', LONG, skus[:280])
    _, others = _history(rng, 'bob', 60, skus[:40])
    lines.append((CUT_MS, _line(rng, 'ann', CUT_MS, 390, 'buy')))
    (tmp_path / 'clicks.csv').write_text(
        HEADER + ''.join(line for _, line in others + lines))
    (tmp_path / 'skus.csv').write_text(
        'sku,name\n' + ''.join(f'{sku},"a, b"\n' for sku in skus))
    config_file = tmp_path / 'long.toml'
    config_file.write_text(CONFIG.replace(
        'heldout = ["later.csv"]', 'catalogue = "skus.csv"\nsplit = "last"\n'
        'equal_times = "order"'))
    run_trainer('train', '--config', config_file, '--data', tmp_path, '--out',
                tmp_path / 'run', '--quiet')
    run_trainer('export', '--model', tmp_path / 'run/model.npz', '--out',
                tmp_path / 'models')
    bundle = tmp_path / 'models/stranger/1'
    config = config_lib.load(config_file)
    served = served_quality.serve(bundle, config, tmp_path, programs)
    _, ranks = served_quality.compute_offline(
        export.read(bundle).tensors, config, tmp_path)
    # What Ann has not had is 20 items: one of them is hers.
    assert 1 <= ranks['ann'] <= 300 - 280 + evaluate.TOP
    assert served.ranks == ranks
