"""How good rankings are, and the rankings that need no model.

`found` is everywhere an evaluate.Cases, `top` rows [users, TOP], best first;
row 0 stands for nothing.
"""

import numpy as np

# Length of a ranking; all metrics but hit@50 look at its first 10.
TOP = 50
_SHORT = 10


def metrics(top, found):
    """Mean hit, precision, recall and NDCG at 10, and hit at 50."""
    totals = np.zeros(5)
    discount = 1 / np.log2(np.arange(2, _SHORT + 2))
    for rows, basket, size in zip(top, found.baskets, found.sizes):
        everywhere = np.isin(rows, basket[basket > 0])
        hits = everywhere[:_SHORT]
        ideal = discount[:min(size, _SHORT)].sum()
        totals += [hits.any(), hits.sum() / _SHORT, hits.sum() / size,
                   (hits * discount[:len(hits)]).sum() / ideal,
                   everywhere.any()]
    names = ('hit@10', 'precision@10', 'recall@10', 'ndcg@10', 'hit@50')
    return dict(zip(names, (totals / max(1, len(top))).tolist()))


def ranks(top, found):
    """{user: place of the first item to find, 0 if not in the ranking}."""
    result = {}
    for user, rows, basket in zip(found.users, top, found.baskets):
        places = np.flatnonzero(np.isin(rows, basket[basket > 0]))
        result[str(user)] = int(places[0]) + 1 if len(places) else 0
    return result


def baselines(data, found):
    """Metrics of rankings without a model, from events before the cases."""
    counts = np.bincount(found.known_rows,
                         minlength=len(data.item_ids) + 1).astype(float)
    counts[0] = -1
    result = {'popularity': metrics(
        [_best(counts, data.rows[start:start + length] if found.exclude_seen
               else [0]) for start, length in zip(found.starts, found.lengths)],
        found)}
    if not found.exclude_seen:
        result['own history'] = metrics(
            [_own_favourites(data, counts, start, length) for start, length in
             zip(found.starts, found.lengths)], found)
    return result


def _own_favourites(data, counts, start, length):
    """A user's own most frequent items; popularity fills up."""
    own = counts / (counts.max() + 1)
    np.add.at(own, data.rows[start:start + length], 1)
    return _best(own, [0])


def _best(values, without):
    """The rows of the highest values, but for some."""
    values = values.copy()
    values[without] = -1
    best = np.argpartition(-values, min(TOP, len(values) - 1))[:TOP]
    best = best[np.argsort(-values[best], kind='stable')]
    return best[values[best] >= 0]
