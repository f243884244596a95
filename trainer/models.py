"""The trainable model: the tensors of a bundle as PyTorch parameters.

The mathematics is trainer/reference.py's masked form; this adds the initial
values, dropout, and a decay rate that stays positive while it is learned.
"""

import math

import numpy as np
import torch
from torch import nn

from trainer import hyper as hyper_lib
from trainer import tensors as tensors_lib

_RATE = '.decay_rate'


class Model(nn.Module):
    """Parameters named as in the bundle; `params()` gives them to reference."""

    def __init__(self, hyper, num_items, item_init_std=.02):
        super().__init__()
        self.hyper = hyper
        self.num_items = num_items
        specs = tensors_lib.tensor_specs(hyper, num_items)
        self._names = list(specs)
        # Parameter names may not hold dots.
        self.values = nn.ParameterDict({
            _key(name): nn.Parameter(
                _initial(name, spec.shape, hyper, item_init_std))
            for name, spec in specs.items()})

    def params(self):
        """{tensor name: tensor}, differentiable."""
        return {name: self.values[_key(name)].exp() if name.endswith(_RATE)
                else self.values[_key(name)] for name in self._names}

    def to_arrays(self):
        """{tensor name: float32 array}: what a bundle holds."""
        return {name: value.detach().float().cpu().numpy()
                for name, value in self.params().items()}

    def load_arrays(self, arrays):
        """The inverse of to_arrays."""
        with torch.no_grad():
            for name in self._names:
                value = torch.from_numpy(np.asarray(arrays[name]))
                if name.endswith(_RATE):
                    value = value.log()
                self.values[_key(name)].copy_(value)

    def parameter_groups(self, weight_decay):
        """Matrices decay; embeddings, norms, biases and rates do not."""
        decayed, kept = [], []
        for name in self._names:
            matrix = name.rsplit('.', 1)[-1].startswith('w') or (
                name.endswith('_projection'))
            matrix = matrix and name != 'head.w2'
            (decayed if matrix else kept).append(self.values[_key(name)])
        return [{'params': decayed, 'weight_decay': weight_decay},
                {'params': kept, 'weight_decay': 0.}]


def _key(name):
    return name.replace('.', '__')


def _initial(name, shape, hyper, item_init_std):
    short = name.rsplit('.', 1)[-1]
    if short == 'decay_rate':
        # Kept as its logarithm; a half-life of 0 is no decay: rate 0, log -inf.
        return torch.tensor([math.log(math.log(2) / life) if life > 0 else
                             -math.inf for life in hyper.initial_half_lives])
    if short.startswith('norm_') or short in ('alpha', 'beta'):
        return torch.ones(shape)
    if short == 'conv':
        value = torch.zeros(shape)
        value[0] = 1  # Starts as no convolution.
        return value
    if short == 'log_scale':
        return torch.full(shape, math.log(10.))
    if short == 'item_embedding':
        return item_init_std * torch.randn(shape)
    if short in ('w_user_in', 'w2'):
        return torch.zeros(shape)  # The dot term learns first, undisturbed.
    if short.endswith('_embedding') or name.startswith('context.'):
        return item_init_std * math.sqrt(shape[-1]) * torch.randn(shape)
    if short in ('b1', 'b2', 'item_bias'):
        return torch.zeros(shape)
    return torch.randn(shape) / math.sqrt(shape[-1])


def has_head(hyper):
    """Whether candidates read the state."""
    return hyper.target_aware != hyper_lib.OFF
