"""What trainer/recipe.py has to know of the events that a model learns from."""

import dataclasses

import numpy as np

from trainer import dataset

# Of more events than this, those of every k-th user are looked at.
_LOOKED_AT = 4_000_000
# Quantiles of the time until an item comes again.
_RETURNS = (.2, .5, .75, .97)
# Fewer returns than this say nothing of when items come again.
_FEW = 100


@dataclasses.dataclass(frozen=True)
class Facts:
    """Of the events before what is held out.

    events, users, items: how many; users of two events or more, different
    items, rare ones too. rows: the most items that a model can know, those of
    an item table that nobody had too. repeat_share: of the events whose user had the item
    in an earlier moment. moment_size: mean events of a moment. return_s:
    seconds after which 20, 50, 75 and 97 % of the items that came again had
    come again, () where hardly any did. rare_repeats [k]: share of the repeats
    whose item has fewer than k + 1 events. labelled: every task has labels, so
    that nothing is to be found in the catalogue.
    """
    events: int
    users: int
    items: int
    rows: int = 0
    repeat_share: float = 0.
    moment_size: float = 1.
    return_s: tuple = ()
    rare_repeats: tuple = ()
    labelled: bool = False


def facts_of(data):
    """The Facts of a Dataset, whose held-out events are not looked at."""
    known = np.ones(data.num_events, bool)
    if data.cut_us >= 0:
        known = np.asarray(data.times_us) < data.cut_us
    counted = np.diff(dataset.counted_before(known, data.offsets))
    events = int(counted.sum())
    every = max(1, -(-events // _LOOKED_AT))
    users = np.arange(len(counted), dtype=np.int32)
    chosen = users % every == 0
    looked = known & np.repeat(chosen, np.diff(data.offsets))
    facts = _of_events(np.repeat(users[chosen], counted[chosen]),
                       data.items[looked], data.times_us[looked], data.ordered)
    if every > 1:  # Of all events, no item is as rare as in a part of them.
        facts.update(rare_repeats=(), items=len(data.item_ids))
    labels = ~np.isnan(data.labels[looked])
    return Facts(events=events, users=int((counted >= 2).sum()),
                 rows=max(len(data.item_ids), facts['items']),
                 labelled=bool(labels.any(0).all()) and events > 0, **facts)


def _of_events(users, items, times_us, ordered):
    """{field of Facts: value} of events [E] in order of user and time."""
    if not len(users):
        return {'items': 0}
    new = np.ones(len(users), bool)
    new[1:] = (users[1:] != users[:-1]) | (times_us[1:] != times_us[:-1]) | (
        ordered)
    first = np.maximum.accumulate(np.where(new, np.arange(len(new)), 0))
    _, codes, counts = np.unique(items, return_inverse=True,
                                 return_counts=True)
    previous = _previous(users, codes)
    again = np.flatnonzero(previous >= 0)
    again = again[previous[again] < first[again]]
    since_s = (times_us[again] - times_us[previous[again]]) // 1_000_000
    of_repeats = counts[codes[again]]
    return {
        'items': len(counts), 'repeat_share': len(again) / len(users),
        'moment_size': float(len(users) / new.sum()),
        'return_s': _returns(since_s),
        'rare_repeats': tuple(float((of_repeats <= k).mean())
                              if len(again) else 0. for k in range(5))}


def _previous(users, items):
    """Of events in order of user and time, the place of the user's event
    before with the same item; -1 if there is none."""
    order = np.lexsort((items, users))  # Stable: in order of time.
    users, items = users[order], items[order]
    same = (users[1:] == users[:-1]) & (items[1:] == items[:-1])
    previous = np.full(len(order), -1)
    previous[order[1:][same]] = order[:-1][same]
    return previous


def _returns(since_s):
    if len(since_s) < _FEW:
        return ()
    return tuple(int(second) for second in
                 np.quantile(since_s, _RETURNS, method='lower'))
