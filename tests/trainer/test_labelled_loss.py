"""Labelled events are scored as a server would, and outcomes do not leak."""

import dataclasses

import numpy as np
import pytest
import torch

from trainer import attention
from trainer import batches
from trainer import click_evaluation
from trainer import config as config_lib
from trainer import dataset
from trainer import hyper as hyper_lib
from trainer import initial
from trainer import labelled_loss
from trainer import models
from trainer import reference
from trainer import train

# What becomes known of an event after it was shown.
OUTCOMES = ('actions', 'event_features')


def _config(**model):
    values = {'d_model': 16, 'num_heads': 2, 'num_layers': 2, 'ffn_width': 16,
              'conv_width': 3, 'head_width': 8, 'initial_half_lives': [3., 0.],
              'actions': ['earlier', 'no', 'yes'], 'event_features': ['play'],
              'candidate_features': ['length'],
              'context_features': [{'name': 'tab', 'values': ['a', 'b']}],
              'target_aware': hyper_lib.ALL_LAYERS,
              'tasks': [{'name': 'click', 'dot_term': False},
                        {'name': 'like', 'dot_term': True}], **model}
    return config_lib.from_dict({
        'name': 'tiny', 'data': {'min_item_count': 1, 'labels': {
            task['name']: task['name'] for task in values['tasks']}},
        'model': values,
        'training': {'epochs': 30, 'learning_rate': .01, 'dropout': 0.,
                     'random_windows': 0., 'batch_events': 256}})


def _data(config, folder, users=12, seed=1):
    """Earlier events, then shown ones, some at the same time; the first event
    of some users is labelled. Users click where tab a meets an even item."""
    rng = np.random.default_rng(seed)
    lines = ['user,item,action,time,play,length,tab,click,like']
    for user in range(users):
        earlier = user % 4
        time = 0
        for index in range(earlier + rng.integers(3, 9)):
            time += int(rng.choice([0, 1, 40, 9_000]))
            item, tab = rng.integers(30), rng.choice(['a', 'b'])
            click = int(tab == 'a' and item % 2 == 0)
            outcome = f'{tab},{click},{rng.integers(2)}'
            action = ('no', 'yes')[click]
            if index < earlier:
                action, outcome = 'earlier', ',,'
            lines.append(f'{user},{item},{action},{time},{rng.random():.3f},'
                         f'{rng.random():.3f},{outcome}')
    (folder / 'train.csv').write_text('\n'.join(lines) + '\n')
    return dataset.read(config, folder)


def _model(config, data):
    torch.manual_seed(5)
    model = models.Model(config.model, len(data.item_ids), initial.Start(.3))
    with torch.no_grad():
        for value in model.values.values():  # No term is 0 or starts equal.
            value += .2 * torch.randn(value.shape)
    return {name: value.detach() for name, value in model.params().items()}


def _logits(config, params, data):
    """{event index: logits [T]} of all labelled events, whole histories."""
    source = batches.Source(data, 'cpu')
    lengths = np.diff(data.offsets)
    batch = source.cut(data.offsets[:-1], lengths)
    found = labelled_loss.asked(source, batch)
    scores, labels = labelled_loss.logits(config.model, params, source, batch)
    assert (labels.isnan().all(-1) == ~found.present).all()
    events = torch.gather(batch.events, 1, found.columns)
    return {int(event): score.numpy() for event, score in
            zip(events[found.present], scores[found.present])}


def _served(config, params, data, event):
    """The same through the event-by-event form."""
    hyper = config.model
    user = int(np.searchsorted(data.offsets, event, side='right')) - 1
    known = range(data.offsets[user], event)
    state = reference.empty_state(hyper, torch.float32)
    for index in known:
        if data.times_us[index] == data.times_us[event]:
            break
        state = reference.append(hyper, params, state, reference.Event(
            int(data.rows[index]), int(data.actions[index]),
            int(data.times_us[index]), tuple(data.event_features[index])))
    context = {feature.name: int(data.context_rows[event, index])
               for index, feature in enumerate(hyper.context_features)}
    scores, _ = reference.rank(
        hyper, params, state, int(data.times_us[event]),
        torch.tensor([int(data.rows[event])]), context,
        torch.tensor(data.candidate_features[event:event + 1]))
    return scores[0].numpy()


SEEDS = {'num_seeds': 8, 'summary_attention': True}


@pytest.mark.parametrize('model', [
    {}, {'phi2': hyper_lib.PHI2_SILU}, SEEDS,
    {'target_aware': hyper_lib.DEDICATED_BLOCK},
    {'target_aware': hyper_lib.OFF, 'head_width': 0, 'candidate_features': [],
     'context_features': [], 'tasks': [{'name': 'like'}]}])
def test_logits_are_those_of_a_server_before_each_event(tmp_path, model):
    config = _config(**model)
    data = _data(config, tmp_path)
    params = _model(config, data)
    found = _logits(config, params, data)
    assert len(found) == int((~np.isnan(data.labels[:, 0])).sum())
    same = data.times_us[1:] == data.times_us[:-1]
    assert same.any() and 0 in found
    for event, scores in found.items():
        expected = _served(config, params, data, event)
        assert np.abs(scores - expected).max() < 2e-4, event


MECHANISMS = [{'attention': name, **(
    SEEDS if name == attention.SEEDS_ONLY else {})} for name in attention.ALL]
PEERS = [{'peer': peer, 'tasks': [{'name': 'click', 'dot_term': False}]}
         for peer in (hyper_lib.DIN, hyper_lib.STATELESS)]


@pytest.mark.parametrize('model', [
    *MECHANISMS, {'phi2': hyper_lib.PHI2_SILU}, SEEDS,
    {'target_aware': hyper_lib.DEDICATED_BLOCK}, *PEERS])
def test_what_came_of_an_event_reaches_later_moments_only(tmp_path, model):
    config = _config(**model)
    data = _data(config, tmp_path)
    params = _model(config, data)
    before = _logits(config, params, data)
    stateless = config.model.peer == hyper_lib.STATELESS
    start, end = data.offsets[-2:]
    for changed in range(start, end):
        arrays = {name: getattr(data, name).copy() for name in OUTCOMES}
        arrays['actions'][changed] += 1
        arrays['actions'] %= len(config.model.actions)
        arrays['event_features'][changed] += 1
        labels = np.where(np.isnan(data.labels), np.nan, 1 - data.labels)
        after = _logits(config, params, dataclasses.replace(
            data, labels=labels, **arrays))
        moved = {event for event in before
                 if np.abs(before[event] - after[event]).max() > 1e-6}
        late = {event for event in before if changed < event < end and
                data.times_us[event] > data.times_us[changed]}
        if config.model.attention == attention.NONE:
            # It reaches as far as the convolutions do.
            assert {event for event in late if event < changed + 3} <= moved
            late &= moved
        assert moved == (set() if stateless else late)


@pytest.mark.parametrize('model', MECHANISMS + PEERS)
def test_training_learns_the_rule_with_every_mechanism(tmp_path, model):
    config = _config(**{'tasks': [{'name': 'click', 'dot_term': False}],
                        **model})
    data = _data(config, tmp_path, users=60)
    evaluation = click_evaluation.Evaluation(data, data.times_us >= 0)
    _, history = train.train(config, data, evaluation, quiet=True)
    losses = [record['target_aware_loss'] for record in history]
    assert losses[-1] < .7 * losses[0]
    assert history[-1]['validation']['click']['auc'] > .9
    assert history[-1]['validation']['users'] == 60


def test_the_history_is_rebuilt_beside_the_labels(tmp_path):
    config = config_lib.with_overrides(_config(**SEEDS), [
        'training.reconstruction_weight=0.5', 'training.epochs=10'])
    data = _data(config, tmp_path, users=60)
    _, history = train.train(config, data, quiet=True)
    for name in ('target_aware_loss', 'reconstruction_loss'):
        # Means: the positions that are looked at are drawn anew.
        losses = [record[name] for record in history]
        assert 0 < np.mean(losses[-3:]) < np.mean(losses[:3]), name


def test_a_window_in_mid_history_does_not_pretend_that_nothing_came_before(
        tmp_path):
    config = _config()
    data = _data(config, tmp_path)
    source = batches.Source(data, 'cpu')
    start, end = data.offsets[:2]
    batch = source.cut(np.array([start + 2]), np.array([end - start - 2]))
    assert (labelled_loss.asked(source, batch).positions >= 0).all()
    whole = source.cut(np.array([start]), np.array([end - start]))
    found = labelled_loss.asked(source, whole)
    first_is_labelled = not np.isnan(data.labels[start, 0])
    assert (found.positions[found.present] < 0).any() == first_is_labelled


def test_the_loss_weighs_every_label_alike(tmp_path):
    config = _config()
    data = _data(config, tmp_path)
    source = batches.Source(data, 'cpu')
    model = models.Model(config.model, len(data.item_ids),
                         initial.Start(.3)).eval()
    lengths = np.diff(data.offsets)
    loss = labelled_loss.Loss(source, steps=2)
    total = sum(loss(model, source, config, source.cut(
        data.offsets[:-1][part], lengths[part]))[1]
        for part in (slice(0, 3), slice(3, None)))
    scores, labels = labelled_loss.logits(
        config.model, model.params(), source,
        source.cut(data.offsets[:-1], lengths))
    known = ~labels.isnan()
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        scores[known], labels[known])  # As many labels of each task.
    assert float(total / 2) == pytest.approx(float(expected), rel=1e-5)
