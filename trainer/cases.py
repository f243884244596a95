"""What an evaluation asks about: of which users, when, and what is to be found.

Two protocols (data.split in the config). At a cut in time: for every user with
events before a moment after it, the state is made of the events before, the
request's time is that of the moment, and the items of the moment are what
should come out on top: of the user's first moment after the cut, or of each.
Items seen before are not filtered: repeat purchases count. Leave-one-out: the
state is made of all events but the last, whose item is to be found at its time;
items seen before are left out of the ranking.
"""

import dataclasses

import numpy as np

from trainer import buckets
from trainer import dataset

# Fields of Cases that are not of one case each.
_OF_ALL_CASES = ('known', 'cut_us', 'exclude_seen', 'among')


@dataclasses.dataclass
class Cases:
    """One row a moment that is asked about, in order of the user.

    users; history [start, start + length) in the data set; gap bucket to the
    request; context rows [cases, M] of the moment's first event. targets: an
    event of each different item to find; baskets: their rows, 0 for each that
    is outside the catalogue; repeats: which of them the user had before; new:
    which nobody had, among known events. known: which events [E] popularity and
    candidates' features are of. cut_us: None in leave-one-out, where
    exclude_seen is True. among: which rows [N + 1] are ranked; None: all.
    """
    users: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    nexts: np.ndarray
    contexts: np.ndarray
    targets: list
    baskets: list
    repeats: list
    new: list
    known: np.ndarray
    cut_us: int = None
    exclude_seen: bool = False
    among: np.ndarray = None

    def of_new_items(self, data):
        """The cases with something to find that nobody had, among all such
        items alone."""
        among = ~_rows_of(data, self.known)
        among[0] = False
        asked = self._only([at for at, new in enumerate(self.new) if new.any()])
        return dataclasses.replace(asked, among=among, **{
            name: [values[new] for values, new in
                   zip(getattr(asked, name), asked.new)]
            for name in ('targets', 'baskets', 'repeats', 'new')})

    def _only(self, kept):
        """The cases of these indices."""
        columns = {field.name: getattr(self, field.name)
                   for field in dataclasses.fields(self)
                   if field.name not in _OF_ALL_CASES}
        return dataclasses.replace(self, **{
            name: [column[at] for at in kept] if isinstance(column, list)
            else column[kept] for name, column in columns.items()})


def after(data, cut_us, *, every_moment=False, users=None, fill_to=0):
    """What can be asked about after the cut: the first moments of users with
    events before it, or every moment with events of its user before.

    users: rising indices of those that are asked; None: all. fill_to: where
    first moments are fewer, further ones of the same users are drawn up to
    this, always the same. Items outside the catalogue stay in the basket, but
    no ranking can hit them.
    """
    users = np.arange(len(data.users)) if users is None else users
    known = data.times_us < cut_us
    begins, ends = data.offsets[users], data.offsets[users + 1]
    splits = begins + np.diff(dataset.counted_before(known, data.offsets))[
        users]
    if every_moment:
        at = _moments(data, begins, splits, ends)
    else:
        asked = (begins < splits) & (splits < ends)
        at = _filled(data, splits[asked], ends[asked], fill_to)
    users = np.searchsorted(data.offsets, at, side='right') - 1
    starts, seconds = data.offsets[users], buckets.seconds_between(
        data.times_us[at - 1], data.times_us[at])
    targets = [_targets(data, *moment) for moment in
               zip(at, data.offsets[users + 1])]
    return Cases(data.users[users], starts, at - starts,
                 buckets.gap_bucket(seconds), data.context_rows[at],
                 **_to_find(data, starts, at, targets, known),
                 known=known, cut_us=cut_us)


def _moments(data, begins, splits, ends):
    """The first event of each moment in [split, end) of users, but for the
    one that starts at `begins`."""
    sizes = ends - splits
    events = np.arange(sizes.sum()) + np.repeat(
        splits - (np.cumsum(sizes) - sizes), sizes)
    events = events[events > np.repeat(begins, sizes)]
    return events[data.times_us[events] != data.times_us[events - 1]]


def _filled(data, firsts, ends, count):
    """Rising first events of moments: `firsts`, and so many in all, as far as
    there are, drawn from those that follow up to each one's end."""
    if len(firsts) >= count:
        return firsts
    further = _moments(data, firsts, firsts, ends)
    drawn = np.random.default_rng(2).choice(
        further, min(len(further), count - len(firsts)), replace=False)
    return np.sort(np.concatenate([firsts, drawn]))


def _targets(data, at, end):
    """The first event of each item of the moment that starts at `at`."""
    stop = at + int(np.searchsorted(data.times_us[at:end], data.times_us[at],
                                    side='right'))
    return at + np.unique(data.items[at:stop], return_index=True)[1]


def _to_find(data, starts, at, targets, known):
    """The fields of Cases that say what is to be found."""
    new = _are_new(data, np.concatenate(targets), known) if targets else []
    ends = np.cumsum([len(events) for events in targets])
    return {'targets': targets,
            'baskets': [data.rows[events] for events in targets],
            'repeats': [np.isin(data.items[events], data.items[start:stop])
                        for start, stop, events in zip(starts, at, targets)],
            'new': np.split(new, ends[:-1]) if targets else []}


def _rows_of(data, known):
    """Which rows [N + 1] the events of a mask [E] have."""
    had = np.zeros(len(data.item_ids) + 1, bool)
    for part in dataset.slices(data.num_events):
        had[data.rows[part][known[part]]] = True
    return had


def _are_new(data, events, known):
    """Whether nobody had the items of events [n], among the events of a mask
    [E]."""
    rows, items = data.rows[events], data.items[events]
    had = _rows_of(data, known)[rows]
    rare = np.unique(items[rows == 0])  # Row 0 is of many items.
    had_rare = np.zeros(len(rare), bool)
    for part in dataset.slices(data.num_events if len(rare) else 0):
        outside = known[part] & (data.rows[part] == 0)
        had_rare |= np.isin(rare, data.items[part][outside])
    had[rows == 0] = had_rare[np.searchsorted(rare, items[rows == 0])]
    return ~had


def last(data, users=None):
    """Leave-one-out: users' last events; users: as after() has them."""
    users = np.arange(len(data.users)) if users is None else users
    ends = data.offsets[users + 1] - 1
    lengths = ends - data.offsets[users]
    asked = lengths > 0
    users, ends, lengths = users[asked], ends[asked], lengths[asked]
    seconds = buckets.seconds_between(data.times_us[ends - 1],
                                      data.times_us[ends])
    starts = ends - lengths
    known = data.is_before_last(1)
    return Cases(data.users[users], starts, lengths,
                 buckets.gap_bucket(seconds), data.context_rows[ends],
                 **_to_find(data, starts, ends, list(ends[:, None]), known),
                 known=known, exclude_seen=True)
