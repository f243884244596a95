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


def strengths(layer, z):
    """b [B, n, H] of events with inputs z [B, n, d]."""
    with torch.autocast(z.device.type, enabled=False):
        return torch.sigmoid(gated.wide(z) @ layer.w_strength.T +
                             layer.strength_bias)


def corrections(keys, values, strength, inside):
    """u [B, n, H, d_h] of events with these keys, values [B, n, H, d_h] and b
    [B, n, H]; inside: gated.inside() of their gates, in chunks of any size.

    Within a chunk u_i depends on the earlier ones linearly, which is one
    triangular system (the paper's section 3.3): (I + L) u = b (v - a k Z),
    where Z is the state before the chunk, a_i the product of lambda up to i
    and L_ij = b_i (a_i / a_j) <k_i, k_j> for j < i. All systems are solved
    at once, for v and for k; then the state passes from chunk to chunk.
    """
    with torch.autocast(keys.device.type, enabled=False):
        sums, left = inside
        n, size = keys.shape[1], sums.shape[-1]
        # From here on [B, C, H, s, ...].
        keys, values, strength = (
            gated.split(gated.wide(part), size).transpose(2, 3)
            for part in (keys, values, strength.unsqueeze(-1)))
        sums = sums.unsqueeze(-1)
        gates = sums.diff(dim=3, prepend=torch.zeros_like(sums[..., :1, :]))
        # left is what events before i find; i fades it before it is folded.
        system = left * (strength * gates.exp() * keys @
                         keys.transpose(-1, -2))
        given = strength * torch.cat([values, sums.exp() * keys], -1)
        solved = torch.linalg.solve_triangular(system, given, upper=False,
                                               unitriangular=True)
        whole = sums[..., -1:, :]
        folding = (keys * (whole - sums).exp()).transpose(-1, -2)
        return _passed_on(*solved.chunk(2, -1), folding, whole.exp())[:, :n]


def _passed_on(own, of_state, folding, keep):
    """u of all chunks, from what they are without a state, what a state takes
    off, how they are folded and what they leave of it."""
    batch, _, heads, _, width = own.shape
    state = own.new_zeros(batch * heads, width, width)
    found = []
    for u, read, fold, left in zip(*(
            part.transpose(0, 1).flatten(1, 2).unbind(0)
            for part in (own, of_state, folding, keep))):
        u = torch.baddbmm(u, read, state, alpha=-1)
        state = torch.baddbmm(left * state, fold, u)
        found.append(u)
    # [chunks, B * H, size, d_h].
    found = torch.stack(found).unflatten(1, (batch, heads))
    return found.permute(1, 0, 3, 2, 4).flatten(1, 2)
