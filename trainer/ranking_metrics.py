"""How good rankings are.

`found` is everywhere an cases.Cases, `top` rows [cases, TOP], best first;
row 0 stands for nothing.
"""

import numpy as np

# Length of a ranking; all metrics but hit@50 look at its first 10.
TOP = 50
_SHORT = 10
MEASURES = ('hit@10', 'precision@10', 'recall@10', 'ndcg@10', 'hit@50')
# Targets by whether the user had the item before, or nobody had, and what is
# told of each.
KINDS = {'repeat': lambda found: found.repeats,
         'first time': lambda found: [~repeats for repeats in found.repeats],
         'new item': lambda found: found.new}
OF_KINDS = ('hit@10', 'ndcg@10')


def metrics(top, found):
    """Means over cases: {measure: mean, 'standard errors': {measure: error}}.

    And of each of KINDS, if there are such targets, {'users': n, 'moments': n,
    ...} of OF_KINDS: only they are to be found then, and cases without any are
    left out.
    """
    values = np.array([_measures(rows, basket) for rows, basket in
                       zip(top, found.baskets)]).reshape(-1, len(MEASURES))
    result = _summary(MEASURES, values, found.users)
    columns = [MEASURES.index(name) for name in OF_KINDS]
    for kind, wanted_of in KINDS.items():
        wanted = wanted_of(found)
        asked = [index for index, chosen in enumerate(wanted) if chosen.any()]
        if asked:
            values = np.array([_measures(
                top[index], found.baskets[index][wanted[index]])
                for index in asked])
            users = found.users[asked]
            result[kind] = {
                'users': len(set(users)), 'moments': len(users),
                **_summary(OF_KINDS, values[:, columns], users)}
    return result


def _measures(rows, basket):
    """MEASURES of one ranking."""
    discount = 1 / np.log2(np.arange(2, _SHORT + 2))
    everywhere = np.isin(rows, basket[basket > 0])
    hits = everywhere[:_SHORT]
    return [hits.any(), hits.sum() / _SHORT, hits.sum() / len(basket),
            (hits * discount[:len(hits)]).sum() /
            discount[:min(len(basket), _SHORT)].sum(), everywhere.any()]


def _summary(names, values, users):
    return {**dict(zip(names, values.mean(0).tolist())),
            'standard errors': dict(zip(names, standard_errors(values, users)))}


def standard_errors(values, users):
    """Of the means of values [cases, .], whose users are drawn, not cases.

    Clustered: a user's distances from the mean are added up before they are
    squared. With one case a user these are the usual ones. None each where
    there is one user.
    """
    _, codes = np.unique(users, return_inverse=True)
    count = codes.max() + 1
    if count < 2:
        return [None] * values.shape[1]
    sums = np.zeros((count, values.shape[1]))
    np.add.at(sums, codes, values - values.mean(0))
    return (np.sqrt(count / (count - 1) * (sums ** 2).sum(0)) /
            len(values)).tolist()
