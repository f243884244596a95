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
        hidden = functional.silu(
            rms_norm(x, self.norm_cand) @ self.w1 + self.head_b1[0])
        dot = functional.embedding(rows, self.unit_items) @ user
        bias = functional.embedding(rows, self.item_bias.unsqueeze(1))[:, 0]
        return dot + bias + hidden @ self.head_w2[0] + self.head_b2[0]

    def _layer(self, index, x, readout, window):
        own = lambda name: getattr(self, f'layers_{index}_{name}')
        heads, width = self.hyper.num_heads, self.hyper.head_dim
        z = own('conv')[0] * rms_norm(x, own('norm_attn')) + window
        q, k, v, g = (z @ own('w_qkvg')).chunk(4, dim=-1)
        q, k, v = (part.reshape(-1, heads, width).transpose(0, 1)
                   for part in (functional.silu(q), functional.silu(k), v))
        beta = own('beta')[:, None, None]
        o = q @ readout + beta * (q * k).sum(-1, keepdim=True) * v
        o = rms_norm(o, own('norm_head').view(heads, 1, width))
        o = o.transpose(0, 1).reshape(-1, heads * width)
        x = x + (o * functional.silu(g)) @ own('w_o')
        p, r = (rms_norm(x, own('norm_ffn')) @ own('w_12')).chunk(2, dim=-1)
        return x + (p * functional.silu(r)) @ own('w_3')


class TargetAttention(torch.nn.Module):
    """What is done without a state: one layer of softmax attention.

    Keys and values of the raw history are computed in every request, each
    candidate attends to all of them; norm per head, gate and feed-forward as
    in CandidateNetwork's first layer, whose weights it takes.
    """

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, rows, history):
        net = self.network
        own = lambda name: getattr(net, f'layers_0_{name}')
        heads, width = net.hyper.num_heads, net.hyper.head_dim
        d = heads * width
        split = lambda x: x.reshape(-1, heads, width).transpose(0, 1)
        past = rms_norm(functional.embedding(history, net.tokens),
                        own('norm_attn'))
        keys, values = (past @ own('w_qkvg')[:, d:3 * d]).chunk(2, dim=-1)
        x = functional.embedding(rows, net.tokens)
        z = rms_norm(x, own('norm_attn'))
        q, g = z @ own('w_qkvg')[:, :d], z @ own('w_qkvg')[:, 3 * d:]
        scores = split(q / math.sqrt(width)) @ split(keys).transpose(1, 2)
        o = torch.softmax(scores, dim=-1) @ split(values)
        o = rms_norm(o, own('norm_head').view(heads, 1, width))
        o = o.transpose(0, 1).reshape(-1, d)
        x = x + (o * functional.silu(g)) @ own('w_o')
        p, r = (rms_norm(x, own('norm_ffn')) @ own('w_12')).chunk(2, dim=-1)
        x = x + (p * functional.silu(r)) @ own('w_3')
        hidden = functional.silu(rms_norm(x, net.norm_cand) @ net.w1 +
                                 net.head_b1[0])
        return hidden @ net.head_w2[0] + net.head_b2[0]
