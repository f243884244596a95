"""Models without a trunk, to be compared with: not for serving.

Both take the tokens of docs/model.md, section 2, and end in its feed-forward
layer and head, so that they differ in how a candidate reads events alone.
DIN attends to event tokens (Zhou et al., KDD 2018); STATELESS knows no event.
"""

import torch
from torch.nn import functional

from trainer import hyper as hyper_lib
from trainer import reference

# Hidden units of DIN's attention.
_HIDDEN = 64


def tensor_shapes(hyper):
    """{name: shape} of what stands in place of the layers."""
    d, width = hyper.d_model, hyper.ffn_width
    shapes = {'layers.0.norm_ffn': (d,), 'layers.0.w_12': (2 * width, d),
              'layers.0.w_3': (d, width)}
    if hyper.peer == hyper_lib.DIN:
        shapes.update({'peer.norm_event': (d,), 'peer.norm_candidate': (d,),
                       'peer.w_event': (_HIDDEN, d),
                       'peer.w_candidate': (_HIDDEN, d),
                       'peer.w_product': (_HIDDEN, d),
                       'peer.b1': (_HIDDEN,), 'peer.w_weight': (_HIDDEN,),
                       'layers.0.w_o': (d, d)})
    return shapes


def candidates(hyper, params, tokens, positions, x, drop):
    """x_c [B, P, d] of candidate tokens x [B, P, d].

    tokens: [B, n, d] of events; positions [B, P]: the last one that a
    candidate knows, -1 if there is none.
    """
    layer = reference.Layer(hyper, params, 0)
    if hyper.peer == hyper_lib.DIN:
        read = _attend(params, tokens, positions, x)
        x = x + drop(read @ layer.w_o.T)
    return reference.feed_forward(layer, x, drop)


def _attend(params, tokens, positions, x):
    """Weighted sums [B, P, d] of event tokens.

    An event's weight is an MLP of [k, q, k - q, k * q]. Its first layer is
    linear in them, so that the difference is part of k's and q's matrices.
    Weights are not normalised, as in the paper: interest may be strong.
    """
    k = reference.rms_norm(tokens, params['peer.norm_event'])
    q = reference.rms_norm(x, params['peer.norm_candidate'])
    own = (q @ params['peer.w_candidate'].T + params['peer.b1'])
    products = torch.einsum('bpad,bnd->bpan', q.unsqueeze(-2) *
                            params['peer.w_product'], k)
    hidden = products + own.unsqueeze(-1) + (
        k @ params['peer.w_event'].T).transpose(1, 2).unsqueeze(1)
    weights = torch.einsum('bpan,a->bpn', functional.silu(hidden),
                           params['peer.w_weight'].to(hidden.dtype))
    known = torch.arange(k.shape[1], device=k.device) <= (
        positions.unsqueeze(-1))
    return torch.einsum('bpn,bnd->bpd', weights * known, k.to(weights.dtype))
