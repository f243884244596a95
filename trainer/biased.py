"""Attention that weighs events by distance, or by time: softmax and HSTU.

Both keep every key and value of what they read.
"""

import math

import torch
from torch.nn import functional

from trainer import reading
from trainer.mechanisms import RECENT_SOFTMAX, SLIDING_WINDOW

# Buckets of distances and of times.
NUM_DISTANCES = NUM_TIMES = 32
# (W, G): a token reads the last W events, itself among them, and the first G.
WINDOWS = {SLIDING_WINDOW: (64, 4), RECENT_SOFTMAX: (200, 0)}


def distance_bucket(distance):
    """0 ... 15 exactly, then two buckets for every doubling, at most 31."""
    far = 16 + (2 * torch.log2(distance.clamp_min(16) / 16.)).floor().long()
    return torch.where(distance < 16, distance, far.clamp_max(31))


def _distance_biases(layer, readers, n):
    """Biases of every event [B or none, H, m, n] and of the token itself."""
    distance = (reading.steps_back(readers.before, n) + 1).clamp_min(0)
    table = layer.distance_bias.T  # [32, H]
    bias = functional.embedding(distance_bucket(distance), table)
    return bias.movedim(-1, -3), table[0]


def softmax(layer, readers, history):
    """Scaled dot-product attention (Vaswani et al. 2017) with biases by
    distance (T5); a token's own key takes part, beside those of the events.
    """
    products, own = reading.products(readers, history)
    n, width = products.shape[-1], readers.q.shape[-1]
    bias, own_bias = _distance_biases(layer, readers, n)
    steps = reading.steps_back(readers.before, n)
    allowed = steps >= 0
    if layer.hyper.attention in WINDOWS:
        # Longformer and BigBird: the recent events and a few global ones.
        last, first = WINDOWS[layer.hyper.attention]
        is_first = torch.arange(n, device=steps.device) < first
        allowed = allowed & ((steps + 1 < last) | is_first)
    logits = (products / math.sqrt(width) + bias).masked_fill(
        ~allowed.unsqueeze(-3), -torch.inf)
    own = own / math.sqrt(width) + own_bias[:, None]
    most = torch.maximum(logits.amax(-1), own).detach()
    weights = torch.exp(logits - most.unsqueeze(-1))
    own = torch.exp(own - most)
    norm = (weights.sum(-1) + own).reciprocal()
    own_weight = (own * norm).transpose(1, 2).unsqueeze(-1)
    return reading.total(weights * norm.unsqueeze(-1), history) + (
        own_weight * readers.v)


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


def hstu(layer, readers, history):
    """HSTU (arXiv 2402.17152): pointwise SiLU attention with biases by
    distance and by the time from an event to what follows the token."""
    products, own = reading.products(readers, history)
    n, width = products.shape[-1], readers.q.shape[-1]
    bias, own_bias = _distance_biases(layer, readers, n)
    elapsed = readers.next_seconds.unsqueeze(-1) - history.seconds.unsqueeze(1)
    bias = bias + _look_up_times(layer.time_bias, time_bucket(elapsed))
    own_time = _look_up_times(layer.time_bias, time_bucket(
        readers.next_seconds - readers.seconds).unsqueeze(-1)).squeeze(-1)
    weights = functional.silu(products / math.sqrt(width) + bias)
    allowed = reading.steps_back(readers.before, n) >= 0
    weights = weights * allowed.unsqueeze(-3)
    own = functional.silu(own / math.sqrt(width) + own_bias[:, None] + own_time)
    count = (readers.before + 1).unsqueeze(-1).unsqueeze(-1)
    total = reading.total(weights, history) + (
        own.transpose(1, 2).unsqueeze(-1) * readers.v)
    return total / count
