"""States whose decay depends on what happens: an event says how much is kept.

Of everything before it, event j leaves lambda_j = exp(-softplus(w . z_j + b))
in each head: some events end a chapter, others say nothing new. With w = 0
this is the decay of QLA. As in trainer/chunks.py, pairs of events are looked
at within a chunk, and what is before it is read from a state.
"""

import torch
from torch.nn import functional

from trainer import reading

# Events of a chunk.
SIZE = 64


def gates(layer, z):
    """log lambda [B, n, H] of events with inputs z [B, n, d]."""
    # Products of decays do not bear bfloat16.
    with torch.autocast(z.device.type, enabled=False):
        return -functional.softplus(wide(z) @ layer.w_gate.T +
                                    layer.gate_bias)


def wide(tensor):
    """The tensor in float32, or in float64 where it is."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def inside(gates, size=SIZE):
    """What is left of events within their chunk, of gates [B, n, H]: (sums
    [B, C, H, s] of gates from the chunk's first event on; left [B, C, H, s, s]
    of event j when event i reads, 0 where j >= i)."""
    sums = split(gates.unsqueeze(-1), size).squeeze(-1).cumsum(2)
    sums = sums.transpose(2, 3)
    before = functional.pad(sums[..., :-1], (1, 0))
    place = torch.arange(size, device=gates.device)
    unread = place[:, None] <= place
    between = before.unsqueeze(-1) - sums.unsqueeze(-2)
    return sums, between.masked_fill(unread, -torch.inf).exp()


def read(q, history):
    """Of events that read those before them: (total [B, n, H, d_h], the sum of
    what is left of events' <q, k> v; count [B, n, H], the sum of what is
    left). q: [B, n, H, d_h], of the events themselves."""
    n = q.shape[1]
    queries, keys, values = (
        split(part, SIZE).transpose(2, 3)
        for part in (q, history.keys, history.values))  # [B, C, H, s, d_h]
    sums, left = history.inside or inside(history.gates)
    weights = queries @ keys.transpose(-1, -2)
    total = (weights * left.to(weights.dtype)) @ values
    count = left.sum(-1)  # [B, C, H, s]
    if sums.shape[1] > 1:
        state, older = _states_before(sums, keys, values)
        # What the chunk's own events have left of what was before it.
        faded = functional.pad(sums[..., :-1], (1, 0)).exp()
        total = total + queries * faded.unsqueeze(-1) @ state
        count = count + faded * older.unsqueeze(-1)
    return _joined(total)[:, :n], _joined(count)[:, :n]


def _states_before(sums, keys, values):
    """Z [B, C, H, d_h, d_h] and c [B, C, H] before each of C chunks, of sums
    of gates [B, C, H, s] and what stands beside them [B, C, H, s, d_h]."""
    faded = (sums[..., -1:] - sums).exp()  # Up to the chunk's end.
    folded = (keys * faded.unsqueeze(-1)).transpose(-1, -2) @ values
    chunk = torch.arange(sums.shape[1], device=sums.device)
    left = reading.gated_decays(sums[..., -1], chunk)  # [B, H, C, C]
    state = torch.einsum('bhce,behkv->bchkv', left.to(folded.dtype), folded)
    count = (left * faded.sum(-1).transpose(1, 2).unsqueeze(2)).sum(-1)
    return state, count.transpose(1, 2)


def split(x, size):
    """[B, n, H, ...] -> [B, chunks, size, H, ...], padded with 0."""
    chunks = -(-x.shape[1] // size)
    padded = functional.pad(x, (0, 0, 0, 0, 0, chunks * size - x.shape[1]))
    return padded.unflatten(1, (chunks, size))


def _joined(x):
    """[B, chunks, H, size, ...] -> [B, n, H, ...]."""
    return x.transpose(2, 3).flatten(1, 2)
