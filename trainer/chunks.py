"""QLA over histories at a cost linear in them: chunks that hand states on.

Looking at every pair of events costs the square of a history. Within a chunk
pairs are looked at; what is before the chunk is read from the state, as a
server would. The same sums in another order (docs/model.md, section 3).
"""

import torch
from torch.nn import functional

from trainer import hyper as hyper_lib
from trainer import reading

# Events of a chunk.
SIZE = 50
# The same where phi2 acts on every event's own state.
STATES_SIZE = 256


def read(layer, q, k, v):
    """o [B, n, H, d_h] of events that read those before them, and themselves.

    q, k, v: [B, n, H, d_h], a user's events first.
    """
    length = q.shape[1]
    ages = torch.arange(length, device=q.device)[:, None]
    sums = torch.exp(-layer.decay_rate * ages).cumsum(0)
    count = functional.pad(sums, (0, 0, 1, 0))[:length]  # c, [n, H]
    scale = (layer.alpha / count.clamp_min(1)).unsqueeze(-1)
    if layer.hyper.phi2 == hyper_lib.PHI2_SILU:
        seen = _read_states(layer, q, k, v, scale)
    else:
        seen = scale * _read_together(layer, q, k, v)
    return seen + reading.itself(layer, q, k, v)


def _read_together(layer, q, k, v):
    """q . Z [B, n, H, d_h] of all events, all chunks at once."""
    length, rate = q.shape[1], layer.decay_rate
    queries, keys, values = (_split(part) for part in (q, k, v))
    index = torch.arange(SIZE, device=q.device)
    powers = reading.decays(layer, reading.steps_back(index, SIZE))
    within = torch.einsum('bcihk,bcjhk->bchij', queries, keys)
    within = within * powers.to(within.dtype)
    total = torch.einsum('bchij,bcjhv->bcihv', within, values)
    if length > SIZE:
        fading = torch.exp(-rate * index[:, None]).unsqueeze(-1)  # [s, H, 1]
        folded = torch.einsum('bcjhk,bcjhv->bchkv', keys * fading.flip(0),
                              values)
        total = total + torch.einsum('bcihk,bchkv->bcihv', queries * fading,
                                     _states_before(folded, rate))
    return total.flatten(1, 2)[:, :length]


def _split(x):
    """[B, n, ...] -> [B, chunks, SIZE, ...], padded with 0."""
    chunks = -(-x.shape[1] // SIZE)
    padded = functional.pad(x, (0, 0, 0, 0, 0, chunks * SIZE - x.shape[1]))
    return padded.unflatten(1, (chunks, SIZE))


def _states_before(folded, rate):
    """Z before every chunk, from what each chunk folds [B, C, H, d_h, d_h]."""
    chunk = torch.arange(folded.shape[1], device=folded.device)
    steps = reading.steps_back(chunk, len(chunk))  # [C, C]
    powers = torch.exp(-rate * SIZE * steps.clamp_min(0).unsqueeze(-1))
    powers = powers * (steps >= 0).unsqueeze(-1)  # [C, C, H]
    return torch.einsum('ceh,behkv->bchkv', powers, folded)


def _read_states(layer, q, k, v, scale):
    """q . phi2(scale Z) [B, n, H, d_h], scale [n, H, 1], chunk after chunk:
    phi2 acts on the summed state, so every event's is made."""
    batch, _, heads, width = q.shape
    state = layer.alpha.new_zeros(batch, heads, width, width)
    seen = []
    for part in zip(*(x.split(STATES_SIZE, 1) for x in (q, k, v)),
                    scale.split(STATES_SIZE)):
        queries, keys, values, factor = part
        index = torch.arange(queries.shape[1] + 1, device=q.device)
        powers = reading.decays(
            layer, reading.steps_back(index, len(index) - 1))
        fading = torch.exp(-layer.decay_rate * index[:, None])  # [s + 1, H]
        outer = keys.unsqueeze(-1) * values.unsqueeze(-2)
        states = torch.einsum('hij,bjhkv->bihkv', powers, outer)
        states = states + fading[..., None, None] * state.unsqueeze(1)
        mean = functional.silu(factor.unsqueeze(-1) * states[:, :-1])
        seen.append(torch.einsum('bnhk,bnhkv->bnhv', queries,
                                 mean.to(queries.dtype)))
        state = states[:, -1]
    return torch.cat(seen, 1)
