"""A tiny training run learns, for each way that candidates are scored."""

import types

import numpy as np
import pytest
import torch

import tiny_batches
from trainer import cases
from trainer import checkpoint
from trainer import config as config_lib
from trainer import dataset
from trainer import dot_loss
from trainer import evaluate
from trainer import export
from trainer import hyper as hyper_lib
from trainer import models
from trainer import reference
from trainer import train
from trainer.optimizer import Optimizer


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
    evaluation = evaluate.Evaluation(data, cases.after(data, cut_us))
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
    found = cases.after(data, 6_000 * 1_000_000)
    baselines = evaluate.Evaluation(data, found).baselines
    assert baselines['own counts']['hit@10'] == 1
    assert baselines['own counts']['recall@10'] == 1
    assert baselines['popularity']['recall@10'] < 1


def test_next_event_loss_is_the_smoothed_softmax():
    config = _config(hyper_lib.OFF)
    settings = types.SimpleNamespace(label_smoothing=.2, later_weights=(.5,),
                                     waiting_power=0.)
    params = models.Model(config.model, 6).params()
    params['item_bias'] = torch.randn(7)
    users = reference.unit(torch.randn(2, 4, 16))
    rows = torch.tensor([[1, 2, 3, 4], [5, 0, 6, 1]])
    valid = torch.tensor([[True] * 4, [True, True, True, False]])
    batch = types.SimpleNamespace(rows=rows, valid=valid)
    loss = dot_loss.next_event_loss(params, settings, batch, users, valid)
    logits = reference.dot_scores(params, users, torch.arange(7))
    log_p = torch.log_softmax(logits, -1)
    total = weight = 0
    for b in range(2):
        for i in range(4):
            for later, share in ((1, 1.), (2, .5)):
                j = i + later
                if j < 4 and valid[b, j] and rows[b, j] > 0:
                    p = .2 / 7 * torch.ones(7)
                    p[rows[b, j]] += .8
                    total = total - share * (p * log_p[b, i]).sum()
                    weight += share
    assert float(loss) == pytest.approx(float(total / weight), rel=1e-5)


@pytest.mark.parametrize('start_share', [0., .25])
def test_the_kept_weights_are_a_running_mean_and_a_share_of_the_first(
        start_share):
    model = models.Model(_config(hyper_lib.OFF).model, 6)
    settings = types.SimpleNamespace(
        learning_rate=.1, warmup_share=0., weight_decay=0., gradient_norm=1.,
        average_decay=.8, start_share=start_share)
    optimizer = Optimizer(model, settings, 20)
    bias = model.values['item_bias']
    first = bias.detach().clone()
    expected = first.clone()
    for step in range(1, 21):
        optimizer.next_learning_rate()
        optimizer.zero_grad()
        model.params()['item_bias'].square().sum().backward()
        bias.grad.add_(torch.arange(7.))
        optimizer.apply()
        renewed = max(.2, 3 / (3 + step))
        expected = expected + renewed * (bias.detach() - expected)
    last = bias.detach().clone()
    expected = (1 - start_share) * expected + start_share * first
    for _ in range(2):  # The weights to train on are as they were.
        with optimizer.kept():
            assert torch.allclose(bias, expected)
            assert not torch.allclose(bias, last)
        assert torch.equal(bias, last)
    optimizer.keep()
    assert torch.allclose(bias, expected)


def test_a_training_whose_loss_is_no_number_ends(tmp_path):
    _write_csv(tmp_path / 'train.csv', np.random.default_rng(1))
    config = config_lib.with_overrides(
        _config(hyper_lib.OFF), ['training.learning_rate=1e30'])
    data = dataset.read(config, tmp_path)
    with pytest.raises(ValueError, match=r'the dot loss is \w+ after \d+ steps'):
        train.train(config, data, quiet=True)


def test_a_task_with_labels_does_not_start_from_counts():
    events = tiny_batches.data([20] * 5)
    weights = []
    for labelled in (True, False):
        events.labels[:] = 1. if labelled else np.nan
        config = tiny_batches.config(
            model={'item_memory': {'entries': 8}}, steps=0,
            starts_from_counts=True)
        model, _ = train.train(config, events, quiet=True)
        weights.append(model.to_arrays()['memory_head'])
    assert not weights[0].any() and weights[1].any()
