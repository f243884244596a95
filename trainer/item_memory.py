"""Item memory: exact facts of the items that a user had most of late.

docs/model.md, section 11. `settings` is everywhere a hyper.ItemMemory. Fold
and facts are in float64 with float32 where the state has it; History has what
a Memory would say at any moment of a data set, without folding it again.
"""

import dataclasses
import math

import numpy as np
import torch

# As an engine: what is older has no more weight than this.
_MOST_EXPONENT = 64.
_LN2 = math.log(2)


def as_of(newest_s, bucket):
    """The second that facts are of: the earliest with the same gap bucket.

    newest_s: of the user's newest event; bucket: from it to the request, >= 1.
    """
    return newest_s + 2 ** (bucket - 1) - 1


@dataclasses.dataclass
class Entry:
    """What is kept of one item. decayed: counts as of last_s, float32."""
    row: int
    count: int
    first_s: int
    last_s: int
    decayed: list
    rank: float = 0.


class Memory:
    """The entries of one user, in the order of their slots."""

    def __init__(self, settings):
        self._settings = settings
        self._slots = {}  # {row: slot}
        self.entries = []

    def copy(self):
        """One that can be folded into apart from this."""
        other = Memory(self._settings)
        other._slots = dict(self._slots)
        other.entries = [dataclasses.replace(entry, decayed=[*entry.decayed])
                         for entry in self.entries]
        return other

    def fold(self, row, seconds):
        """Takes an event in. Returns its Entry and the row that had to leave
        for it; None for an item outside the catalogue, and for nobody."""
        if row == 0:
            return None, None
        gone = None
        if row in self._slots:
            entry = self.entries[self._slots[row]]
            entry.decayed = self._aged(entry, seconds)
            entry.count += 1
            entry.first_s = min(entry.first_s, seconds)
            entry.last_s = max(entry.last_s, seconds)
        else:
            gone, slot = self._free_slot()
            entry = Entry(row, 1, seconds, seconds,
                          [1.] * len(self._settings.half_lives_s))
            self.entries[slot:slot + 1] = [entry]
            self._slots[row] = slot
        entry.rank = math.log(entry.decayed[-1]) + (
            _LN2 * entry.last_s / self._settings.half_lives_s[-1])
        return entry, gone

    def _aged(self, entry, seconds):
        since = max(0, seconds - entry.last_s)
        if since == 0:
            return [float(np.float32(value + 1)) for value in entry.decayed]
        aged = []
        for value, life in zip(entry.decayed, self._settings.half_lives_s):
            factor = math.exp(-min(_LN2 * (since / life), _MOST_EXPONENT))
            value = np.float32(value) * np.float32(factor)
            aged.append(float(value + np.float32(1)))
        return aged

    def _free_slot(self):
        """(row that leaves or None, slot)."""
        if len(self.entries) < self._settings.entries:
            return None, len(self.entries)
        least = min(self.entries, key=lambda entry: (entry.rank, -entry.row))
        return least.row, self._slots.pop(least.row)

    def facts(self, rows, as_of_s):
        """Facts [C, J] of item rows at a second."""
        known = [at for at, row in enumerate(rows) if row in self._slots]
        found = [self.entries[self._slots[rows[at]]] for at in known]
        table = torch.zeros(len(rows), self._settings.num_facts,
                            dtype=torch.float64)
        if found:
            table[known] = facts(
                self._settings, *(torch.tensor([getattr(entry, name)
                                                for entry in found])
                                  for name in ('count', 'first_s', 'last_s')),
                torch.tensor([entry.decayed for entry in found],
                             dtype=torch.float64), as_of_s)
        return table


def facts(settings, count, first_s, last_s, decayed, as_of_s):
    """Facts [..., J] in float64 of entries: tensors [...], but decayed
    [..., H]."""
    since = (as_of_s - last_s).clamp_min(0).double()
    lives = since.new_tensor(settings.half_lives_s)
    factors = torch.exp(-(_LN2 * (since.unsqueeze(-1) / lives)).clamp_max(
        _MOST_EXPONENT))
    due = since * (count - 1) / (last_s - first_s).clamp_min(1)
    age = (as_of_s - first_s).clamp_min(0).double()
    known, counted, aged, due = (
        values.unsqueeze(-1) for values in (
            torch.ones_like(since), torch.log1p(count.double()),
            torch.log1p(age) / 16, due / (1 + due)))
    return torch.cat([known, counted, torch.log1p(decayed * factors), factors,
                      aged, due], -1)


class History:
    """What Memory says of every user of a data set before any of its events.

    An item's facts at a moment are those after its newest occurrence before
    it, unless it had to leave since.
    """

    def __init__(self, settings, offsets, rows, seconds, num_rows, device):
        """offsets [U + 1]; rows, seconds [E] arrays; num_rows: N + 1."""
        self._settings = settings
        self._num_rows = num_rows
        self._num_events = len(rows)
        users = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        pairs, inverse = np.unique(users * num_rows + rows,
                                   return_inverse=True)
        # By pair, then in order of time.
        places = inverse * self._num_events + np.arange(len(rows))
        order = np.argsort(places)
        found = _occurrences(settings, offsets, rows, seconds)

        def tensor(values):
            return torch.as_tensor(values, device=device)
        self._users, self._pairs = tensor(users), tensor(pairs)
        self._places = tensor(places[order])
        self._leaves = tensor(found.leaves[order])
        self._count = tensor(found.count[order])
        self._first_s = tensor(found.first_s[order])
        self._last_s = tensor(seconds[order].astype(np.int64))
        self._decayed = tensor(found.decayed[order])

    def facts(self, before, rows, as_of_s):
        """Facts [..., C, J] in float32 of item rows [..., C] for the users of
        events before - 1 [...], just before events `before`, as of seconds
        [...]. before 0 is a user without events."""
        asked = before > 0
        before = before.clamp_min(1).unsqueeze(-1)
        keys = self._users[before - 1] * self._num_rows + rows
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
        table[known] = facts(
            self._settings, self._count[at], self._first_s[at],
            self._last_s[at], self._decayed[at],
            as_of_s.unsqueeze(-1).expand_as(known)[known]).float()
        return table


@dataclasses.dataclass
class _Occurrences:
    """Of every event [E]: its item's entry after it (decayed [E, H]), and the
    event for which the item has to leave (E: none before it comes again)."""
    count: np.ndarray
    first_s: np.ndarray
    decayed: np.ndarray
    leaves: np.ndarray


def _occurrences(settings, offsets, rows, seconds):
    total = len(rows)
    count = np.ones(total, np.int64)
    first_s = seconds.astype(np.int64)
    decayed = np.ones((total, len(settings.half_lives_s)), np.float32)
    leaves = np.full(total, total, np.int64)
    for begin, end in zip(offsets[:-1], offsets[1:]):
        memory, newest = Memory(settings), {}
        for event, row, when in zip(range(begin, end),
                                    rows[begin:end].tolist(),
                                    seconds[begin:end].tolist()):
            entry, gone = memory.fold(row, when)
            if gone is not None:
                # A query just before this event still finds it.
                leaves[newest.pop(gone)] = event
            if entry is None:
                continue
            newest[row] = event
            if entry.count > 1:
                count[event], first_s[event] = entry.count, entry.first_s
                decayed[event] = entry.decayed
    return _Occurrences(count, first_s, decayed, leaves)
