"""Rankings without a model, which a model has to beat (docs/quality.md).

Each ranks what anybody had before the cut, items too rare for a model's
catalogue among it, by a score. Ties go to the more popular item, then to the
lower id, so that a ranking is the same wherever it is made: cli/baselines.h
makes the same ones, and tests/baselines holds both to it.
"""

import dataclasses

import numpy as np

from trainer import dataset
from trainer import vocabulary

RECENT_DAYS = 30
HALF_LIFE_DAYS = 180.
NAMES = ('popularity', 'recent popularity', 'own counts', 'own decayed counts')

_DAY_US = 86_400_000_000


class Baselines:
    """Rankings for the cases.Cases of a Dataset.

    What everybody did counts up to the cut, as in a model's weights; what a
    user did, up to the moment that is asked about.

    item_ids [N]: of the rows that rankings are made of, row k + 1 of item k.
    cases: the Cases, with these rows in their baskets.
    """

    def __init__(self, data, found, half_life_days=HALF_LIFE_DAYS):
        if not half_life_days > 0:
            raise ValueError(f'the half-life is {half_life_days} days; it must '
                             'be above 0')
        self._data = data
        self._half_life_us = half_life_days * _DAY_US
        self.item_ids, self._of_rows = _all_items(data)
        self.cases = dataclasses.replace(found, baskets=[
            self._rows(events) for events in found.targets])
        counts = self._counts(found.known)
        self._popular = 1 + np.argsort(-counts[1:], kind='stable')
        # Of each row in that order, which holds both rules for ties.
        self._place = np.zeros(len(counts), np.int64)
        self._place[self._popular] = np.arange(len(self._popular))
        self._popular = self._popular[counts[self._popular] > 0]

    def rankings(self, length):
        """{name: rows [cases, length], best first}; 0 where none is left.

        Leave-one-out has only popularity, among items that a user has not had:
        no cut has a month before it, and own items are all left out.
        """
        if self.cases.exclude_seen:
            return {'popularity': self._each(self._unseen, length)}
        since = self.cases.cut_us - RECENT_DAYS * _DAY_US
        counts = self._counts(self.cases.known, since)
        recent = self._ranked(self._popular, counts[self._popular])
        return dict(zip(NAMES, (
            self._each(lambda *_: self._popular, length),
            self._each(lambda *_: recent, length),
            self._each(self._own_counts, length),
            self._each(self._own_decayed_counts, length))))

    def _rows(self, events):
        """The rows of events, in the order of item_ids."""
        rows = self._of_rows[self._data.rows[events]]
        outside = rows == 0
        if outside.any():
            rows[outside] = vocabulary.rows_of(
                self.item_ids, self._data.items[events][outside])
        return rows

    def _counts(self, known, since_us=None):
        """How often each row [N + 1] is in the events of a mask, which begin
        at a time."""
        counts = np.zeros(len(self.item_ids) + 1, np.int64)
        for part in dataset.slices(self._data.num_events):
            chosen = known[part]
            if since_us is not None:
                chosen = chosen & (self._data.times_us[part] >= since_us)
            counts += np.bincount(self._rows(part)[chosen],
                                  minlength=len(counts))
        return counts

    def _ranked(self, rows, scores):
        """Rows in order of their scores, and of the ties."""
        return rows[np.lexsort((self._place[rows], -scores))]

    def _each(self, rank, length):
        """rank(slice of the user's events before, length) of each case."""
        top = np.zeros((len(self.cases.starts), length), np.int64)
        for row, start, size in zip(top, self.cases.starts,
                                    self.cases.lengths):
            best = rank(slice(start, start + size), length)[:length]
            row[:len(best)] = best
        return top

    def _unseen(self, history, length):
        return self._but(np.unique(self._rows(history)), length)

    def _own_counts(self, history, length):
        return self._own(history, np.ones(history.stop - history.start), length)

    def _own_decayed_counts(self, history, length):
        """Each event counts 2^(-age / half-life).

        Age before the user's newest event: from when it counts changes no
        order. An item's events are added from the oldest to the newest, so
        that items of the same times tie.
        """
        times, moments = np.unique(self._data.times_us[history],
                                   return_inverse=True)
        # Python's power is the C library's, as the command line's is.
        weights = [2. ** (-age / self._half_life_us)
                   for age in (times[-1] - times).tolist()]
        return self._own(history, np.array(weights)[moments], length)

    def _own(self, history, weights, length):
        """A user's own items by their summed weights, then others."""
        rows, at = np.unique(self._rows(history), return_inverse=True)
        own = self._ranked(rows, np.bincount(at, weights))
        return np.concatenate([own, self._but(own, length)])

    def _but(self, rows, length):
        """The `length` most popular rows but for some, which all differ."""
        first = self._popular[:length + len(rows)]
        return first[~np.isin(first, rows)]


def _all_items(data):
    """(rising ids of all items that a Dataset's events have, the rows among
    them of the catalogue's rows [N + 1], 0 where there is none)."""
    had = np.zeros(len(data.item_ids) + 1, bool)
    outside = [np.zeros(0, data.items.dtype)]
    for part in dataset.slices(data.num_events):
        rows = data.rows[part]
        had[rows] = True
        outside.append(np.unique(data.items[part][rows == 0]))
    ids = np.unique(np.concatenate([data.item_ids[had[1:]], *outside]))
    return ids, np.append(np.int32(0), vocabulary.rows_of(ids, data.item_ids))
