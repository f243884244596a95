"""The content tower: an item's row from what the item table says of it.

    E_item = own E_id + sum over attributes of the mean of E_attribute[value]
                      + W_content f
    bias   = own b_id + the same of their biases

`own` is 1 for items with enough training events and 0 for others, which are
nothing but their content (docs/model.md, section 12). In training some items
go without their own part, drawn anew in every step, so that content learns to
stand alone (as in DropoutNet, Volkovs et al. 2017).
"""

import math

import torch
from torch import nn
from torch.nn import functional

PREFIX = 'content.'
NUMBERS = PREFIX + 'numbers'


def tensor_shapes(hyper):
    """{tensor name: shape}: of each attribute [1 + values, d + 1], of the
    numbers [J, d + 1]. The last column is the bias."""
    width = hyper.d_model + 1
    shapes = {f'{PREFIX}{attribute.name}': (1 + len(attribute.values), width)
              for attribute in hyper.item_attributes}
    if hyper.item_numbers:
        shapes[NUMBERS] = (len(hyper.item_numbers), width)
    return shapes


class Content(nn.Module):
    """The tower over the rows of an item_table.ItemTable."""

    def __init__(self, hyper, table, item_init_std):
        super().__init__()
        self._names = [attribute.name for attribute in table.attributes]
        # All parts together are about as loud as an item's own.
        parts = len(self._names) + len(table.numbers)
        std = item_init_std / math.sqrt(max(1, parts))
        self.tables = nn.ParameterDict()
        for name, shape in tensor_shapes(hyper).items():
            value = std * torch.randn(shape)
            value[:, -1] = 0
            self.tables[_key(name)] = nn.Parameter(value)
        self._held('numbers', table.normalised)
        for index, name in enumerate(self._names):
            self._held(f'offsets{index}', table.offsets[name])
            self._held(f'codes{index}', table.codes[name])

    def _held(self, name, array):
        """What moves to the model's device and is not part of its state."""
        self.register_buffer(name, torch.as_tensor(array), persistent=False)

    def forward(self, rows=None):
        """Of item rows [R], or of all: embeddings [R, d], biases [R]."""
        total = 0.
        for index, name in enumerate(self._names):
            codes, offsets = self._codes(index, rows)
            total = total + functional.embedding_bag(
                codes, self.tables[_key(PREFIX + name)], offsets, mode='mean')
        if self.numbers.shape[1]:
            numbers = self.numbers if rows is None else self.numbers[rows]
            total = total + numbers @ self.tables[_key(NUMBERS)]
        return total[:, :-1], total[:, -1]

    def _codes(self, index, rows):
        """(codes, offsets) of an attribute, of these rows one after another."""
        codes = getattr(self, f'codes{index}')
        offsets = getattr(self, f'offsets{index}')
        if rows is None:
            return codes, offsets
        begins, nexts = offsets[rows], rows + 1
        ends = torch.where(nexts < len(offsets), offsets[
            nexts.clamp_max(len(offsets) - 1)], len(codes))
        sizes = ends - begins
        firsts = sizes.cumsum(0) - sizes
        at = torch.repeat_interleave(begins - firsts, sizes)
        at = at + torch.arange(len(at), device=at.device)
        return codes[at], firsts.to(codes.dtype)

    def to_arrays(self):
        """{tensor name: float32 array}, as tensor_shapes lists them."""
        return {name.replace('__', '.'): value.detach().float().cpu().numpy()
                for name, value in self.tables.items()}


class Rows:
    """Rows of a catalogue that are made where a step looks them up: a Table's
    own parts and what a Content says of them. In place of a tensor, [N + 1, d]
    or [N + 1], in what Model.params() gives."""

    def __init__(self, content, own, table):
        """own [N + 1]: the share of each row that is its own."""
        self._content, self._own, self._table = content, own, table
        self.device = table.device

    def look_up(self, rows):
        """Rows [...]: [..., d] or [...]."""
        # Most come several times, and a row costs a sum over its values.
        different, at = torch.unique(rows, return_inverse=True)
        embeddings, biases = self._content(different)
        own, parts = self._own[different], self._table.look_up(different)
        if parts.dim() == 1:
            return (biases + own * parts)[at]
        return functional.embedding(at, embeddings + own[:, None] * parts)

    def detach(self):
        """The same rows, from which nothing is learned."""
        return _Detached(self)


class _Detached:
    """Of what has look_up()."""

    def __init__(self, rows):
        self._rows = rows
        self.device = rows.device

    @torch.no_grad()
    def look_up(self, rows):
        return self._rows.look_up(rows)


def _key(name):
    return name.replace('.', '__', 1)
