"""How a token reads the events before it: QLA, and the field's other ways.

Every mechanism replaces o_h of docs/model.md, section 3, and nothing else of
the layer, so that models differ in it alone (docs/attention.md compares them).
Only QLA can be served: its state has a fixed size. The others are here to be
measured against, in the masked form that training uses.

Shapes: B histories of n events, m reading tokens each, H heads of width d_h.
"""

import dataclasses
import math

import torch
from torch.nn import functional

from trainer.mechanisms import (
    ALL, HSTU, LINEAR, LOG_LINEAR, QLA, SLIDING_WINDOW, SOFTMAX)

# Buckets of distances and of times; Fenwick levels: histories up to 2^24.
NUM_DISTANCES = NUM_TIMES = 32
NUM_LEVELS = 24
# SLIDING_WINDOW: a token reads the last WINDOW events and the first GLOBAL.
WINDOW, GLOBAL = 64, 4


@dataclasses.dataclass
class History:
    """What can be read. keys, values: [B, n, H, d_h]; seconds: [B, n] or None
    (whole seconds since 1970; HSTU only)."""
    keys: torch.Tensor
    values: torch.Tensor
    seconds: torch.Tensor = None


@dataclasses.dataclass
class Readers:
    """Tokens that read: q, k, v [B, m, H, d_h] and z [B, m, d], the input of
    W_qkvg. before, [m] or [B, m]: a token reads events 0 ... before - 1 and
    itself. seconds, next_seconds: [B, m], of the token and of what follows
    it (HSTU only)."""
    q: torch.Tensor
    k: torch.Tensor
    v: torch.Tensor
    z: torch.Tensor
    before: torch.Tensor
    seconds: torch.Tensor = None
    next_seconds: torch.Tensor = None


def activate(mechanism, q, k, v):
    """phi1 and its kin: what W_qkvg's outputs pass through."""
    if mechanism in (SOFTMAX, SLIDING_WINDOW):
        return q, k, v
    if mechanism == LINEAR:
        return functional.elu(q) + 1, functional.elu(k) + 1, v
    silu = functional.silu
    return silu(q), silu(k), silu(v) if mechanism == HSTU else v


def extra_tensors(mechanism, heads, d_model):
    """{short name: shape} of a layer's tensors beside w_qkvg."""
    if mechanism == QLA:
        return {name: (heads,) for name in ('decay_rate', 'alpha', 'beta')}
    if mechanism in (SOFTMAX, SLIDING_WINDOW):
        return {'distance_bias': (heads, NUM_DISTANCES)}
    if mechanism == HSTU:
        return {'distance_bias': (heads, NUM_DISTANCES),
                'time_bias': (heads, NUM_TIMES)}
    if mechanism == LOG_LINEAR:
        return {'beta': (heads,), 'w_level': (heads * NUM_LEVELS, d_model)}
    return {}


def read(layer, readers, history):
    """o [B, m, H, d_h]: what tokens read of the history and of themselves."""
    return _READ[layer.hyper.attention](layer, readers, history)


def itself(layer, q, k, v):
    """The diagonal term of docs/model.md: beta_h <q, k> v."""
    return layer.beta[:, None] * (q * k).sum(-1, keepdim=True) * v


def steps_back(before, n):
    """[..., m, n]: how many events after event j a token stands, 0: the next.

    Negative where the token does not read event j.
    """
    return before.unsqueeze(-1) - 1 - torch.arange(n, device=before.device)


def decays(layer, steps):
    """lambda_h^steps, [..., H, m, n] of steps [..., m, n]; 0 where negative."""
    steps = steps.unsqueeze(-3)
    powers = torch.exp(-layer.decay_rate[:, None, None] * steps.clamp_min(0))
    return powers * (steps >= 0)


def _products(readers, history):
    """<q, k> of every token with every event [B, H, m, n], with itself
    [B, H, m]."""
    across = torch.einsum('bmhk,bnhk->bhmn', readers.q, history.keys)
    return across, (readers.q * readers.k).sum(-1).transpose(1, 2)


def _total(weights, history):
    return torch.einsum('bhmn,bnhv->bmhv', weights.to(history.values.dtype),
                        history.values)


def _qla(layer, readers, history):
    """VISTA (arXiv 2510.22049), decayed; phi2 is the identity."""
    products, _ = _products(readers, history)
    powers = decays(layer, steps_back(readers.before, products.shape[-1]))
    count = powers.sum(-1).transpose(-1, -2)  # [B or none, m, H]
    total = _total(products * powers.to(products.dtype), history)
    scale = (layer.alpha / count.clamp_min(1)).unsqueeze(-1)
    return scale * total + itself(layer, readers.q, readers.k, readers.v)


def distance_bucket(distance):
    """0 ... 15 exactly, then two buckets for every doubling, at most 31."""
    far = 16 + (2 * torch.log2(distance.clamp_min(16) / 16.)).floor().long()
    return torch.where(distance < 16, distance, far.clamp_max(31))


def _distance_biases(layer, readers, n):
    """Biases of every event [B or none, H, m, n] and of the token itself."""
    distance = (steps_back(readers.before, n) + 1).clamp_min(0)
    table = layer.distance_bias.T  # [32, H]
    bias = functional.embedding(distance_bucket(distance), table)
    return bias.movedim(-1, -3), table[0]


def _softmax(layer, readers, history):
    """Scaled dot-product attention (Vaswani et al. 2017) with biases by
    distance (T5); a token's own key takes part."""
    products, own = _products(readers, history)
    n, width = products.shape[-1], readers.q.shape[-1]
    bias, own_bias = _distance_biases(layer, readers, n)
    steps = steps_back(readers.before, n)
    allowed = steps >= 0
    if layer.hyper.attention == SLIDING_WINDOW:
        # Longformer and BigBird: the recent events and a few global ones.
        first = torch.arange(n, device=steps.device) < GLOBAL
        allowed = allowed & ((steps + 1 < WINDOW) | first)
    logits = (products / math.sqrt(width) + bias).masked_fill(
        ~allowed.unsqueeze(-3), -torch.inf)
    own = own / math.sqrt(width) + own_bias[:, None]
    weights = torch.cat([logits, own.unsqueeze(-1)],
                        -1).softmax(-1)
    own_weight = weights[..., -1].transpose(1, 2).unsqueeze(-1)
    return _total(weights[..., :-1], history) + own_weight * readers.v


def time_bucket(seconds):
    """b(s) of docs/model.md, section 1, for integer seconds [...]."""
    powers = 2 ** torch.arange(1, 31, device=seconds.device)
    return 1 + torch.bucketize(1 + seconds.clamp_min(0), powers, right=True)


def _look_up_times(table, buckets):
    """table[h, bucket] as [B, H, m, n], of buckets [B, m, n].

    Every row looks into a copy of its own: a GPU would add the gradients of
    millions of look-ups into 32 cells one after the other.
    """
    heads = table.shape[0]
    batch, rows, n = buckets.shape
    copies = table[None, :, None].expand(batch, heads, rows, NUM_TIMES)
    return torch.gather(copies, -1, buckets.unsqueeze(1).expand(
        batch, heads, rows, n))


def _hstu(layer, readers, history):
    """HSTU (arXiv 2402.17152): pointwise SiLU attention with biases by
    distance and by the time from an event to what follows the token."""
    products, own = _products(readers, history)
    n, width = products.shape[-1], readers.q.shape[-1]
    bias, own_bias = _distance_biases(layer, readers, n)
    elapsed = readers.next_seconds.unsqueeze(-1) - history.seconds.unsqueeze(1)
    bias = bias + _look_up_times(layer.time_bias, time_bucket(elapsed))
    own_time = _look_up_times(layer.time_bias, time_bucket(
        readers.next_seconds - readers.seconds).unsqueeze(-1)).squeeze(-1)
    weights = functional.silu(products / math.sqrt(width) + bias)
    allowed = steps_back(readers.before, n) >= 0
    weights = weights * allowed.unsqueeze(-3)
    own = functional.silu(own / math.sqrt(width) + own_bias[:, None] + own_time)
    count = (readers.before + 1).unsqueeze(-1).unsqueeze(-1)
    total = _total(weights, history) + (
        own.transpose(1, 2).unsqueeze(-1) * readers.v)
    return total / count


def _linear(layer, readers, history):
    """Linear attention (Katharopoulos et al. 2020): phi = elu + 1, normalised
    by the sum of its weights."""
    products, own = _products(readers, history)
    allowed = steps_back(readers.before, products.shape[-1]) >= 0
    weights = products * allowed.unsqueeze(-3)
    normaliser = weights.sum(-1) + own  # [B, H, m]
    own_total = own.transpose(1, 2).unsqueeze(-1) * readers.v
    return (_total(weights, history) + own_total) / (
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
    products, _ = _products(readers, history)
    n, heads = products.shape[-1], products.shape[1]
    chosen = functional.softplus(readers.z @ layer.w_level.T)
    chosen = chosen.unflatten(-1, (heads, NUM_LEVELS)).transpose(1, 2)
    level = fenwick_level(readers.before, n).unsqueeze(-3)
    level = level.expand(products.shape)
    weights = products * torch.gather(chosen, -1, level)
    weights = weights * (steps_back(readers.before, n) >= 0).unsqueeze(-3)
    return _total(weights, history) + itself(layer, readers.q, readers.k,
                                             readers.v)


_READ = {QLA: _qla, SOFTMAX: _softmax, SLIDING_WINDOW: _softmax, HSTU: _hstu,
         LINEAR: _linear, LOG_LINEAR: _log_linear}
