"""What mechanisms of attention share: who reads what, and how much is left.

Shapes: B histories of n events, m reading tokens each, H heads of width d_h.
"""

import dataclasses

import torch
from torch.nn import functional

# Weights that are made at a time where no gradient needs all of them.
_WEIGHTS = 1 << 26


@dataclasses.dataclass
class History:
    """What can be read. keys, values: [B, n, H, d_h]; seconds: [B, n] or None
    (whole seconds since 1970; HSTU only). gates: [B, n, H] or None: the
    logarithm of what event j leaves of everything before it (gated ones);
    inside: gated.inside() of them, where it is at hand."""
    keys: torch.Tensor
    values: torch.Tensor
    seconds: torch.Tensor = None
    gates: torch.Tensor = None
    inside: tuple = None


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

    def split(self, size):
        """The same tokens, so many at a time."""
        for at in range(0, self.q.shape[1], size):
            part = slice(at, at + size)
            yield Readers(
                *(value[:, part] for value in (self.q, self.k, self.v, self.z)),
                self.before[..., part],
                *(None if value is None else value[:, part]
                  for value in (self.seconds, self.next_seconds)))


def rows_at_a_time(weights_of_a_row):
    """How many rows of weights, each of so many numbers, are made at a time."""
    if torch.is_grad_enabled():
        return 1 << 62  # All: they are kept for the backward pass anyway.
    return max(1, _WEIGHTS // max(1, weights_of_a_row))


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


def kept(layer, history, before):
    """What is left of event j when a token reads, [B or none, H, m, n] for
    tokens [m] or [B, m]; 0 where it does not read it."""
    if history.gates is not None:
        return gated_decays(history.gates, before)
    return decays(layer, steps_back(before, history.keys.shape[1]))


def gated_decays(gates, before):
    """exp(gates_{j+1} + ... + gates_{i-1}), [B, H, m, n] for gates [B, n, H]
    and tokens i in `before`, [m] or [B, m]; 0 where j >= i.

    Sums from the first event on grow with the history, and what counts is
    their small differences: those are taken in double.
    """
    n = gates.shape[1]
    sums = functional.pad(gates.double().cumsum(1), (0, 0, 1, 0))
    sums = sums.transpose(1, 2)  # [B, H, n + 1]
    places = before.expand(len(gates), -1).unsqueeze(1)
    at = torch.gather(sums, 2, places.expand(-1, sums.shape[1], -1))
    between = at.unsqueeze(-1) - sums[:, :, None, 1:]
    unread = (steps_back(before, n) < 0).unsqueeze(-3)
    return between.masked_fill(unread, -torch.inf).to(gates.dtype).exp()


def products(readers, history):
    """<q, k> of every token with every event [B, H, m, n], with itself
    [B, H, m]."""
    across = torch.einsum('bmhk,bnhk->bhmn', readers.q, history.keys)
    return across, (readers.q * readers.k).sum(-1).transpose(1, 2)


def total(weights, history):
    """The sum [B, m, H, d_h] of values by weights [B, H, m, n]."""
    return torch.einsum('bhmn,bnhv->bmhv', weights.to(history.values.dtype),
                        history.values)
