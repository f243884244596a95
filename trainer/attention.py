"""How a token reads the events before it: QLA, and the field's other ways.

Every mechanism replaces o_h of docs/model.md, section 3, and nothing else of
the layer, so that models differ in it alone (docs/attention.md compares them).
Only QLA can be served. The others are here to be measured against, in the
masked form that training uses. _TABLE has a row for each.

Shapes: B histories of n events, m reading tokens each, H heads of width d_h.
"""

import dataclasses
import typing

import torch
from torch.nn import functional

from trainer import biased
from trainer import chunks
from trainer import delta
from trainer import gated
from trainer import reading
from trainer.mechanisms import (
    ALL, DECAYED_LINEAR, GATED, GATED_DELTA, HSTU, LINEAR, LOG_LINEAR, NONE,
    QLA, RECENT_SOFTMAX, SEEDS_ONLY, SLIDING_WINDOW, SOFTMAX)
from trainer.reading import History, Readers

# Fenwick levels: histories up to 2^24.
NUM_LEVELS = 24


# ---- What the outputs of W_qkvg pass through: q, k, v -> q, k, v -------------


def _plain(q, k, v):
    return q, k, v


def _silu(q, k, v):
    """phi1 of docs/model.md."""
    return functional.silu(q), functional.silu(k), v


def _silu_all(q, k, v):
    return tuple(map(functional.silu, (q, k, v)))


def _positive(q, k, v):
    return functional.elu(q) + 1, functional.elu(k) + 1, v


def _of_one_length(q, k, v):
    """The delta rule takes b of what is known of a key out of the state, and
    more than all of it if keys were longer than 1."""
    def unit(x):
        x = gated.wide(functional.silu(x))
        return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-6)
    return unit(q), unit(k), v


# ---- Readings: layer, Readers, History -> o [B, m, H, d_h] -------------------


def _itself_alone(layer, readers, history):
    """No attention: what the rest of the model makes of a token."""
    del layer, history
    return readers.v


def _decayed(layer, readers, history):
    """VISTA (arXiv 2510.22049), decayed, by what events leave where they are
    gates; phi2 is the identity."""
    products, _ = reading.products(readers, history)
    left = reading.kept(layer, history, readers.before)
    count = left.sum(-1).transpose(-1, -2)  # [B or none, m, H]
    total = reading.total(products * left.to(products.dtype), history)
    return scale(layer, count).unsqueeze(-1) * total + reading.itself(
        layer, readers.q, readers.k, readers.v)


def _linear(layer, readers, history):
    """Linear attention (Katharopoulos et al. 2020): phi = elu + 1, normalised
    by the sum of its weights, which may decay."""
    products, own = reading.products(readers, history)
    if layer.hyper.attention == DECAYED_LINEAR:
        left = reading.kept(layer, history, readers.before)
    else:
        left = (reading.steps_back(readers.before, products.shape[-1]) >=
                0).unsqueeze(-3)
    weights = products * left
    normaliser = weights.sum(-1) + own  # [B, H, m]
    own_total = own.transpose(1, 2).unsqueeze(-1) * readers.v
    return (reading.total(weights, history) + own_total) / (
        normaliser.transpose(1, 2).unsqueeze(-1))


def fenwick_level(before, n):
    """Level of the Fenwick block [..., m, n] that holds event j for a token.

    The events before a token are split into blocks of 2^level by the binary
    digits of their number i: level = floor(log2(i XOR j)).
    """
    j = torch.arange(n, device=before.device)
    i = before.unsqueeze(-1)
    differing = (i ^ j).clamp_min(1)
    powers = 2 ** torch.arange(1, NUM_LEVELS, device=before.device)
    return torch.bucketize(differing, powers, right=True)


def _log_linear(layer, readers, history):
    """Log-linear attention (Guo et al. 2025): one state a Fenwick block, with
    weights that the token chooses by level."""
    products, _ = reading.products(readers, history)
    n, heads = products.shape[-1], products.shape[1]
    chosen = functional.softplus(readers.z @ layer.w_level.T)
    chosen = chosen.unflatten(-1, (heads, NUM_LEVELS)).transpose(1, 2)
    level = fenwick_level(readers.before, n).unsqueeze(-3)
    level = level.expand(products.shape)
    weights = products * torch.gather(chosen, -1, level)
    weights = weights * (reading.steps_back(readers.before, n) >=
                         0).unsqueeze(-3)
    return reading.total(weights, history) + reading.itself(
        layer, readers.q, readers.k, readers.v)


# ---- Whole histories at a cost linear in them: layer, q, k, v, History -> o --


def _qla_events(layer, q, k, v, history):
    del history
    return chunks.read(layer, q, k, v)


def _gated_events(layer, q, k, v, history):
    total, count = gated.read(q, history)
    return scale(layer, count).unsqueeze(-1) * total + reading.itself(
        layer, q, k, v)


# ---- What is kept of events: layer, z, k, v -> History -----------------------


def _as_they_are(layer, z, k, v):
    del layer, z
    return History(k, v)


def _gated(layer, z, k, v):
    return History(k, v, gates=gated.gates(layer, z))


def _corrected(layer, z, k, v):
    gates = gated.gates(layer, z)
    inside = gated.inside(gates)
    u = delta.corrections(k, v, delta.strengths(layer, z), inside)
    return History(k, u, gates=gates, inside=inside)


# ---- The table ---------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Mechanism:
    """tensors: short names of a layer's tensors beside w_qkvg. has_state: many
    candidates may share a state of fixed size, q . Z, in place of weights.
    events: how whole histories are read; None: as any tokens."""
    activate: typing.Callable
    tensors: tuple
    read: typing.Callable
    has_state: bool = False
    events: typing.Callable = None
    remember: typing.Callable = _as_they_are


_QLA = _Mechanism(_silu, ('decay_rate', 'alpha', 'beta'), _decayed, True,
                  _qla_events)
_SOFTMAX = _Mechanism(_plain, ('distance_bias',), biased.softmax)
_TABLE = {
    QLA: _QLA,
    SEEDS_ONLY: _QLA,
    NONE: _Mechanism(_plain, (), _itself_alone),
    SOFTMAX: _SOFTMAX,
    RECENT_SOFTMAX: _SOFTMAX,
    SLIDING_WINDOW: _SOFTMAX,
    HSTU: _Mechanism(_silu_all, ('distance_bias', 'time_bias'), biased.hstu),
    LINEAR: _Mechanism(_positive, (), _linear),
    DECAYED_LINEAR: _Mechanism(_positive, ('decay_rate',), _linear),
    LOG_LINEAR: _Mechanism(_silu, ('beta', 'w_level'), _log_linear),
    GATED: _Mechanism(_silu, ('w_gate', 'gate_bias', 'alpha', 'beta'),
                      _decayed, True, _gated_events, _gated),
    GATED_DELTA: _Mechanism(
        _of_one_length,
        ('w_gate', 'gate_bias', 'w_strength', 'strength_bias', 'beta'),
        _decayed, True, _gated_events, _corrected),
}


def activate(mechanism, q, k, v):
    """phi1 and its kin: what W_qkvg's outputs pass through."""
    return _TABLE[mechanism].activate(q, k, v)


def extra_tensors(mechanism, heads, d_model):
    """{short name: shape} of a layer's tensors beside w_qkvg."""
    shapes = {'distance_bias': (heads, biased.NUM_DISTANCES),
              'time_bias': (heads, biased.NUM_TIMES),
              'w_level': (heads * NUM_LEVELS, d_model),
              'w_gate': (heads, d_model), 'w_strength': (heads, d_model)}
    return {name: shapes.get(name, (heads,))
            for name in _TABLE[mechanism].tensors}


def has_state(mechanism):
    """Whether candidates may read a state of fixed size, q . Z."""
    return _TABLE[mechanism].has_state


def remember(layer, z, k, v, seconds=None):
    """The History of events: inputs z [B, n, d], k and v [B, n, H, d_h],
    seconds [B, n]."""
    history = _TABLE[layer.hyper.attention].remember(layer, z, k, v)
    history.seconds = seconds
    return history


def read(layer, readers, history):
    """o [B, m, H, d_h]: what tokens read of the history and of themselves."""
    batch, n, heads, _ = history.keys.shape
    size = reading.rows_at_a_time(batch * heads * n)
    of = _TABLE[layer.hyper.attention].read
    if size >= readers.q.shape[1]:
        return of(layer, readers, history)
    return torch.cat([of(layer, part, history)
                      for part in readers.split(size)], 1)


def read_events(layer, q, k, v, z, history, next_seconds=None):
    """o [B, n, H, d_h] of events that read those before them, and themselves;
    arguments as remember() has them."""
    of = _TABLE[layer.hyper.attention].events
    if of:
        return of(layer, q, k, v, history)
    before = torch.arange(q.shape[1], device=q.device)
    return read(layer, Readers(q, k, v, z, before, history.seconds,
                               next_seconds), history)


def scale(layer, count):
    """What q . Z is multiplied by [...], at decayed counts c [...]."""
    if layer.hyper.attention == GATED_DELTA:  # Values are no sums.
        return torch.ones_like(count)
    return layer.alpha / count.clamp_min(1)
