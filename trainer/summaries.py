"""Virtual seeds: M learned tokens whose outputs stand for a user.

docs/model.md, section 8. Seeds read a state as candidates do and are never
folded; trainer/reference.py passes them through the layers. M: num_seeds.
"""

import math

import torch


def seed_tokens(hyper, params):
    """Seeds' tokens [M, d]: they enter as candidates that are no item."""
    candidate = params['action_embedding'][len(hyper.actions)]
    return params['seed_embedding'] + candidate


def attend(hyper, params, z, summaries):
    """What candidates z [..., C, d] read of their user's summaries [..., M, d].

    Multi-head softmax attention, [..., C, d]. Candidates are independent: each
    weighs the summaries alone.
    """
    def heads(x):  # [..., n, d] -> [..., H, n, d_h]
        return x.unflatten(-1, (hyper.num_heads, -1)).transpose(-3, -2)
    q = heads(z @ params['summary.w_q'].T)
    k, v = (heads(part) for part in
            (summaries @ params['summary.w_kv'].T).chunk(2, dim=-1))
    weights = torch.softmax(
        q @ k.transpose(-2, -1) / math.sqrt(hyper.head_dim), dim=-1)
    read = (weights.to(v.dtype) @ v).transpose(-3, -2).flatten(-2)
    return read @ params['summary.w_o'].T
