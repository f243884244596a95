"""Categories: features of events and candidates that are texts.

A cell has one value, several, or none. To a model each value of a category is
a feature of its own, an *indicator*: 1 where a cell has the value, else 0; an
empty cell is all zeros, and so are values that a model does not know. In a data
set a cell is the number of a *set* of values, of which there are few; they
become floats where a batch is cut (trainer/indicators.py).
"""

import dataclasses

import numpy as np

from trainer import hyper as hyper_lib


def values_of(category, text):
    """The different values of a cell."""
    parts = text.split(category.separator) if category.separator else [text]
    parts = [part.strip(hyper_lib.BLANKS) for part in parts]
    return list(dict.fromkeys(part for part in parts if part))


def places(category, texts):
    """For each cell, the rising places of its values among the category's
    indicators: a list of tuples."""
    if category.hashed:
        def place(value):
            return hash_place(value, category.hashed)
    else:
        place = {value: at for at, value in enumerate(category.values)}.get
    found = ({place(value) for value in values_of(category, text)}
             for text in texts)
    return [tuple(sorted(places - {None})) for places in found]


def hash_place(value, count):
    import xxhash
    return xxhash.xxh64_intdigest(value.encode()) % count


def resolved(category, texts, counts):
    """The category with values, the data's where it has none.

    texts: the different cells of its column; counts: how often each came.
    Raises ValueError if no value came often enough.
    """
    if category.hashed or category.values:
        return _without_limits(category)
    known = {}
    for text, count in zip(texts, counts):
        for value in values_of(category, text):
            known[value] = known.get(value, 0) + int(count)
    values = sorted((value for value, count in known.items()
                     if count >= category.min_count and '\n' not in value),
                    key=lambda value: (-known[value], value))
    if not values:
        raise ValueError(f'{category.name!r} has no value that comes '
                         f'{category.min_count} times (min_count)')
    return _without_limits(dataclasses.replace(
        category, values=tuple(values[:category.max_values])))


def _without_limits(category):
    """What chose its values is no part of a model."""
    return hyper_lib.Category(category.name, category.separator,
                              category.values, hashed=category.hashed)


@dataclasses.dataclass
class Column:
    """Where a category's sets are: the number of that of each code of its
    cells, which are in the events' column `at`; None: of each item row."""
    sets: np.ndarray
    at: int


class Columns:
    """The categories of events, or of candidates, and their sets.

    categories: with values. table [S, K] int16: of each set, the places of its
    values among its category's indicators, and -1 behind them.
    """

    def __init__(self):
        self.categories = []
        self._firsts, self._columns, self._sets = [], [], []

    def add_of_events(self, category, texts, counts, at):
        """A category that is column `at` of the events' codes, whose texts
        these are; counts: how often each came in training."""
        self._add(category, texts, counts, slice(0, len(texts)), at)

    def add_of_items(self, category, texts, lines):
        """One that is a column of the item table, with so many texts; lines:
        which text each item row has, or -1."""
        self._add(category, texts, np.ones(len(texts)), lines, None)

    def _add(self, category, texts, counts, which, at):
        category = resolved(category, texts, counts)
        first, known = len(self._sets), {(): len(self._sets)}
        numbers = np.array([known.setdefault(found, first + len(known))
                            for found in places(category, texts)] + [first])
        self._sets += known
        self.categories.append(category)
        self._firsts.append(first)
        self._columns.append(Column(numbers[which], at))

    @property
    def table(self):
        width = max(map(len, self._sets), default=0)
        table = np.full((len(self._sets), width), -1, np.int16)
        for row, found in zip(table, self._sets):
            row[:len(found)] = found
        return table

    def of_items(self, count):
        """Sets [count, G] of item rows, of the categories that are items'."""
        found = [column.sets for column in self._columns if column.at is None]
        return np.stack(found, 1).astype(self._dtype) if found else np.zeros(
            (count, 0), self._dtype)

    def of_events(self, codes, rows):
        """Sets [n, C] of events of such codes [n, .] and item rows [n]."""
        sets = np.empty((len(codes), len(self._columns)), self._dtype)
        for place, column in enumerate(self._columns):
            sets[:, place] = column.sets[
                rows if column.at is None else codes[:, column.at]]
        return sets

    @property
    def _dtype(self):
        """The least that numbers all sets, of those that PyTorch has."""
        for dtype in (np.uint8, np.int16):
            if len(self._sets) <= 1 + np.iinfo(dtype).max:
                return dtype
        return np.int32

    def to_list(self):
        """The categories and which of the sets are theirs, the empty one first;
        JSON-able."""
        ends = [*self._firsts[1:], len(self._sets)]
        return [{'category': {**dataclasses.asdict(category),
                              'values': list(category.values)},
                 'first': first, 'end': end} for category, first, end in zip(
                     self.categories, self._firsts, ends)]


def from_list(found):
    """The hyper.Categories of what Columns.to_list made."""
    return tuple(hyper_lib.Category(**{
        **part['category'], 'values': tuple(part['category']['values'])})
                 for part in found)
