"""What item memories say of users at any moment of a data set.

The same bits as item_memory.Memory, which folds one event after another. Here
events are folded together: how often an item came again decides how many steps
there are. Only users with more items than entries are folded one by one, for
which items have to leave.
"""

import dataclasses
import heapq
import math

import numpy as np
import torch

from trainer import buckets
from trainer import item_memory

# Up to so many events all users are folded at once; beyond, those of a batch.
HELD_EVENTS = 1 << 22


class History:
    """What Memory says of every user of a data set before any of its events."""

    def __init__(self, settings, data, device, held_events=HELD_EVENTS):
        """data: a Dataset, or what has its offsets, rows, times_us and
        item_ids."""
        self._settings = settings
        self._data = data
        self._device = device
        self._asked, self._folded = None, None
        self._is_held = data.num_events <= held_events
        if self._is_held:
            self._folded = self._fold(data.offsets[:-1], data.offsets[1:])

    def facts(self, before, rows, as_of_s):
        """Facts [..., C, J] in float32 of item rows [..., C] for the users of
        events before - 1 [...], just before events `before`, as of seconds
        [...]. before 0 is a user without events."""
        if not self._is_held:
            before = self._fold_asked(before)
        return self._folded.facts(before, rows, as_of_s)

    def _fold_asked(self, before):
        """Folds the users of events before - 1; returns `before` in the order
        of events in which these stand."""
        places = before.cpu().numpy()
        users, at = np.unique(np.searchsorted(
            self._data.offsets, np.maximum(places, 1) - 1, side='right') - 1,
            return_inverse=True)
        at = at.reshape(places.shape)
        ends = np.zeros(len(users), np.int64)
        np.maximum.at(ends, at, places)
        begins = self._data.offsets[users]
        ends = np.maximum(ends, begins)
        asked = [users.tolist(), ends.tolist()]
        if asked != self._asked:
            # Whole catalogues are asked about a part at a time.
            self._asked, self._folded = asked, self._fold(begins, ends)
        moved = np.cumsum(ends - begins) - (ends - begins) - begins
        return torch.as_tensor(np.where(places > 0, places + moved[at], 0),
                               device=before.device)

    def _fold(self, begins, ends):
        def of_users(column):
            if len(begins) == len(self._data.offsets) - 1:
                return np.asarray(column)
            return np.concatenate([column[begin:end] for begin, end in
                                   zip(begins.tolist(), ends.tolist())])
        offsets = np.concatenate([[0], np.cumsum(ends - begins)])
        return _Folded(self._settings, offsets, of_users(self._data.rows),
                       of_users(self._data.times_us) // buckets.MICROSECONDS,
                       len(self._data.item_ids) + 1, self._device)


class _Folded:
    """All moments of some users, whose events stand one after another.

    An item's facts at a moment are those after its newest occurrence before
    it, unless it had to leave since.
    """

    def __init__(self, settings, offsets, rows, seconds, num_rows, device):
        """offsets [U + 1]; rows, seconds [E] arrays; num_rows: N + 1."""
        self._settings = settings
        self._num_rows = num_rows
        self._num_events = max(1, len(rows))
        found = occurrences(settings, offsets, rows, seconds, num_rows)
        new = np.ones(len(rows), bool)
        new[1:] = found.pairs[1:] != found.pairs[:-1]
        # By pair of user and row, then in order of time.
        places = (np.cumsum(new) - 1) * self._num_events + found.order

        def tensor(values):
            return torch.as_tensor(values, device=device)
        self._ends = tensor(offsets[1:])
        self._pairs, self._places = tensor(found.pairs[new]), tensor(places)
        self._leaves, self._count = tensor(found.leaves), tensor(found.count)
        self._first_s = tensor(found.first_s)
        self._last_s = tensor(found.last_s)
        self._decayed = tensor(found.decayed)

    def facts(self, before, rows, as_of_s):
        """As History.facts."""
        if not len(self._places):
            return torch.zeros(*rows.shape, self._settings.num_facts,
                               device=rows.device)
        asked = before > 0
        before = before.clamp_min(1).unsqueeze(-1)
        users = torch.bucketize(before - 1, self._ends, right=True)
        keys = users * self._num_rows + rows
        pair = torch.searchsorted(self._pairs, keys)
        pair = pair.clamp_max(len(self._pairs) - 1)
        place = torch.searchsorted(self._places,
                                   pair * self._num_events + before) - 1
        at = place.clamp_min(0)
        known = (asked.unsqueeze(-1) & (rows > 0) & (self._pairs[pair] == keys)
                 & (place >= 0) &
                 (self._places[at] >= pair * self._num_events) &
                 (self._leaves[at] >= before))
        # Of a whole catalogue, few are.
        table = known.new_zeros(*known.shape, self._settings.num_facts,
                                dtype=torch.float32)
        at = at[known]
        table[known] = item_memory.facts(
            self._settings, self._count[at], self._first_s[at],
            self._last_s[at], self._decayed[at],
            as_of_s.unsqueeze(-1).expand_as(known)[known]).float()
        return table


@dataclasses.dataclass
class Occurrences:
    """Of every event [E], ordered by user, row and place: which it is, its
    pair of user and row, its item's entry after it (decayed [E, H]), and the
    event for which the item has to leave (E: none before it comes again)."""
    order: np.ndarray
    pairs: np.ndarray
    count: np.ndarray
    first_s: np.ndarray
    last_s: np.ndarray
    decayed: np.ndarray
    leaves: np.ndarray


def occurrences(settings, offsets, rows, seconds, num_rows):
    """The Occurrences of users' events; arguments as those of _Folded."""
    total = len(rows)
    users = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    keys = users * num_rows + rows
    order = np.argsort(keys, kind='stable')
    pairs = keys[order]
    starts = np.ones(total, bool)  # Where an entry is a new one.
    starts[1:] = pairs[1:] != pairs[:-1]
    leaves = np.full(total, total, np.int64)
    items = np.bincount(pairs[starts & (pairs % num_rows > 0)] // num_rows,
                        minlength=len(offsets) - 1)
    crowded = np.flatnonzero(items > settings.entries)
    if len(crowded):
        place = np.empty(total, np.int64)
        place[order] = np.arange(total)
        for user in crowded:
            events = slice(*offsets[user:user + 2])
            _leave(settings, offsets[user], rows[events], seconds[events],
                   place[events], starts, leaves)
    index = np.arange(total)
    count = index + 1 - np.maximum.accumulate(np.where(starts, index, 0))
    return Occurrences(order, pairs, count,
                       *_entries(settings, seconds[order], count), leaves)


def _entries(settings, seconds, count):
    """first_s, last_s and decayed of entries after events that are the
    count-th of one, which stand one after another."""
    first_s, last_s = seconds.copy(), seconds.copy()
    decayed = np.ones((len(seconds), len(settings.half_lives_s)), np.float32)
    by_count = np.argsort(count, kind='stable')
    ends = np.searchsorted(count[by_count], np.arange(1, count.max(
        initial=1) + 1), side='right')
    for begin, end in zip(ends[:-1], ends[1:]):
        at = by_count[begin:end]
        since = np.maximum(seconds[at] - last_s[at - 1], 0)
        for column, life in enumerate(settings.half_lives_s):
            decayed[at, column] = decayed[at - 1, column] * _factors(
                since, life) + np.float32(1)
        first_s[at] = np.minimum(first_s[at], first_s[at - 1])
        last_s[at] = np.maximum(last_s[at], last_s[at - 1])
    return first_s, last_s, decayed


def _factors(since, life):
    """By what counts age in whole seconds, float32."""
    exponents = -np.minimum(item_memory.LN2 * (since / life),
                            item_memory.MOST_EXPONENT)
    # Python's exp is the C library's, as Memory's is.
    return np.array(list(map(math.exp, exponents.tolist())), np.float32)


def _leave(settings, first_event, rows, seconds, places, starts, leaves):
    """Lets items leave one user's full memory: sets where the entries of
    those that come again start, and for which event each leaves.

    rows, seconds, places in starts and leaves: of the user's events.
    """
    life, one = settings.half_lives_s[-1], np.float32(1)
    counts, last_s, ranks, newest, least = {}, {}, {}, {}, []
    for event, (row, second, place) in enumerate(zip(
            rows.tolist(), seconds.tolist(), places.tolist()), first_event):
        if row == 0:
            continue
        if row in counts:
            factor = math.exp(-min(
                item_memory.LN2 * (max(0, second - last_s[row]) / life),
                item_memory.MOST_EXPONENT))
            counts[row] = counts[row] * np.float32(factor) + one
            last_s[row] = max(second, last_s[row])
        else:
            if len(counts) == settings.entries:
                gone = _least(least, ranks)
                del counts[gone], ranks[gone]
                # A query just before this event still finds it.
                leaves[newest.pop(gone)] = event
            counts[row], last_s[row] = one, second
            starts[place] = True
        newest[row] = place
        ranks[row] = math.log(counts[row]) + (
            item_memory.LN2 * last_s[row] / life)
        heapq.heappush(least, (ranks[row], -row))


def _least(heap, ranks):
    """Takes the row of the least rank, of equal ones the highest, from a heap
    of (rank, -row) that has older ranks, too."""
    while True:
        rank, row = heapq.heappop(heap)
        if ranks.get(-row) == rank:
            return -row
