"""The features of any candidate at any moment, as a server would be given them.

A candidate feature is a column of the item table, and then an item's at all
times; or else a column of the events, and then it is what the item's newest
event before the moment says, whoever's it is. Of an item of which nothing is
known a number is the mean, and a category has no value. Positives and negatives
are looked up in the same way: what tells them apart must not be where their
features come from.
"""

import numpy as np
import torch

from trainer import dataset
from trainer import indicators

# Numbers and the sets of categories: of events, and of item rows.
_FIELDS = {'candidate_features': 'item_features',
           'candidate_sets': 'item_sets'}


def of_items(data, known):
    """Features [N + 1, F] of item rows where the events of a mask [E] are what
    is known: of each item, those of its newest one."""
    count = len(data.item_ids) + 1
    if all(_are_items(data, field).all() for field in _FIELDS):
        sums, newest = 0., np.full(count, -1)
    else:
        sums, newest = _newest(data, known, count)
    found = _of_nothing(data, sums / max(1, np.count_nonzero(known)), count)
    had = newest >= 0
    for field, values in found.items():
        values[had] = getattr(data, field)[newest[had]]
    found = _with_table(found, data)
    return indicators.of(data, 'candidate').behind(
        torch.from_numpy(found['candidate_features']),
        torch.from_numpy(found['candidate_sets']).long()).numpy()


def _newest(data, known, count):
    """The sums [n] of the numbers of events of a mask, and of each of `count`
    item rows the newest of these events, or -1."""
    sums, newest = 0., np.full(count, -1)
    newest_us = np.full(count, np.iinfo(np.int64).min)
    for part in dataset.slices(data.num_events):
        events = part.start + np.flatnonzero(known[part])
        sums = sums + data.candidate_features[events].sum(0, dtype=np.float64)
        events = events[np.argsort(data.times_us[events], kind='stable')]
        rows, times_us = data.rows[events], data.times_us[events]
        # Of equal indices the last one stays, here and below.
        late = times_us >= newest_us[rows]
        newest[rows[late]] = events[late]
        newest_us[rows[late]] = times_us[late]
    newest[0] = -1  # It stands for many items.
    return sums, newest


def _of_nothing(data, means, count):
    """{field: [count, .]} of items of which nothing is known."""
    sets = [part['first'] for part in data.categories['candidate_sets']]
    found = {}
    for field, values in zip(_FIELDS, (means, sets)):
        like = getattr(data, field)
        found[field] = np.empty((count, like.shape[1]), like.dtype)
        found[field][:] = values
    return found


def _with_table(found, data):
    """With the columns that are items' at all times."""
    for field, of_item in _FIELDS.items():
        found[field][:, _are_items(data, field)] = getattr(data, of_item)
    return found


def _are_items(data, field):
    """Which columns of a field are columns of the item table."""
    return np.isin(data.column_names[field],
                   data.column_names[_FIELDS[field]])


class History:
    """Features as of any second, on a device."""

    def __init__(self, data, device):
        """Of a Dataset's events, by order of (item, second)."""
        seconds = data.times_us // 1_000_000
        self._seconds, codes = np.unique(seconds, return_inverse=True)
        self._span = len(self._seconds) + 1
        keys = data.rows.astype(np.int64) * self._span + codes + 1
        order = np.argsort(keys, kind='stable')
        means = data.candidate_features.sum(0, dtype=np.float64) / max(
            1, data.num_events)
        of_items = _with_table(
            _of_nothing(data, means, len(data.item_ids) + 1), data)

        def tensor(array):
            return torch.as_tensor(array, device=device)
        self._of_items = {field: tensor(values)
                          for field, values in of_items.items()}
        self._are_items = {field: tensor(_are_items(data, field))
                           for field in _FIELDS}
        self._values = {field: tensor(getattr(data, field)[order])
                        for field in _FIELDS}
        self._keys = tensor(keys[order])
        self._seconds = tensor(self._seconds)
        self._indicators = indicators.of(data, 'candidate', device)

    def at(self, rows, seconds):
        """Features [..., C, F] of rows [..., C] just before seconds [...]."""
        found = {field: of_items[rows]
                 for field, of_items in self._of_items.items()}
        if not all(are.all() for are in self._are_items.values()):
            place, known = self._newest(rows, seconds)
            found = {field: torch.where(
                known.unsqueeze(-1) & ~self._are_items[field],
                self._values[field][place], values)
                for field, values in found.items()}
        return self._indicators.behind(found['candidate_features'],
                                       found['candidate_sets'].long())

    def _newest(self, rows, seconds):
        """(place, whether there is one) of each row's newest event just before
        its second."""
        # Events of the item in earlier seconds have lower keys.
        code = torch.searchsorted(self._seconds, seconds.contiguous())
        keys = rows * self._span + code.unsqueeze(-1) + 1
        place = torch.searchsorted(self._keys, keys) - 1
        at = place.clamp_min(0)
        return at, (place >= 0) & (rows > 0) & (
            self._keys[at] // self._span == rows)
