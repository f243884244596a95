"""Which items, users and actions there are, counted a part at a time."""

import numpy as np

# Where a data set names its own actions: more are a mistaken column.
MAX_ACTIONS = 256
# More different texts than this are not even counted.
_MOST_TEXTS = 1_000_000
# Items whose rows are looked up at a time.
_CHUNK = 1 << 20


class Codes:
    """Numbers different texts in the order in which they first come, and
    counts them."""

    def __init__(self):
        self._codes = {}
        self._counts = np.zeros(16, np.int64)

    def __len__(self):
        return len(self._codes)

    def of(self, texts):
        """Codes [n], int32, of csv_cells.Texts [n]."""
        known = self._codes
        codes = np.fromiter((known.setdefault(text, len(known))
                             for text in texts.values), np.int32,
                            len(texts.values))
        if len(known) > len(self._counts):
            more = np.zeros(2 * len(known) - len(self._counts), np.int64)
            self._counts = np.concatenate([self._counts, more])
        self._counts[codes] += np.bincount(texts.codes, minlength=len(codes))
        return codes[texts.codes]

    @property
    def texts(self):
        """All of them, by code."""
        return list(self._codes)

    @property
    def counts(self):
        """How often each came, by code."""
        return self._counts[:len(self)]


class ItemCounts:
    """How often each item id came."""

    def __init__(self):
        self._ids = np.zeros(0, np.uint64)
        self._counts = np.zeros(0, np.int64)
        self._waiting = []

    def add(self, items):
        """items: ids [n], uint64."""
        self._waiting.append(np.unique(items, return_counts=True))
        # Merged as rarely as memory allows: a merge looks at all ids.
        if sum(len(ids) for ids, _ in self._waiting) > (
                len(self._ids) + _CHUNK):
            self._merge()

    def _merge(self):
        ids, counts = zip((self._ids, self._counts), *self._waiting)
        self._waiting = []
        ids, counts = np.concatenate(ids), np.concatenate(counts)
        self._ids, at = np.unique(ids, return_inverse=True)
        self._counts = np.bincount(at, counts, len(self._ids)).astype(np.int64)

    def catalogue(self, min_count):
        """Sorted ids [N] of the items that came at least min_count times."""
        self._merge()
        return self._ids[self._counts >= min_count]


def rows_of(item_ids, items):
    """Item rows; 0 for items outside the catalogue (distinct item_ids)."""
    rising = bool((item_ids[:-1] < item_ids[1:]).all())
    order = None if rising else np.argsort(item_ids)
    in_order = item_ids if rising else item_ids[order]
    rows = np.zeros(len(items), np.int32)
    for begin in range(0, len(items) if len(item_ids) else 0, _CHUNK):
        part = items[begin:begin + _CHUNK]
        at = np.searchsorted(in_order, part)
        at = np.minimum(at, len(item_ids) - 1)
        found = in_order[at] == part
        row = at + 1 if rising else order[at] + 1
        rows[begin:begin + _CHUNK] = np.where(found, row, 0)
    return rows


def check_actions(codes, config):
    """Raises ValueError if there are too many to be actions."""
    if config.model.actions:
        return
    names = _by_frequency(codes)
    if len(names) > MAX_ACTIONS:
        more = 'more than ' * (len(codes) > _MOST_TEXTS)
        raise ValueError(
            f'column {config.data.action!r} has {more}{len(names):,} different '
            f'values, such as {names[0]!r}: more than {MAX_ACTIONS} are no '
            'actions; name the right column in data.action')


def too_many_actions(codes):
    """Whether there are so many that no more need be seen."""
    return len(codes) > _MOST_TEXTS


def actions(codes, config):
    """(names, action [codes] of each code, int16).

    An empty cell is the first action, as it is to a server. Without
    model.actions the names are those of the data, the most frequent first.
    """
    names = config.model.actions or tuple(_by_frequency(codes)) or ('event',)
    index = {'': 0, **{name: index for index, name in enumerate(names)}}
    return names, np.array([index[text] for text in codes.texts], np.int16)


def _by_frequency(codes):
    """The texts but '', the most frequent first, then by name."""
    counts = dict(zip(codes.texts, codes.counts.tolist()))
    counts.pop('', None)
    return sorted(counts, key=lambda text: (-counts[text], text))
