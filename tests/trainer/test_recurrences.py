"""Mechanisms with a state of fixed size, held to it: one event at a time, in
float64, as the formulas of docs/attention.md say."""

import dataclasses
import math

import pytest
import torch

from trainer import attention
from trainer import chunks
from trainer import delta
from trainer import gated
from trainer import hyper as hyper_lib
from trainer import masked
from trainer import models
from trainer import reading
from trainer import reference

ITEMS = 12
HYPER = hyper_lib.Hyper(d_model=16, num_heads=2, num_layers=2, ffn_width=16,
                        head_width=8, initial_half_lives=(2., 30.),
                        target_aware=hyper_lib.ALL_LAYERS)
WIDTH = HYPER.head_dim
GATED = (attention.GATED, attention.GATED_DELTA)
FOLDED = (attention.NONE, attention.QLA, attention.DECAYED_LINEAR, *GATED)


def _layer(mechanism, dtype=torch.float64, **changes):
    """(params, the first Layer) with every tensor of the mechanism random."""
    torch.manual_seed(4)
    hyper = dataclasses.replace(HYPER, attention=mechanism, **changes)
    params = {name: value.detach().double() for name, value in
              models.Model(hyper, ITEMS).params().items()}
    for name, value in params.items():
        if name.endswith(('alpha', 'beta')):
            params[name] = torch.randn_like(value)
        elif name.endswith(('w_gate', 'w_strength', 'strength_bias')):
            params[name] = .3 * torch.randn_like(value)
    params = {name: value.to(dtype) for name, value in params.items()}
    return params, reference.Layer(hyper, params, 0)


class _State:
    """One head of one user, as its recurrence has it."""

    def __init__(self, layer, h):
        self._layer, self._h = layer, h
        self._mechanism = layer.hyper.attention
        self._z = torch.zeros(WIDTH, WIDTH).double()
        self._norm = torch.zeros(WIDTH).double()
        self._count = 0.

    def _parts(self, z):
        """The head's q, k, v of an input z [d]."""
        q, k, v = (self._layer.w_qkvg @ z).view(4, -1, WIDTH)[:3, self._h]
        if self._mechanism == attention.NONE:
            return q, k, v
        if self._mechanism == attention.DECAYED_LINEAR:
            return (torch.where(q > 0, q + 1, q.exp()),
                    torch.where(k > 0, k + 1, k.exp()), v)
        q, k = q / (1 + (-q).exp()), k / (1 + (-k).exp())
        if self._mechanism == attention.GATED_DELTA:
            q, k = (x / math.sqrt(float(x @ x) + 1e-6) for x in (q, k))
        return q, k, v

    def read(self, z):
        """o [d_h] of a token."""
        q, k, v = self._parts(z)
        if self._mechanism == attention.NONE:
            return v
        if self._mechanism == attention.DECAYED_LINEAR:
            own = float(q @ k)
            return (q @ self._z + own * v) / (float(q @ self._norm) + own)
        beta = float(self._layer.beta[self._h])
        scale = 1.
        if self._mechanism != attention.GATED_DELTA:
            scale = float(self._layer.alpha[self._h]) / max(1., self._count)
        return scale * (q @ self._z) + beta * float(q @ k) * v

    def fold(self, z):
        """Takes an event in."""
        _, k, v = self._parts(z)
        layer, h = self._layer, self._h
        if self._mechanism in GATED:
            raw = float(layer.w_gate[h] @ z + layer.gate_bias[h])
            keep = 1 / (1 + math.exp(raw))  # exp(-softplus(raw))
        elif self._mechanism == attention.NONE:
            return
        else:
            keep = math.exp(-float(layer.decay_rate[h]))
        if self._mechanism == attention.GATED_DELTA:
            b = float(layer.w_strength[h] @ z + layer.strength_bias[h])
            b = 1 / (1 + math.exp(-b))
            erased = torch.eye(WIDTH).double() - b * torch.outer(k, k)
            self._z = keep * erased @ self._z + b * torch.outer(k, v)
        else:
            self._z = keep * self._z + torch.outer(k, v)
        self._norm = keep * self._norm + k
        self._count = keep * self._count + 1


def _expected(layer, events, tokens, before):
    """o [m, H, d_h] of tokens [m, d] after so many of events [n, d] each."""
    found = torch.zeros(len(tokens), HYPER.num_heads, WIDTH).double()
    for h in range(HYPER.num_heads):
        state = _State(layer, h)
        for i in range(len(events) + 1):
            for at in (before == i).nonzero()[:, 0]:
                found[at, h] = state.read(tokens[at])
            if i < len(events):
                state.fold(events[i])
    return found


def _history(layer, z):
    _, k, v, _ = reference.project(layer, z)
    return attention.remember(layer, z, k, v)


@pytest.mark.parametrize('length', [1, 2, 63, 64, 65, 150])
@pytest.mark.parametrize('mechanism', FOLDED)
def test_whole_histories_are_read_as_events_are_folded(mechanism, length):
    _, layer = _layer(mechanism)
    z = torch.randn(2, length, HYPER.d_model).double()
    q, k, v, _ = reference.project(layer, z)
    o = attention.read_events(layer, q, k, v, z, _history(layer, z))
    for user in range(2):
        expected = _expected(layer, z[user], z[user], torch.arange(length))
        assert (o[user] - expected).abs().max() < 1e-9


@pytest.mark.parametrize('mechanism', FOLDED)
def test_tokens_read_from_anywhere(mechanism):
    """Each user's from places of their own, or all from the same."""
    _, layer = _layer(mechanism)
    events = torch.randn(2, 150, HYPER.d_model).double()
    places = torch.tensor([[0, 1, 64, 64, 150], [149, 3, 0, 65, 128]])
    z = torch.randn(2, 5, HYPER.d_model).double()
    q, k, v, _ = reference.project(layer, z)
    for before in (places, places[0]):
        o = attention.read(layer, reading.Readers(q, k, v, z, before),
                           _history(layer, events))
        for user, at in enumerate(before.expand(2, -1)):
            expected = _expected(layer, events[user], z[user], at)
            assert (o[user] - expected).abs().max() < 1e-9


@pytest.mark.parametrize('target_aware', [hyper_lib.ALL_LAYERS,
                                          hyper_lib.DEDICATED_BLOCK])
@pytest.mark.parametrize('mechanism', GATED)
def test_many_candidates_read_a_state_as_one_reads_events(mechanism,
                                                          target_aware):
    params, layer = _layer(mechanism, target_aware=target_aware)
    tokens = torch.randn(2, 70, HYPER.d_model).double()
    _, traces = masked.events(layer.hyper, params, tokens)
    positions = torch.tensor([[-1, 0, 69], [40, 63, 64]])
    x = torch.randn(2, 3, 2, HYPER.d_model).double()
    together = masked.candidates(layer.hyper, params, traces, positions, x)
    for at in range(2):
        alone = masked.candidates(layer.hyper, params, traces, positions,
                                  x[:, :, at:at + 1])
        assert (together[:, :, at:at + 1] - alone).abs().max() < 1e-9


def test_gates_that_ignore_their_event_are_qla():
    _, layer = _layer(attention.GATED)
    values = {name: getattr(layer, name)
              for name in ('w_qkvg', 'alpha', 'beta')}
    rates = torch.tensor([.4, .01]).double()

    def of(mechanism, **more):
        params = {f'layers.0.{name}': value
                  for name, value in {**values, **more}.items()}
        return reference.Layer(dataclasses.replace(
            HYPER, attention=mechanism), params, 0)
    plain = of(attention.QLA, decay_rate=rates)
    content = of(attention.GATED, w_gate=torch.zeros_like(layer.w_gate),
                 gate_bias=torch.log(torch.expm1(rates)))
    z = torch.randn(2, 150, HYPER.d_model).double()
    q, k, v, _ = reference.project(plain, z)
    o = attention.read_events(content, q, k, v, z, _history(content, z))
    assert (o - chunks.read(plain, q, k, v)).abs().max() < 1e-9
    readers = reading.Readers(q, k, v, z, torch.arange(150))
    o, expected = (attention.read(layer, readers, _history(layer, z))
                   for layer in (content, plain))
    assert (o - expected).abs().max() < 1e-9


def test_gates_start_at_the_half_lives():
    """Those of no decay start so long that nothing is lost, but can learn."""
    hyper = dataclasses.replace(HYPER, attention=attention.GATED,
                                initial_half_lives=(8., 0.))
    params = models.Model(hyper, ITEMS).params()
    layer = reference.Layer(hyper, params, 0)
    rates = -gated.gates(layer, torch.randn(1, 3, HYPER.d_model))
    assert float(rates[0, 0, 0]) == pytest.approx(math.log(2) / 8, rel=1e-5)
    assert 0 < float(rates[0, 0, 1]) < 1e-6
    assert torch.isfinite(layer.gate_bias).all()


@pytest.mark.parametrize('size', [1, 16, 64, 200])
def test_corrections_do_not_depend_on_chunks(size):
    torch.manual_seed(5)
    keys, values = torch.randn(2, 2, 150, 2, WIDTH).double()
    keys = keys / keys.norm(dim=-1, keepdim=True)
    gates = -torch.rand(2, 150, 2).double()
    strength = torch.rand(2, 150, 2).double()
    found = delta.corrections(keys, values, strength,
                              gated.inside(gates, size))
    assert found.shape == values.shape
    expected = torch.zeros_like(values)
    for user in range(2):
        for h in range(2):
            z = torch.zeros(WIDTH, WIDTH).double()
            for i in range(150):
                at = (user, i, h)
                z = gates[at].exp() * z
                expected[at] = strength[at] * (values[at] - keys[at] @ z)
                z = z + torch.outer(keys[at], expected[at])
    assert (found - expected).abs().max() < 1e-9


def test_the_same_key_again_replaces_its_value():
    key = torch.zeros(1, 3, 1, WIDTH).double()
    key[..., 2] = 1
    values = torch.randn(1, 3, 1, WIDTH).double()
    none = torch.zeros(1, 3, 1).double()
    u = delta.corrections(key, values, none + 1, gated.inside(none))
    assert (u.sum(1) - values[:, -1]).abs().max() < 1e-12


@pytest.mark.parametrize('rate', [0., 1e-4, .7, 40.])
@pytest.mark.parametrize('mechanism', (attention.DECAYED_LINEAR, *GATED))
def test_gradients_are_finite_whatever_is_forgotten(mechanism, rate):
    params, _ = _layer(mechanism, torch.float32)
    for name, value in params.items():
        if name.endswith('decay_rate'):
            params[name] = torch.full_like(value, rate)
        elif name.endswith('gate_bias'):
            params[name] = torch.full_like(value, math.log(
                math.expm1(rate)) if rate else -1e3)
        params[name] = params[name].requires_grad_()
    hyper = dataclasses.replace(HYPER, attention=mechanism)
    tokens = torch.randn(2, 200, HYPER.d_model)
    tokens[0, 5:9] = 0  # And of nothing: its key has no direction.
    x, traces = masked.events(hyper, params, tokens.requires_grad_())
    total = x.sum()
    for count in (1, 2):
        total = total + masked.candidates(
            hyper, params, traces, torch.tensor([[-1, 199], [0, 63]]),
            torch.randn(2, 2, count, HYPER.d_model)).sum()
    total.backward()
    found = [tokens.grad, *(params[name].grad for name in params
                            if params[name].grad is not None)]
    assert len(found) > 10
    assert all(torch.isfinite(part).all() for part in found)


@pytest.mark.parametrize('mechanism', GATED)
def test_thousands_of_events_are_read_in_float32(mechanism):
    """Sums of gates reach thousands, where float32 has steps of 1e-4."""
    outputs = []
    for dtype in (torch.float64, torch.float32):
        params, layer = _layer(mechanism, dtype)
        layer.gate_bias[:] = torch.tensor([.5, -7.])
        torch.manual_seed(6)
        z = torch.randn(1, 5_000, HYPER.d_model).double().to(dtype)
        q, k, v, _ = reference.project(layer, z)
        history = _history(layer, z)
        late = reading.Readers(*(part[:, -9:] for part in (q, k, v, z)),
                               torch.arange(4_991, 5_000))
        outputs.append((
            attention.read_events(layer, q, k, v, z, history).double(),
            attention.read(layer, late, history).double(),
            reading.gated_decays(history.gates, late.before).double()))
        assert history.gates.sum(1).min() < -1_000
    (events, some, left), (events_32, some_32, left_32) = outputs
    near = left > 1e-3
    assert ((left_32 / left - 1).abs()[near]).max() < 1e-5
    for exact, single in ((events, events_32), (some, some_32)):
        assert (single - exact).abs().max() < 1e-4 * exact.abs().max()
    assert (some - events[:, -9:]).abs().max() < 1e-9
