"""The trainable model: the tensors of a bundle as PyTorch parameters.

The mathematics is trainer/reference.py's masked form; this adds the initial
values, dropout, and a decay rate that stays positive while it is learned.
"""

import math

import numpy as np
import torch
from torch import nn

from trainer import content
from trainer import hyper as hyper_lib
from trainer import initial
from trainer import reconstruction
from trainer import sparse_rows
from trainer import tensors as tensors_lib

_RATE = '.decay_rate'
# A feature's mean, in standard deviations: 32 bits have 7 digits.
_MOST_MEAN = 1e3

# Labels of rare events are about a user's habits: the average of their history
# comes first, what stands out of it second. But SiLU(q) and SiLU(k) of random
# layers have any sign, so that events cancel out, and with beta = 1 a token's
# own value drowns what it reads. So tokens get a part in common, q and k grow
# with it, and beta starts small: every event counts alike, but for its age.
# docs/kuairand.md has what it gives.
_AVERAGE_SHIFT, _AVERAGE_GAIN, _AVERAGE_BETA = .1, 2., .1
_TOKEN_EMBEDDINGS = ('action_embedding', 'gap_embedding', 'next_embedding',
                     'count_embedding')


class Model(nn.Module):
    """Parameters named as in the bundle; `params()` gives them to reference.

    reconstruction_window: steps of the decoder of trainer/reconstruction.py,
    which no bundle holds; 0: no decoder. item_table: an ItemTable, for models
    with content. sparse_items: what is kept of each item is a Table of
    trainer/sparse_rows.py, and in training, content is made of those items
    that are looked up. start: an initial.Start, whose dot_share is learned
    unless it is 1.
    """

    def __init__(self, hyper, num_items, start=initial.Start(), dropout=0.,
                 reconstruction_window=0, item_table=None, sparse_items=False):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.hyper = hyper
        self.num_items = num_items
        self._start = start
        self._sparse_items = sparse_items
        specs = tensors_lib.tensor_specs(hyper, num_items)
        self._names = list(specs)
        # Parameter names may not hold dots.
        self.values = nn.ParameterDict({
            _key(name): (sparse_rows.Table if sparse_items and spec.in_items
                         else nn.Parameter)(
                initial.first_value(name, spec.shape, hyper, start))
            for name, spec in specs.items()})
        self.log_dot_share = None
        if start.dot_share != 1 and hyper.any_dot_term:
            self.log_dot_share = nn.Parameter(
                torch.tensor(math.log(start.dot_share)))
        self.decoder = None
        if reconstruction_window:
            self.decoder = reconstruction.Decoder(hyper, reconstruction_window)
        self._normalised = {}
        for tensor, names in (('event_projection', hyper.event_feature_names),
                              ('candidate_projection',
                               hyper.candidate_feature_names)):
            if names:
                self._normalised[tensor] = names
                self.register_buffer(tensor + '_mean', torch.zeros(len(names)))
                self.register_buffer(tensor + '_scale', torch.ones(len(names)))
        self.content = None
        if hyper.has_content:
            self.content = content.Content(hyper, item_table, start.item_std)
            # Of each item row, how much of it is its own.
            self.register_buffer('own', torch.ones(num_items + 1))
            self.content_only_share = 0.

    def params(self):
        """{tensor name: tensor}, differentiable."""
        params = {name: self.values[_key(name)].exp() if name.endswith(_RATE)
                  else self.values[_key(name)] for name in self._names}
        shifts = self._shifts(params)
        if shifts is not None:
            params['action_embedding'] = params['action_embedding'] - shifts
        if self.content is not None and self.training and self._sparse_items:
            own = self._own()
            for name in ('item_embedding', 'item_bias')[
                    :1 + self.hyper.any_dot_term]:
                params[name] = content.Rows(self.content, own, params[name])
        elif self.content is not None:
            rows, biases = self.content()
            own = self._own()
            params['item_embedding'] = (
                rows + own[:, None] * params['item_embedding'])
            if self.hyper.any_dot_term:
                params['item_bias'] = biases + own * params['item_bias']
        if self.log_dot_share is not None:
            params = _dot_times(params, self.log_dot_share)
        return params

    @property
    def dot_share(self):
        """By how much params() multiplies the dot term's logits."""
        if self.log_dot_share is None:
            return torch.ones(())
        return self.log_dot_share.exp()

    def dot_params(self, params):
        """What params() gave, as the dot term's own loss has it: with logits
        that are 1 / share of those that count in a score."""
        if self.log_dot_share is None:
            return params
        return _dot_times(params, -self.log_dot_share.to(
            params['log_scale'].device))

    def normalise(self, tensor, values):
        """Lets the features [E, F] of a projection count by their distance from
        their mean, in standard deviations. Features beyond F are 0 or 1, and
        count as they are.

        What is learned is W of normalised features; the bundle has W / scale,
        and W mean / scale is taken off the actions' embeddings. Raises
        ValueError naming a feature that varies too little beside its mean for
        that in 32 bits.
        """
        mean, scale = values.mean(0, dtype=np.float64), values.std(
            0, dtype=np.float64)
        scale[scale == 0] = np.maximum(1., np.abs(mean[scale == 0]))
        for name, center, width in zip(self._normalised[tensor], mean, scale):
            if abs(center) > _MOST_MEAN * width:
                raise ValueError(
                    f'{name}: its mean is {center:g} and its standard '
                    f'deviation {width:g}: take off the mean beforehand, here '
                    'and where it is served')
        for part, found in (('_mean', mean), ('_scale', scale)):
            getattr(self, tensor + part)[:len(found)] = torch.from_numpy(found)

    def _shifts(self, params):
        """[A + 1, d]: what normalised features take off the actions' rows;
        None without features. Divides their projections in params."""
        shifts = None
        for tensor in self._normalised:
            params[tensor] = params[tensor] / getattr(self, tensor + '_scale')
            if shifts is None:
                shifts = torch.zeros_like(params['action_embedding'])
            shift = params[tensor] @ getattr(self, tensor + '_mean')
            rows = _rows_of(tensor)
            shifts[rows] = shifts[rows] + shift
        return shifts

    def _own(self):
        """The share [N + 1] of each row that is its own, in this step."""
        if not self.training or not self.content_only_share:
            return self.own
        return self.own * (torch.rand_like(self.own) >= self.content_only_share)

    def to_arrays(self):
        """{tensor name: float32 array}: what a bundle holds."""
        training = self.training
        self.eval()  # Whole rows.
        arrays = {name: value.detach().float().cpu().numpy()
                  for name, value in self.params().items()}
        if self.content is not None:
            arrays.update(self.content.to_arrays())
        self.train(training)
        return arrays

    def know_by_content(self, counts, least, share):
        """Items [N + 1] with fewer than `least` counts have no part of their
        own, and in training others neither: a share, drawn anew each time."""
        self.own.copy_(counts >= least)
        self.content_only_share = share

    def start_from_popularity(self, counts):
        """Sets the item biases to the log of item counts [N + 1].

        What is known by its content alone starts as the mean of the others.
        """
        bias = torch.log1p(counts.float())
        own = torch.ones_like(bias) if self.content is None else self.own
        mean = (own * bias).sum() / own.sum().clamp_min(1)
        with torch.no_grad():
            self.values['item_bias'].copy_(own * (bias - mean))

    def start_from_rates(self, rates):
        """Sets the biases of labelled tasks to their rates' logits [T]."""
        logits = torch.logit(rates.float(), 1e-6)
        with torch.no_grad():
            if has_head(self.hyper):
                self.values['head__b2'].copy_(logits)
            else:
                self.values['item_bias'].fill_(logits[0])
            if self.hyper.any_dot_term:
                # Whole logits are small where labels are not one in a million.
                self.values['log_scale'].zero_()

    def start_as_average(self):
        """Makes layers begin as decayed averages of the history; see below.

        Peers have no layers and stay as they are.
        """
        if self.hyper.peer:
            return
        d = self.hyper.d_model
        block = f'layers.{self.hyper.num_layers}.'
        with torch.no_grad():
            for name in self._names:
                if self._start.is_match(self.hyper) and name.startswith(block):
                    continue
                value, short = self.values[_key(name)], name.rsplit('.', 1)[-1]
                if name in _TOKEN_EMBEDDINGS or name.startswith('context.'):
                    value += _AVERAGE_SHIFT
                elif short == 'w_qkvg':
                    value[:2 * d] += _AVERAGE_GAIN / d
                elif short == 'beta':
                    value.fill_(_AVERAGE_BETA)

    def load_arrays(self, arrays):
        """The inverse of to_arrays, but that items have their own parts alone
        where there is content; features are normalised as they were."""
        arrays = {name: torch.from_numpy(np.array(array))
                  for name, array in arrays.items()}
        with torch.no_grad():
            for tensor in self._normalised:
                shift = arrays[tensor] @ getattr(self, tensor + '_mean').cpu()
                arrays['action_embedding'][_rows_of(tensor)] += shift
                arrays[tensor] *= getattr(self, tensor + '_scale').cpu()
            arrays = self.dot_params(arrays)
            for name in self._names:
                value = arrays[name]
                if name.endswith(_RATE):
                    value = value.log()
                self.values[_key(name)].copy_(value)

    def parameter_groups(self, weight_decay):
        """Matrices decay; embeddings, norms, biases and rates do not."""
        decayed, kept = [], []
        for name in self._names:
            if isinstance(self.values[_key(name)], sparse_rows.Table):
                continue  # Of RowOptimizer, and never decayed.
            matrix = name.rsplit('.', 1)[-1].startswith('w') or (
                name.endswith('_projection'))
            matrix = matrix and name != 'head.w2'
            (decayed if matrix else kept).append(self.values[_key(name)])
        if self.log_dot_share is not None:
            kept.append(self.log_dot_share)
        if self.content is not None:
            kept += self.content.parameters()
        if self.decoder is not None:
            for name, value in self.decoder.named_parameters():
                (decayed if name.startswith('w') else kept).append(value)
        return [{'params': decayed, 'weight_decay': weight_decay},
                {'params': kept, 'weight_decay': 0.}]


def _dot_times(params, log_share):
    """Tensors whose dot logits are exp(log_share) times those of params."""
    return {**params, 'log_scale': params['log_scale'] + log_share,
            'item_bias': params['item_bias'] * log_share.exp()}


def _key(name):
    return name.replace('.', '__')


def _rows_of(projection):
    """The rows of the actions' embeddings that join its tokens: the last is
    that of candidates."""
    return slice(-1, None) if projection == 'candidate_projection' else (
        slice(None, -1))


def has_head(hyper):
    """Whether candidates read the state."""
    return hyper.target_aware != hyper_lib.OFF
