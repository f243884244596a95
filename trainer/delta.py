"""The gated delta rule (Gated DeltaNet, arXiv 2412.06464): an event corrects
what the state says of its key, where QLA only adds to it.

    Z_t = lambda_t (I - b_t k_t^T k_t) Z_{t-1} + b_t k_t^T v_t

for row vectors k_t, v_t, with lambda_t of trainer/gated.py and b_t = sigmoid(
w . z_t + c). What is added is k_t^T u_t with the correction u_t = b_t (v_t -
lambda_t k_t Z_{t-1}), so that Z is the gated sum of events with u for v: once
these are known, a state is read anywhere as any other.
"""

import torch

from trainer import gated
from trainer import reading

# Events of a chunk, whose corrections are found together.
SIZE = 64


def strengths(layer, z):
    """b [B, n, H] of events with inputs z [B, n, d]."""
    with torch.autocast(z.device.type, enabled=False):
        return torch.sigmoid(gated.wide(z) @ layer.w_strength.T +
                             layer.strength_bias)


def corrections(keys, values, gates, strength, size=SIZE):
    """u [B, n, H, d_h] of events with these keys, values [B, n, H, d_h], log
    lambda and b [B, n, H].

    Within a chunk u_i depends on the earlier ones linearly, which is one
    triangular system (the paper's section 3.3): (I + L) u = b (v - a k Z),
    where Z is the state before the chunk, a_i the product of lambda up to i
    and L_ij = b_i (a_i / a_j) <k_i, k_j> for j < i. All systems are solved
    at once, for v and for k; then the state passes from chunk to chunk.
    """
    with torch.autocast(keys.device.type, enabled=False):
        return _corrections(gated.wide(keys), gated.wide(values),
                            gates, strength, size)


def _corrections(keys, values, gates, strength, size):
    n = keys.shape[1]
    keys, values, gates, strength = (
        gated.split(part, size).transpose(2, 3) for part in (
            keys, values, gates.unsqueeze(-1), strength.unsqueeze(-1)))
    # From here on [B, chunks, H, size, ...].
    sums = gates.cumsum(3)
    place = torch.arange(size, device=keys.device)
    left = reading.gated_decays(
        gates.flatten(0, 1).squeeze(-1).transpose(1, 2), place)
    left = left.view(*keys.shape[:3], size, size) * gates.exp()
    system = strength * left * (keys @ keys.transpose(-1, -2))
    given = strength * torch.cat([values, sums.exp() * keys], -1)
    solved = torch.linalg.solve_triangular(system, given, upper=False,
                                           unitriangular=True)
    own, of_state = solved.chunk(2, -1)
    whole = sums[:, :, :, -1:]
    fading = (keys * (whole - sums).exp()).transpose(-1, -2)
    state = keys.new_zeros(*keys.shape[:1], keys.shape[2], keys.shape[-1],
                           values.shape[-1])
    found = []
    for u, read, fold, keep in zip(*(part.unbind(1) for part in (
            own, of_state, fading, whole.exp()))):
        found.append(u - read @ state)
        state = keep * state + fold @ found[-1]
    found = torch.stack(found, 1).transpose(2, 3)  # [B, chunks, size, H, d_h]
    return found.flatten(1, 2)[:, :n]
