"""A stranger's CSV files and a TOML file, nothing else: docs/training.md."""

import json
import pathlib

import numpy as np

import odd_files
from bench import served_comparison
from bench import served_quality
from trainer import config as config_lib
from trainer import export

CONFIG = pathlib.Path(__file__).parent / 'stranger.toml'


def test_a_stranger_needs_only_a_config_file(tmp_path, programs, run_trainer):
    both = odd_files.write(tmp_path, np.random.default_rng(7))
    run_trainer('train', '--config', CONFIG, '--data', tmp_path, '--out',
                tmp_path / 'run', '--quiet', '--final')
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
        'evaluate', '--model', bundle_folder, '--config', CONFIG,
        '--data', tmp_path, '--json'))
    assert offline['users'] == both
    assert 0 < offline['own counts']['hit@10'] < 1

    served = served_quality.serve(bundle_folder, config_lib.load(CONFIG),
                                  tmp_path, programs)
    assert served.evaluated['users'] == both
    assert served.evaluated['users_without_history'] == 1
    assert served_comparison.disagreements(
        served.evaluated['qlarank'],
        served_comparison.offline_figures(offline),
        (served.evaluated['users'], offline['users'])) == []
    assert served_comparison.baseline_disagreements(served.evaluated,
                                                    offline) == []
    # Of the three things in every basket, one at most is known.
    assert max(row['recall@10'] for row in offline.values()
               if isinstance(row, dict)) <= 1 / 3 + 1e-9


def test_a_long_history_is_served_as_it_is_computed(tmp_path, programs,
                                                    run_trainer):
    """Leave-one-out of a user with 16,500 events, and of another."""
    rng = np.random.default_rng(8)
    skus = np.arange(100, 400).astype(np.uint64)
    _, lines = odd_files.history(rng, 'ann', odd_files.LONG, skus[:280])
    _, others = odd_files.history(rng, 'bob', 60, skus[:40])
    last = odd_files.line(rng, 'ann', odd_files.CUT_MS, 390, 'buy')
    (tmp_path / 'clicks.csv').write_text(
        odd_files.HEADER + ''.join(text for _, text in others + lines) + last)
    (tmp_path / 'skus.csv').write_text(
        'sku,name\n' + ''.join(f'{sku},"a, b"\n' for sku in skus))
    config_file = tmp_path / 'long.toml'
    config_file.write_text(CONFIG.read_text().replace(
        'heldout = ["later.csv"]', 'catalogue = "skus.csv"\nsplit = "last"\n'
        'equal_times = "order"'))
    run_trainer('train', '--config', config_file, '--data', tmp_path, '--out',
                tmp_path / 'run', '--quiet', '--final')
    run_trainer('export', '--model', tmp_path / 'run/model.npz', '--out',
                tmp_path / 'models')
    bundle = tmp_path / 'models/stranger/1'
    config = config_lib.load(config_file)
    served = served_quality.serve(bundle, config, tmp_path, programs)
    _, ranks = served_quality.compute_offline(
        export.read(bundle).tensors, config, tmp_path)
    # Ann has had 280 of the 300 items: theirs is one of 20.
    assert 1 <= ranks['ann'] <= 20
    assert served.ranks == ranks
