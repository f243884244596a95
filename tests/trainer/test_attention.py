"""Mechanisms that weigh every event against their formulas, summed event by
event, and what all of them have in common. test_recurrences.py has the rest."""

import dataclasses
import math

import pytest
import torch

from trainer import attention
from trainer import chunks
from trainer import hyper as hyper_lib
from trainer import masked
from trainer import models
from trainer import reading
from trainer import reference

# More than RECENT_SOFTMAX reads.
EVENTS, ITEMS = 230, 12
HYPER = hyper_lib.Hyper(d_model=16, num_heads=2, num_layers=2, ffn_width=16,
                        head_width=8, initial_half_lives=(2., 30.),
                        target_aware=hyper_lib.ALL_LAYERS)
# Those whose candidates read what the next event would.
SEEING = [name for name in attention.ALL if name != attention.SEEDS_ONLY]
WEIGHING = (attention.QLA, attention.SOFTMAX, attention.RECENT_SOFTMAX,
            attention.SLIDING_WINDOW, attention.HSTU, attention.LINEAR,
            attention.LOG_LINEAR)


def _bucket(distance):
    if distance < 16:
        return distance
    return min(31, 16 + math.floor(2 * math.log2(distance / 16)))


def _time(seconds):
    return 1 + min(30, math.floor(math.log2(1 + max(0, seconds))))


def _expected(layer, q, k, v, z, before, keys, values, seconds, own_seconds,
              next_seconds, h):
    """o [d_h] of one token and head, from the formulas of docs/attention.md."""
    mechanism, width = layer.hyper.attention, len(q)
    keys, values = torch.cat([keys, k[None]]), torch.cat([values, v[None]])
    distances = [before - j for j in range(before)] + [0]
    dots = [float(q @ key) for key in keys]
    times = [*seconds.tolist(), own_seconds]
    if mechanism in (attention.QLA, attention.LOG_LINEAR):
        own = float(layer.beta[h]) * dots[-1]
        if mechanism == attention.QLA:
            keep = math.exp(-float(layer.decay_rate[h]))
            weights = [keep ** (before - 1 - j) for j in range(before)]
            scale = float(layer.alpha[h]) / max(1., sum(weights))
            weights = [scale * weight for weight in weights]
        else:
            levels = layer.w_level.view(-1, attention.NUM_LEVELS, len(z))[h]
            chosen = torch.log1p(torch.exp(levels @ z))
            weights = [float(chosen[(before ^ j).bit_length() - 1])
                       for j in range(before)]
        weights = [w * dot for w, dot in zip(weights, dots)] + [own]
    elif mechanism == attention.LINEAR:
        weights = [dot / sum(dots) for dot in dots]
    else:
        bias = [float(layer.distance_bias[h, _bucket(x)]) for x in distances]
        logits = [dot / math.sqrt(width) + b for dot, b in zip(dots, bias)]
        if mechanism == attention.HSTU:
            logits = [x + float(layer.time_bias[h, _time(next_seconds - t)])
                      for x, t in zip(logits, times)]
            weights = [x / (1 + math.exp(-x)) / len(dots) for x in logits]
        else:
            last, first = {attention.SOFTMAX: (math.inf, 0),
                           attention.RECENT_SOFTMAX: (200, 0),
                           attention.SLIDING_WINDOW: (64, 4)}[mechanism]
            near = [distance < last or j < first
                    for j, distance in enumerate(distances)]
            powers = [math.exp(x) * ok for x, ok in zip(logits, near)]
            weights = [power / sum(powers) for power in powers]
    return sum(w * value for w, value in zip(weights, values))


def _layer(mechanism):
    torch.manual_seed(4)
    hyper = dataclasses.replace(HYPER, attention=mechanism)
    params = {name: value.detach().double() for name, value in
              models.Model(hyper, ITEMS).params().items()}
    for name, value in params.items():
        if name.endswith(('_bias', 'w_level', 'alpha', 'beta')):
            params[name] = torch.randn_like(value)
    return params, reference.Layer(hyper, params, 0)


@pytest.mark.parametrize('mechanism', WEIGHING)
def test_a_token_reads_what_the_formula_says(mechanism):
    _, layer = _layer(mechanism)
    n = torch.randn(1, EVENTS, HYPER.d_model).double()
    q, k, v, _ = reference.project(layer, n)
    seconds = torch.randint(0, 9, (1, EVENTS)).cumsum(1)
    following = seconds + 5
    before = torch.arange(EVENTS)
    o = attention.read(
        layer, attention.Readers(q, k, v, n, before, seconds, following),
        attention.History(k, v, seconds))
    for i in (0, 1, 2, 17, 70, 199, 200, EVENTS - 1):
        for h in range(HYPER.num_heads):
            expected = _expected(
                layer, q[0, i, h], k[0, i, h], v[0, i, h], n[0, i], i,
                k[0, :i, h], v[0, :i, h], seconds[0, :i], int(seconds[0, i]),
                int(following[0, i]), h)
            assert (o[0, i, h] - expected).abs().max() < 1e-9


@pytest.mark.parametrize('length', [1, 49, 50, 51, 100, 173])
def test_chunks_read_as_pairs_do(length):
    _, layer = _layer(attention.QLA)
    n = torch.randn(2, length, HYPER.d_model).double()
    q, k, v, _ = reference.project(layer, n)
    readers = attention.Readers(q, k, v, n, torch.arange(length))
    pairs = attention.read(layer, readers, attention.History(k, v))
    assert (chunks.read(layer, q, k, v) - pairs).abs().max() < 1e-9


@pytest.mark.parametrize('mechanism', SEEING)
def test_a_candidate_is_read_like_the_next_event_and_alone(mechanism):
    """And the later events, and other candidates, do not reach it."""
    params, layer = _layer(mechanism)
    hyper, at = layer.hyper, 40
    tokens = torch.randn(1, EVENTS, hyper.d_model).double()
    seconds = torch.randint(0, 9, (1, EVENTS)).cumsum(1)
    following = torch.cat([seconds[:, 1:], seconds[:, -1:]], 1)
    # The next event as the server would see a candidate: at its own time.
    following[0, at + 1] = seconds[0, at + 1]
    clock = masked.Clock(seconds, following)
    x, traces = masked.events(hyper, params, tokens, clock=clock)
    positions = torch.tensor([[at, 3]])
    candidate = tokens[:, None, at + 1:at + 2]
    others = torch.randn(1, 2, 1, hyper.d_model).double()
    alone = masked.candidates(
        hyper, params, traces, positions[:, :1], candidate)
    assert (alone[0, 0, 0] - x[0, at + 1]).abs().max() < 1e-9
    together = masked.candidates(
        hyper, params, traces, positions,
        torch.cat([candidate.expand(1, 2, 1, -1), others], 2))
    assert (together[0, 0, 0] - alone[0, 0, 0]).abs().max() < 1e-9


@pytest.mark.parametrize('mechanism', SEEING)
def test_what_needs_no_gradient_is_read_in_parts(mechanism, monkeypatch):
    """Long histories' weights are not all made at once."""
    _, layer = _layer(mechanism)
    n = torch.randn(2, 90, HYPER.d_model).double()
    q, k, v, _ = reference.project(layer, n)
    seconds = torch.randint(0, 9, (2, 90)).cumsum(1)
    history = attention.remember(layer, n, k, v, seconds)
    sizes, dot_products = [], reading.products
    monkeypatch.setattr(reading, 'products', lambda readers, history: (
        sizes.append(readers.q.shape[1]) or dot_products(readers, history)))
    monkeypatch.setattr(reading, '_WEIGHTS', 2 * 2 * 90 * 7)
    places = torch.randint(0, 90, (2, 90))
    for before in (torch.arange(90), places):
        readers = reading.Readers(q, k, v, n, before, seconds, seconds + 5)
        whole = attention.read(layer, readers, history)
        with torch.no_grad():
            parts = attention.read(layer, readers, history)
        assert (whole - parts).abs().max() < 1e-12
    assert mechanism == attention.NONE or sizes == 2 * [90, *12 * [7], 6]
    if attention.has_state(mechanism):
        trace = masked.Trace(n, history, None)
        states = masked.states_after(layer, trace, places)
        with torch.no_grad():
            parts = masked.states_after(layer, trace, places)
        for state, part in zip(states, parts):
            assert (state - part).abs().max() < 1e-12


def _with_seeds(mechanism):
    torch.manual_seed(4)
    hyper = dataclasses.replace(
        HYPER, attention=mechanism, num_seeds=8, summary_attention=True,
        conv_width=3, target_aware=hyper_lib.DEDICATED_BLOCK)
    return hyper, {name: value.detach().double() for name, value in
                   models.Model(hyper, ITEMS).params().items()}


def test_seeds_only_candidates_know_the_summaries_and_nothing_else():
    hyper, params = _with_seeds(attention.SEEDS_ONLY)
    plain, _ = _with_seeds(attention.QLA)
    tokens = torch.randn(2, 30, hyper.d_model).double()
    _, traces = masked.events(hyper, params, tokens)
    positions = torch.tensor([[4, 29], [0, 17]])
    x = torch.randn(2, 2, 3, hyper.d_model).double()
    found = masked.candidates(hyper, params, traces, positions, x)
    # Seeds read as in QLA; candidates are those of a user without events.
    _, others = masked.events(plain, params, tokens)
    summaries = masked.summaries(plain, params, others, positions)
    state = reference.empty_state(plain, torch.float64)
    alone = reference.candidate_layer(
        reference.Layer(plain, params, plain.num_layers), x, state.z[-1],
        state.c[-1], None)
    expected = reference.attend_summaries(plain, params, alone, summaries)
    assert (found - expected).abs().max() < 1e-12
    assert (found - alone).abs().max() > 1e-3


def test_seeds_only_candidates_are_not_told_the_user():
    hyper, params = _with_seeds(attention.SEEDS_ONLY)
    assert 'w_user_in' not in params
    tokens = [reference.candidate_tokens(
        hyper, params, torch.tensor([1, 2]), torch.tensor(3), user, {}, None)
        for user in torch.randn(2, hyper.d_model).double()]
    assert torch.equal(*tokens)


def test_seeds_only_needs_seeds_that_are_read():
    with pytest.raises(ValueError, match='summary_attention is False'):
        dataclasses.replace(HYPER, attention=attention.SEEDS_ONLY)


def test_only_qla_may_have_phi2():
    with pytest.raises(ValueError, match="phi2 is 'PHI2_SILU'"):
        dataclasses.replace(HYPER, attention=attention.SOFTMAX,
                            phi2=hyper_lib.PHI2_SILU)
