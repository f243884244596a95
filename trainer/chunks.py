"""QLA over long histories: chunks that hand a state on to the next.

The masked form looks at every pair of events, so its memory grows with the
square of a history: 16,000 events would take gigabytes. Within a chunk it is
used as it is; what is before the chunk is read from the state, as a server
would. The same sums in another order; it differentiates, too.
"""

import torch
from torch.nn import functional

from trainer import attention
from trainer import hyper as hyper_lib

# Events of a chunk; shorter histories are one.
SIZE = 1_024


def needed(hyper, num_events):
    """Whether events of such a model read through states, not through pairs."""
    return hyper.attention == attention.QLA and (
        num_events > SIZE or hyper.phi2 == hyper_lib.PHI2_SILU)


def read(layer, q, k, v, size=None):
    """o [B, n, H, d_h] of events that read those before them, and themselves.

    q, k, v: [B, n, H, d_h], a user's events first; size: of a chunk.
    """
    size = size or SIZE
    batch, _, heads, width = q.shape
    # Sums keep the parameters' precision, also where products have less.
    state = layer.alpha.new_zeros(batch, heads, width, width)
    count = layer.alpha.new_zeros(heads)
    parts = []
    for chunk in zip(*(part.split(size, dim=1) for part in (q, k, v))):
        parts.append(_read_chunk(layer, *chunk, state, count))
        state, count = _after(layer, *chunk[1:], state, count)
    return torch.cat(parts, dim=1)


def _read_chunk(layer, q, k, v, state, count):
    """As read, for events that follow a state [B, H, d_h, d_h] and its
    decayed count [H]."""
    index = torch.arange(q.shape[1], device=q.device)
    powers = attention.decays(layer, attention.steps_back(index, len(index)))
    fading = torch.exp(-layer.decay_rate * index[:, None])  # [n, H]
    counts = powers.sum(-1).T + fading * count
    scale = (layer.alpha / counts.clamp_min(1)).unsqueeze(-1)
    if layer.hyper.phi2 == hyper_lib.PHI2_SILU:
        # phi2 acts on the summed state, so every event's is made.
        outer = k.unsqueeze(-1) * v.unsqueeze(-2)
        states = torch.einsum('hij,bjhkv->bihkv', powers, outer)
        states = states + fading[..., None, None] * state.unsqueeze(1)
        mean = functional.silu(scale.unsqueeze(-1) * states)
        seen = torch.einsum('bnhk,bnhkv->bnhv', q, mean.to(q.dtype))
    else:
        weights = powers * torch.einsum('bmhk,bnhk->bhmn', q, k)
        within = torch.einsum('bhmn,bnhv->bmhv', weights.to(v.dtype), v)
        earlier = torch.einsum('bmhk,bhkv->bmhv', q, state.to(q.dtype))
        seen = scale * (within + fading.unsqueeze(-1) * earlier)
    return seen + attention.itself(layer, q, k, v)


def _after(layer, k, v, state, count):
    """The state and count once a chunk's events are folded."""
    length = k.shape[1]
    steps = torch.arange(length - 1, -1, -1, device=k.device)
    powers = torch.exp(-layer.decay_rate * steps[:, None])  # [n, H]
    keep = torch.exp(-layer.decay_rate * length)
    folded = torch.einsum('nh,bnhk,bnhv->bhkv', powers, k, v)
    return keep[:, None, None] * state + folded, keep * count + powers.sum(0)
