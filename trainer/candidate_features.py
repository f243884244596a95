"""The features of any candidate at any moment, as a server would be given them.

A candidate feature is a column of the item table, and then an item's at all
times; or else a column of the events, and then it is what the item's newest
event before the moment says, whoever's it is. An item of which nothing is known
has the mean. Positives and negatives are looked up in
the same way: what tells them apart must not be where their numbers come from.
"""

import numpy as np
import torch

from trainer import dataset


def of_items(data, known):
    """Features [N + 1, F] of item rows where the events of a mask [E] are what
    is known: of each item, those of its newest one."""
    count = len(data.item_ids) + 1
    if _are_items(data).all():
        return _with_table(np.zeros((count, len(_are_items(data))),
                                    np.float32), data)
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
    features = _repeated(sums / max(1, np.count_nonzero(known)), count)
    had = newest >= 0
    features[had] = data.candidate_features[newest[had]]
    return _with_table(features, data)


def _means(values, count):
    """The means of values [E, F], so many times: [count, F] float32."""
    return _repeated(values.sum(0, dtype=np.float64) / max(1, len(values)),
                     count)


def _repeated(means, count):
    return np.tile(means.astype(np.float32), (count, 1))


def _with_table(features, data):
    """With the columns that are items' at all times."""
    features[:, _are_items(data)] = data.item_features
    return features


def _are_items(data):
    """Which candidate features [F] are columns of the item table."""
    return np.isin(data.column_names['candidate_features'],
                   data.column_names['item_features'])


class History:
    """Features as of any second, on a device."""

    def __init__(self, data, device):
        """Of a Dataset's events, by order of (item, second)."""
        seconds = data.times_us // 1_000_000
        self._seconds, codes = np.unique(seconds, return_inverse=True)
        self._span = len(self._seconds) + 1
        keys = data.rows.astype(np.int64) * self._span + codes + 1
        order = np.argsort(keys, kind='stable')
        of_items = _means(data.candidate_features, len(data.item_ids) + 1)

        def tensor(array):
            return torch.as_tensor(array, device=device)
        self._of_items = tensor(_with_table(of_items, data))
        self._is_items = tensor(_are_items(data))
        self._keys = tensor(keys[order])
        self._values = tensor(data.candidate_features[order])
        self._seconds = tensor(self._seconds)

    def at(self, rows, seconds):
        """Features [..., C, F] of rows [..., C] just before seconds [...]."""
        of_items = self._of_items[rows]
        if self._is_items.all():
            return of_items
        # Events of the item in earlier seconds have lower keys.
        code = torch.searchsorted(self._seconds, seconds.contiguous())
        keys = rows * self._span + code.unsqueeze(-1) + 1
        place = torch.searchsorted(self._keys, keys) - 1
        at = place.clamp_min(0)
        known = (place >= 0) & (rows > 0) & (
            self._keys[at] // self._span == rows)
        return torch.where(known.unsqueeze(-1) & ~self._is_items,
                           self._values[at], of_items)
