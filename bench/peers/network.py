"""The part of the model that every candidate passes, for other engines to run.

docs/model.md sections 2 to 4 with TARGET_AWARE_ALL_LAYERS, from one user's
state on: what depends on the state alone is computed by the trainer's
reference (`readouts`), as the server does once for a request; what remains is
`CandidateNetwork`, written the way ONNX Runtime and PyTorch like it best.
"""

import math

import torch
from torch.nn import functional

from trainer import buckets
from trainer import hyper as hyper_lib
from trainer import reference

INPUTS = ('rows', 'shared', 'readout', 'window', 'user')


def readouts(hyper, params, state, time_us):
    """What candidates read of a state at a request's time, in its dtype.

    Returns {shared: [d], readout: [L, H, d_h, d_h], window: [L, d], user: [d]}:
    the part of the token that all candidates share, alpha Z / max(c, 1), the
    convolution's earlier inputs, and exp(s) u.
    """
    if hyper.target_aware != hyper_lib.ALL_LAYERS:
        raise ValueError(f'target_aware is {hyper.target_aware}; peers run '
                         f'{hyper_lib.ALL_LAYERS}')
    gap = int(buckets.gap_bucket(buckets.seconds_between(
        state.pending.time_us, time_us)))
    state, x = reference.fold_pending(hyper, params, state, time_us)
    user = reference.user_vector(params, x)
    layers = [reference.Layer(hyper, params, index)
              for index in range(hyper.num_layers)]
    scale = [layer.alpha / c.clamp_min(1) for layer, c in zip(layers, state.c)]
    return {
        'shared': (params['action_embedding'][len(hyper.actions)] +
                   params['gap_embedding'][gap] + user @ params['w_user_in'].T),
        'readout': torch.stack([s[:, None, None] * z
                                for s, z in zip(scale, state.z)]),
        'window': torch.stack([(layer.conv[1:] * window).sum(0)
                               for layer, window in zip(layers, state.window)]),
        'user': params['log_scale'].exp() * user,
    }


def rms_norm(x, weight):
    """As reference.rms_norm, in the form that ONNX Runtime fuses."""
    return x / torch.sqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * weight


class CandidateNetwork(torch.nn.Module):
    """Logits [C] of the first task, for item rows [C] and readouts()."""

    def __init__(self, hyper, params):
        super().__init__()
        self.hyper = hyper
        items = params['item_embedding']
        self.register_buffer('tokens', math.sqrt(hyper.d_model) * items)
        self.register_buffer('unit_items', reference.unit(items))
        for name, tensor in params.items():
            if name.startswith(('layers.', 'head.')) or name in (
                    'norm_cand', 'item_bias'):
                # Transposed for good: y = x W^T is x @ matrix then.
                matrix = tensor.dim() == 2 and 'conv' not in name and (
                    'w_' in name)
                self.register_buffer(
                    name.replace('.', '_'),
                    tensor.T.contiguous() if matrix else tensor)
        self.register_buffer('w1', params['head.w1'][0].T.contiguous())

    def forward(self, rows, shared, readout, window, user):
        x = functional.embedding(rows, self.tokens) + shared
        for index in range(self.hyper.num_layers):
            x = self._layer(index, x, readout[index], window[index])
        dot = functional.embedding(rows, self.unit_items) @ user
        bias = functional.embedding(rows, self.item_bias.unsqueeze(1))[:, 0]
        return dot + bias + self.head(x)

    def head(self, x):
        """The target-aware term [C] of candidates [C, d] after their layers."""
        hidden = functional.silu(
            rms_norm(x, self.norm_cand) @ self.w1 + self.head_b1[0])
        return hidden @ self.head_w2[0] + self.head_b2[0]

    def _layer(self, index, x, readout, window):
        own = lambda name: getattr(self, f'layers_{index}_{name}')
        heads, width = self.hyper.num_heads, self.hyper.head_dim
        z = own('conv')[0] * rms_norm(x, own('norm_attn')) + window
        q, k, v, g = (z @ own('w_qkvg')).chunk(4, dim=-1)
        q, k, v = (part.reshape(-1, heads, width).transpose(0, 1)
                   for part in (functional.silu(q), functional.silu(k), v))
        beta = own('beta')[:, None, None]
        o = q @ readout + beta * (q * k).sum(-1, keepdim=True) * v
        return self.finish(index, x, o, g)

    def finish(self, index, x, o, g):
        """The layer's output, from residual x and gate g [C, d] and what was
        read, o [H, C, d_h]."""
        own = lambda name: getattr(self, f'layers_{index}_{name}')
        heads, width = self.hyper.num_heads, self.hyper.head_dim
        o = rms_norm(o, own('norm_head').view(heads, 1, width))
        o = o.transpose(0, 1).reshape(-1, heads * width)
        x = x + (o * functional.silu(g)) @ own('w_o')
        p, r = (rms_norm(x, own('norm_ffn')) @ own('w_12')).chunk(2, dim=-1)
        return x + (p * functional.silu(r)) @ own('w_3')


class SoftmaxLayer(torch.nn.Module):
    """A layer of CandidateNetwork with softmax attention in QLA's place: x
    [C, d] attend to keys and values [n, d] of earlier tokens."""

    def __init__(self, network, index):
        super().__init__()
        self.network, self.index = network, index

    def own(self, name):
        return getattr(self.network, f'layers_{self.index}_{name}')

    def _normed(self, x):
        return rms_norm(x, self.own('norm_attn'))

    def keys(self, x):
        """(keys, values), [n, d] each, of tokens [n, d]."""
        d = self.network.hyper.d_model
        return (self._normed(x) @ self.own('w_qkvg')[:, d:3 * d]).chunk(
            2, dim=-1)

    def forward(self, x, keys, values):
        heads, width = (self.network.hyper.num_heads,
                        self.network.hyper.head_dim)
        d = heads * width
        split = lambda part: part.reshape(-1, heads, width).transpose(0, 1)
        z = self._normed(x)
        q = z @ self.own('w_qkvg')[:, :d] / math.sqrt(width)
        g = z @ self.own('w_qkvg')[:, 3 * d:]
        scores = split(q) @ split(keys).transpose(1, 2)
        o = torch.softmax(scores, dim=-1) @ split(values)
        return self.network.finish(self.index, x, o, g)


class Keys(torch.nn.Module):
    """A SoftmaxLayer's keys and values, as a module of their own."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer.keys(x)


class TargetAttention(torch.nn.Module):
    """What is done without a state: candidates [C] attend to the raw history
    [n], one layer, keys and values computed in every request."""

    def __init__(self, network):
        super().__init__()
        self.layer = SoftmaxLayer(network, 0)

    def forward(self, rows, history):
        network = self.layer.network
        past = functional.embedding(history, network.tokens)
        x = functional.embedding(rows, network.tokens)
        return network.head(self.layer(x, *self.layer.keys(past)))
