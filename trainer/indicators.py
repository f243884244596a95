"""Sets of values of categories become floats, on a device."""

import numpy as np
import torch

from trainer import categories as categories_lib


def of(data, kind, device='cpu'):
    """The Indicators of a Dataset's 'event' or 'candidate' features."""
    return Indicators(data.categories[f'{kind}_sets'],
                      getattr(data, f'{kind}_table'), device)


class Indicators:
    """Makes floats of the numbers of sets, on a device."""

    def __init__(self, found, table, device='cpu'):
        """found: of Columns.to_list, perhaps some of it, in any order; table:
        that of all."""
        categories = categories_lib.from_list(found)
        self._width = sum(len(part.indicators) for part in categories)
        at, before = np.full(np.shape(table), self._width, np.int64), 0
        for part, category in zip(found, categories):
            rows = slice(part['first'], part['end'])
            at[rows] = np.where(table[rows] < 0, self._width,
                                before + table[rows])
            before += len(category.indicators)
        self._at = torch.as_tensor(at, device=device)

    def behind(self, numbers, sets):
        """Features [..., F]: numbers [..., n], then what sets [..., C] have."""
        if not self._width:
            return numbers
        at = self._at[sets].flatten(-2)
        # One more, for the places of nothing.
        found = numbers.new_zeros(*numbers.shape[:-1], self._width + 1)
        found.scatter_(-1, at, 1.)
        return torch.cat([numbers, found[..., :-1]], -1)
