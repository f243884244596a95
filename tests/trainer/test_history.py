"""What a model is worth that may read the newest N events and no others."""

import dataclasses

import numpy as np
import pytest
import torch

import tiny_batches
from trainer import batches
from trainer import cases
from trainer import click_evaluation
from trainer import evaluate
from trainer import hyper as hyper_lib
from trainer import initial
from trainer import labelled_loss
from trainer import mechanisms
from trainer import models

NEWEST = 3
COLUMNS = ('items', 'rows', 'actions', 'times_us', 'event_features',
           'candidate_features', 'context_rows', 'labels')


def _model(data, **changes):
    """(Hyper, params) that cannot tell where a user's first event is."""
    config = tiny_batches.config(model={'num_layers': 2, **changes})
    torch.manual_seed(5)
    params = {name: value.detach() + .3 * torch.randn(value.shape) for
              name, value in models.Model(
                  config.model, len(data.item_ids),
                  initial.Start(.3)).params().items()}
    for name in ('gap_embedding', 'count_embedding'):
        params[name] = torch.zeros_like(params[name])
    return config.model, params


def _part(data, begin, end):
    """The data set of one user with events [begin, end) and no others."""
    return dataclasses.replace(
        data, users=np.array(['u']), offsets=np.array([0, end - begin]),
        **{name: getattr(data, name)[begin:end] for name in COLUMNS})


def _one_after_another(data):
    """The data set where a user begins at the time when the one before ends."""
    times = data.times_us.copy()
    for start, end in zip(data.offsets[1:-1], data.offsets[2:]):
        times[start:end] += times[start - 1] - times[start]
    return dataclasses.replace(data, times_us=times)


def _moments(data):
    """(user's first event, moment's first event, its end) of all moments."""
    for start, end in zip(data.offsets[:-1], data.offsets[1:]):
        begin = start
        for at in range(start + 1, end + 1):
            if at == end or data.ordered or (data.times_us[at] !=
                                             data.times_us[begin]):
                yield start, begin, at
                begin = at


def _scores(monkeypatch, data, hyper, params, held_out, history=None):
    """Sorted scores of what an evaluation of labels asked about."""
    found, logits = [], labelled_loss.logits

    def spy(*args):
        scores, labels = logits(*args)
        found.extend(scores[~labels.isnan()].tolist())
        return scores, labels
    with monkeypatch.context() as patch:
        patch.setattr(labelled_loss, 'logits', spy)
        click_evaluation.Evaluation(data, held_out, history=history)(hyper,
                                                                     params)
    return sorted(found)


@pytest.mark.parametrize('ordered', [False, True])
@pytest.mark.parametrize('mechanism', [mechanisms.QLA, mechanisms.GATED_DELTA,
                                       mechanisms.SOFTMAX])
def test_labels_are_scored_from_the_newest_events(mechanism, ordered,
                                                  monkeypatch):
    data = _one_after_another(
        tiny_batches.data([19, 1, 24, 5], ordered=ordered))
    hyper, params = _model(data, attention=mechanism)
    held_out = np.arange(data.num_events) % 3 > 0
    found = _scores(monkeypatch, data, hyper, params, held_out, NEWEST)
    expected = []
    for start, begin, end in _moments(data):
        if np.isnan(data.labels[begin:end][held_out[begin:end]]).all():
            continue
        first = max(start, begin - NEWEST)
        mask = held_out[first:end] & (np.arange(first, end) >= begin)
        expected += _scores(monkeypatch, _part(data, first, end), hyper,
                            params, mask)
    assert len(found) == (~np.isnan(data.labels[held_out])).sum() > 9
    assert np.allclose(found, sorted(expected), atol=1e-5)
    everything = _scores(monkeypatch, data, hyper, params, held_out)
    assert not np.allclose(found, everything, atol=1e-3)
    assert np.allclose(everything, _scores(
        monkeypatch, data, hyper, params, held_out, 24), atol=1e-5)


@pytest.mark.parametrize('mechanism', [mechanisms.QLA, mechanisms.GATED_DELTA,
                                       mechanisms.SOFTMAX])
def test_catalogues_are_ranked_from_the_newest_events(mechanism):
    data = tiny_batches.data([9, 2, 14, 5])
    hyper, params = _model(data, attention=mechanism)
    features = np.zeros((len(data.item_ids) + 1, 0), np.float32)

    def rank(data, found, window):
        return evaluate.rank_catalogue(hyper, params, batches.Source(
            data, 'cpu'), found, features, window)[0]
    found = cases.last(data)
    found.exclude_seen = False
    top = rank(data, found, NEWEST)
    for index, (start, length) in enumerate(zip(found.starts, found.lengths)):
        end = start + length + 1
        part = _part(data, max(start, end - 1 - NEWEST), end)
        alone = cases.last(part)
        alone.exclude_seen = False
        for name, rows in rank(part, alone, None).items():
            assert (rows[0] == top[name][index]).all()
    whole = rank(data, found, None)
    assert any((whole[name] != top[name]).any() for name in top)


def test_an_item_memory_knows_older_events():
    hyper = tiny_batches.config().model
    evaluate.check_history(hyper, 5)
    hyper = dataclasses.replace(hyper, item_memory=hyper_lib.ItemMemory())
    evaluate.check_history(hyper, None)
    with pytest.raises(ValueError, match='history of 5 events: .* memory'):
        evaluate.check_history(hyper, 5)
