"""A tiny training run learns, for each way that candidates are scored."""

import numpy as np
import pytest

from trainer import checkpoint
from trainer import config as config_lib
from trainer import dataset
from trainer import evaluate
from trainer import export
from trainer import hyper as hyper_lib
from trainer import train


def _write_csv(path, rng, users=40, moments=8):
    """Users who buy the same three items of 60 at every moment, and a label."""
    lines = ['user,item,action,time,price,liked']
    for user in range(users):
        favourites = rng.choice(60, 3, replace=False)
        for moment in range(moments):
            for item in favourites:
                lines.append(f'{user},{100 + item},buy,{1_000 * moment},'
                             f'{item / 60:.3f},{int(item % 2)}')
    path.write_text('\n'.join(lines) + '\n')


def _config(target_aware, **model):
    return config_lib.from_dict({
        'name': 'tiny', 'data': {'min_item_count': 1,
                                 'labels': {'like': 'liked'}
                                 if 'tasks' in model else {}},
        'model': {'d_model': 16, 'num_heads': 2, 'num_layers': 1,
                  'ffn_width': 16, 'target_aware': target_aware,
                  'head_width': 0 if target_aware == hyper_lib.OFF else 8,
                  'initial_half_lives': [4.0, 0.0], 'actions': ['buy'],
                  **model},
        'training': {'epochs': 8, 'learning_rate': .01, 'batch_events': 256,
                     'negatives': 16, 'moments': 3, 'positives': 4,
                     'dropout': 0.0, 'item_init_std': .1}})


@pytest.mark.parametrize('target_aware, model', [
    (hyper_lib.OFF, {}),
    (hyper_lib.DEDICATED_BLOCK, {}),
    (hyper_lib.ALL_LAYERS,
     {'phi2': hyper_lib.PHI2_SILU, 'candidate_features': ['price'],
      'tasks': [{'name': 'next'}, {'name': 'like', 'dot_term': False}]}),
])
def test_losses_fall_and_the_model_round_trips(tmp_path, target_aware, model):
    _write_csv(tmp_path / 'train.csv', np.random.default_rng(1))
    config = _config(target_aware, **model)
    data = dataset.read(config, tmp_path)
    cut_us = 6_000 * 1_000_000
    evaluation = evaluate.Evaluation(data, evaluate.cases(data, cut_us))
    trained, history = train.train(config, data.before(cut_us), evaluation,
                                   quiet=True)
    first, last = history[0], history[-1]
    assert last['dot_loss'] < first['dot_loss']
    if target_aware != hyper_lib.OFF:
        assert last['target_aware_loss'] < first['target_aware_loss']
    assert last['validation']['users'] == 40
    checkpoint.save(tmp_path / 'model.npz', config, trained.to_arrays(),
                    data.item_ids, {})
    loaded, tensors, _ = checkpoint.load(tmp_path / 'model.npz')
    assert loaded == config
    export.write(export.Bundle('tiny', 1, '', config.model, tensors),
                 tmp_path / 'bundle')
    params = export.read(tmp_path / 'bundle').params()
    again = evaluation(config.model, params)
    assert again == last['validation']


def test_baselines_rank_as_they_say(tmp_path):
    _write_csv(tmp_path / 'train.csv', np.random.default_rng(1))
    data = dataset.read(_config(hyper_lib.OFF), tmp_path)
    found = evaluate.cases(data, 6_000 * 1_000_000)
    baselines = evaluate.Evaluation(data, found).baselines
    assert baselines['own history']['hit@10'] == 1
    assert baselines['own history']['recall@10'] == 1
    assert baselines['popularity']['recall@10'] < 1
