"""The two forms of the reference model agree, and candidates do not leak."""

import dataclasses
import types

import numpy as np
import pytest
import torch

from trainer import buckets
from trainer import chunks
from trainer import golden
from trainer import hyper as hyper_lib
from trainer import item_history
from trainer import item_memory
from trainer import masked
from trainer import reference

CONFIGURATIONS = golden.configurations()
SEEDED = [name for name, (hyper, _) in CONFIGURATIONS.items()
          if hyper.num_seeds]
ATTENDED = [name for name in SEEDED
            if CONFIGURATIONS[name][0].summary_attention]


def _setup(name, num_events):
    hyper, items = CONFIGURATIONS[name]
    rng = np.random.default_rng(3)
    bundle = golden.random_bundle(name, hyper, items, rng)
    events = golden.random_history(hyper, bundle.tensors['item_ids'],
                                   num_events, rng)
    return bundle, bundle.params(torch.float64), events, rng


def _masked_events(bundle, params, events, time_us):
    """x^L [n, d], traces, and bucket to what follows [n], of events that a
    request at time_us follows."""
    parsed = [golden.to_event(bundle, event) for event in events]
    times = np.array([event.time_us for event in parsed])
    gaps = np.concatenate([[0], buckets.gap_bucket(
        buckets.seconds_between(times[:-1], times[1:]))])
    nexts = buckets.gap_bucket(buckets.seconds_between(
        times, np.append(times[1:], time_us)))
    counts = buckets.count_bucket(np.arange(1, len(parsed) + 1))
    tokens = reference.event_tokens(
        bundle.hyper, params, torch.tensor([event.row for event in parsed]),
        torch.tensor([event.action for event in parsed]), torch.tensor(gaps),
        torch.tensor(nexts), torch.tensor(counts),
        torch.tensor([event.features for event in parsed]).double())
    x, traces = masked.events(bundle.hyper, params, tokens[None])
    return x[0], traces, nexts


def _masked_scores(bundle, params, events, time_us, request):
    """Ranks after the newest of events through the masked form."""
    hyper = bundle.hyper
    x, traces, nexts = _masked_events(bundle, params, events, time_us)
    user = reference.user_vector(params, x[-1])
    rows = bundle.rows(request['item_ids'])
    scores = torch.zeros(len(rows), len(hyper.tasks), dtype=torch.float64)
    if hyper.any_dot_term:
        dot = torch.tensor([task.dot_term for task in hyper.tasks]).double()
        scores += reference.dot_scores(params, user, rows)[:, None] * dot
    if hyper.target_aware != hyper_lib.OFF:
        context = {}
        for feature in hyper.context_features:
            value = request['context'].get(feature.name)
            known = value in feature.values
            context[feature.name] = torch.tensor(
                feature.values.index(value) + 1 if known else 0)
        features = request.get('candidate_features')
        if features is not None:
            features = torch.tensor(features).double()
        gap = torch.tensor(int(nexts[-1]))
        facts = _facts(bundle, events, rows, int(nexts[-1]))
        token = reference.candidate_tokens(hyper, params, rows, gap, user,
                                           context, features, facts)
        position = torch.tensor([[len(events) - 1]])
        x = masked.candidates(hyper, params, traces, position,
                              token[None, None])
        scores += reference.head_scores(params, x[0, 0], facts=facts)
    return scores, user


def _facts(bundle, events, rows, bucket):
    """Facts [C, J] of item rows as training looks them up, for events in the
    order of the log, which may step back; None without an item memory."""
    settings = bundle.hyper.item_memory
    if not settings:
        return None
    parsed = [golden.to_event(bundle, event) for event in events]
    seconds = np.array([event.time_us // golden.SECOND for event in parsed])
    history = item_history.History(settings, types.SimpleNamespace(
        offsets=np.array([0, len(parsed)]), num_events=len(parsed),
        rows=np.array([event.row for event in parsed]),
        times_us=np.array([event.time_us for event in parsed]),
        item_ids=bundle.tensors['item_ids']), 'cpu')
    return history.facts(
        torch.tensor(len(parsed)), torch.as_tensor(rows),
        torch.tensor(item_memory.as_of(int(seconds[-1]), bucket))).double()


def _request(bundle, time_us, rng):
    request = golden._request(bundle.hyper, bundle.tensors['item_ids'],
                              time_us, rng)
    request.setdefault('context', {})
    return request


@pytest.mark.parametrize('name', CONFIGURATIONS)
@pytest.mark.parametrize('num_events', [1, 2, 5, 150])
def test_masked_form_agrees_with_event_by_event(name, num_events):
    bundle, params, events, rng = _setup(name, num_events)
    time_us = events[-1]['time_us'] + 2 * golden.DAY
    request = _request(bundle, time_us, rng)
    state = golden.fold_events(bundle, params, events)
    expected, user = golden.rank_request(bundle, params, state, request)
    scores, masked_user = _masked_scores(bundle, params, events, time_us,
                                         request)
    assert (masked_user - user).abs().max() < 1e-9
    # Facts are looked up in float32.
    limit = 1e-5 if bundle.hyper.item_memory else 1e-9
    assert (scores - expected).abs().max() < limit * (1 + expected.abs().max())


@pytest.mark.parametrize('name', CONFIGURATIONS)
@pytest.mark.parametrize('size', [1, 7, 20, 64])
def test_chunks_agree_with_one_chunk(name, size, monkeypatch):
    hyper = CONFIGURATIONS[name][0]
    params = _setup(name, 1)[1]
    q, k, v = torch.randn(3, 2, 20, hyper.num_heads, hyper.head_dim,
                          dtype=torch.float64)
    layer = reference.Layer(hyper, params, 0)
    whole = chunks.read(layer, q, k, v)
    monkeypatch.setattr(chunks, 'SIZE', size)
    monkeypatch.setattr(chunks, 'STATES_SIZE', size)
    assert (chunks.read(layer, q, k, v) - whole).abs().max() < 1e-9


@pytest.mark.parametrize('name', ['dot_l2_decay_conv', 'block_l4_decay_conv',
                                  'all_l2_silu_decay_conv'])
def test_long_histories_agree_with_event_by_event(name, monkeypatch):
    monkeypatch.setattr(chunks, 'SIZE', 64)
    test_masked_form_agrees_with_event_by_event(name, 150)


@pytest.mark.parametrize('name', ['dot_l2_decay_conv', 'block_l4_decay_conv',
                                  'all_l2_silu_decay_conv',
                                  'seeds_block_l2_attended',
                                  'seeds_all_l2_attended'])
def test_a_score_does_not_depend_on_other_candidates(name):
    bundle, params, events, rng = _setup(name, 20)
    state = golden.fold_events(bundle, params, events)
    time_us = events[-1]['time_us'] + golden.DAY
    request = _request(bundle, time_us, rng)
    together, _ = golden.rank_request(bundle, params, state, request)
    for index, item in enumerate(request['item_ids']):
        alone = dict(request, item_ids=[item])
        if 'candidate_features' in request:
            alone['candidate_features'] = [request['candidate_features'][index]]
        scores, _ = golden.rank_request(bundle, params, state, alone)
        assert (scores[0] - together[index]).abs().max() < 1e-12


@pytest.mark.parametrize('name', CONFIGURATIONS)
def test_ranking_changes_with_request_time_and_leaves_the_state(name):
    bundle, params, events, rng = _setup(name, 8)
    state = golden.fold_events(bundle, params, events)
    before = [z.clone() for z in state.z]
    time_us = events[-1]['time_us'] + golden.SECOND
    request = _request(bundle, time_us, rng)
    soon, _ = golden.rank_request(bundle, params, state, request)
    later, _ = golden.rank_request(
        bundle, params, state, dict(request, time_us=time_us + golden.DAY))
    assert (soon - later).abs().max() > 1e-6
    assert all(torch.equal(z, old) for z, old in zip(state.z, before))


def _summaries(bundle, params, events):
    state = golden.fold_events(bundle, params, events)
    return reference.summarize(bundle.hyper, params, state)


@pytest.mark.parametrize('name', SEEDED)
def test_masked_summaries_agree_with_the_state_s_after_every_event(name):
    bundle, params, events, _ = _setup(name, 12)
    _, traces, _ = _masked_events(bundle, params, events,
                                  events[-1]['time_us'] + golden.DAY)
    found = masked.summaries(bundle.hyper, params, traces,
                             torch.arange(12)[None])
    for count in range(1, 13):
        expected = _summaries(bundle, params, events[:count])
        assert expected.shape == (bundle.hyper.num_seeds, bundle.hyper.d_model)
        assert (found[0, count - 1] - expected).abs().max() < 1e-9


@pytest.mark.parametrize('name', SEEDED)
def test_summaries_are_of_the_folded_events(name):
    bundle, params, events, _ = _setup(name, 6)
    before = _summaries(bundle, params, events)
    # Of the pending event only its time counts: as the gap before it.
    events[-1]['item_id'] = events[0]['item_id']
    assert torch.equal(_summaries(bundle, params, events), before)
    events[-2]['item_id'] = events[0]['item_id']
    assert (_summaries(bundle, params, events) - before).abs().max() > 1e-6


@pytest.mark.parametrize('name', ATTENDED)
def test_every_tensor_of_the_seeds_moves_scores(name):
    bundle, params, events, rng = _setup(name, 6)
    state = golden.fold_events(bundle, params, events)
    request = _request(bundle, events[-1]['time_us'] + golden.SECOND, rng)
    before, _ = golden.rank_request(bundle, params, state, request)
    for tensor in ('seed_embedding', 'norm_summary', 'summary.norm_attn',
                   'summary.w_q', 'summary.w_kv', 'summary.w_o'):
        noise = torch.from_numpy(rng.standard_normal(params[tensor].shape))
        changed = dict(params, **{tensor: params[tensor] + .3 * noise})
        scores, _ = golden.rank_request(bundle, changed, state, request)
        assert (scores - before).abs().max() > 1e-6, tensor


@pytest.mark.parametrize('change, message', [
    ({'num_seeds': 12}, 'num_seeds is 12; it must be a multiple of 8'),
    ({'num_seeds': 2048}, 'num_seeds is 2048'),
    ({'num_seeds': -8}, 'num_seeds is -8'),
    ({'num_seeds': 8, 'attention': 'SOFTMAX'}, 'num_seeds is 8; it must be 0'),
    ({'summary_attention': True}, 'summary_attention is True'),
    ({'num_seeds': 8, 'summary_attention': True, 'head_width': 0,
      'target_aware': hyper_lib.OFF}, 'summary_attention is True'),
])
def test_impossible_seeds_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(hyper_lib.Hyper(), **change)


def test_without_events_the_dot_term_is_popularity():
    bundle, params, _, rng = _setup('dot_l2_decay_conv', 1)
    state = reference.empty_state(bundle.hyper, torch.float64)
    request = _request(bundle, golden.START, rng)
    scores, user = golden.rank_request(bundle, params, state, request)
    rows = bundle.rows(request['item_ids'])
    assert torch.equal(scores[:, 0], params['item_bias'][rows])
    assert user.abs().max() == 0


def test_buckets_are_those_of_the_page():
    seconds = [-5, 0, 1, 2, 3, 6, 7, 2 ** 30 - 1, 2 ** 40]
    assert list(buckets.gap_bucket(seconds)) == [1, 1, 2, 2, 3, 3, 4, 31, 31]
    assert buckets.seconds_between(0, 1_999_999) == 1
    assert buckets.seconds_between(1, 0) == -1
    assert list(buckets.count_bucket([1, 2, 3, 1_000])) == [2, 2, 3, 10]
