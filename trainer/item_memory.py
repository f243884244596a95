"""Item memory: exact facts of the items that a user had most of late.

docs/model.md, section 11. `settings` is everywhere a hyper.ItemMemory. Fold
and facts are in float64 with float32 where the state has it.
trainer/item_history.py has what a Memory would say at any moment of a data set.
"""

import dataclasses
import math

import numpy as np
import torch

# As an engine: what is older has no more weight than this.
MOST_EXPONENT = 64.
LN2 = math.log(2)


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
            LN2 * entry.last_s / self._settings.half_lives_s[-1])
        return entry, gone

    def _aged(self, entry, seconds):
        since = max(0, seconds - entry.last_s)
        if since == 0:
            return [float(np.float32(value + 1)) for value in entry.decayed]
        aged = []
        for value, life in zip(entry.decayed, self._settings.half_lives_s):
            factor = math.exp(-min(LN2 * (since / life), MOST_EXPONENT))
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
    factors = torch.exp(-(LN2 * (since.unsqueeze(-1) / lives)).clamp_max(
        MOST_EXPONENT))
    due = since * (count - 1) / (last_s - first_s).clamp_min(1)
    age = (as_of_s - first_s).clamp_min(0).double()
    known, counted, aged, due = (
        values.unsqueeze(-1) for values in (
            torch.ones_like(since), torch.log1p(count.double()),
            torch.log1p(age) / 16, due / (1 + due)))
    return torch.cat([known, counted, torch.log1p(decayed * factors), factors,
                      aged, due], -1)
