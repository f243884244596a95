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


def read(q, history):
    """Of events that read those before them: (total [B, n, H, d_h], the sum of
    what is left of events' <q, k> v; count [B, n, H], the sum of what is
    left). q: [B, n, H, d_h], of the events themselves."""
    n, heads = q.shape[1], q.shape[2]
    queries, keys, values = (
        split(part, SIZE) for part in (q, history.keys, history.values))
    steps = split(history.gates.unsqueeze(-1), SIZE).squeeze(-1)
    batch, chunks = steps.shape[:2]
    place = torch.arange(SIZE, device=q.device)
    left = reading.gated_decays(steps.flatten(0, 1), place).view(
        batch, chunks, heads, SIZE, SIZE)
    weights = torch.einsum('bcihk,bcjhk->bchij', queries, keys)
    weights = weights * left.to(weights.dtype)
    total = torch.einsum('bchij,bcjhv->bcihv', weights, values)
    count = left.sum(-1).transpose(2, 3)  # [B, C, s, H]
    if chunks > 1:
        state, older = _states_before(steps, keys, values)
        # What the chunk's own events have left of what was before it.
        faded = functional.pad(steps.cumsum(2)[:, :, :-1],
                               (0, 0, 1, 0)).exp()
        total = total + torch.einsum(
            'bcihk,bchkv->bcihv', queries * faded.unsqueeze(-1), state)
        count = count + faded * older.unsqueeze(2)
    return total.flatten(1, 2)[:, :n], count.flatten(1, 2)[:, :n]


def _states_before(steps, keys, values):
    """Z [B, C, H, d_h, d_h] and c [B, C, H] before each of C chunks, of gates
    [B, C, s, H] and what stands beside them."""
    sums = steps.cumsum(2)
    faded = (sums[:, :, -1:] - sums).exp()  # Up to the chunk's end.
    folded = torch.einsum('bcjhk,bcjhv->bchkv', keys * faded.unsqueeze(-1),
                          values)
    chunk = torch.arange(steps.shape[1], device=steps.device)
    left = reading.gated_decays(sums[:, :, -1], chunk)  # [B, H, C, C]
    state = torch.einsum('bhce,behkv->bchkv', left.to(folded.dtype), folded)
    count = (left * faded.sum(2).transpose(1, 2).unsqueeze(2)).sum(-1)
    return state, count.transpose(1, 2)


def split(x, size):
    """[B, n, H, ...] -> [B, chunks, size, H, ...], padded with 0."""
    chunks = -(-x.shape[1] // size)
    padded = functional.pad(x, (0, 0, 0, 0, 0, chunks * size - x.shape[1]))
    return padded.unflatten(1, (chunks, size))
