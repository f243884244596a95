"""What is popular now, for a model that learned from all of the past.

A model's ranking is P(item | user) over the whole time it was trained on. Where
what is popular moves (new films, new songs), each item is multiplied at the end
by how much more of it there was lately than over the whole time: the rule of
Bayes for another prior.
"""

import numpy as np

# An item counts as if there had been so many of it lately at its usual rate:
# what is rare does not move by chance.
_USUAL = 3.
_DAY_US = 86_400_000_000


def shift(data, days):
    """What to add to the item biases [N + 1], float32: the logarithm of how
    much more often than usual an item was in the last `days` of a Dataset."""
    size = len(data.item_ids) + 1
    if not days or not data.num_events:
        return np.zeros(size, np.float32)
    since_us = data.times_us.max() - days * _DAY_US
    every = np.bincount(data.rows, minlength=size)
    late = np.bincount(data.rows[data.times_us >= since_us], minlength=size)
    usual = every * (late.sum() / every.sum())
    found = np.log((late + _USUAL) / (usual + _USUAL))
    found[0] = 0  # Of many items, and ranked nowhere.
    return found.astype(np.float32)
