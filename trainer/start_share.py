"""How much of its start a trained model keeps, chosen on the validation part.

Where data teach little, a mean of what a model began as and what it learned
ranks better than either (Wortsman et al. 2022, arXiv 2109.01903); where they
teach much, it costs what they taught. The validation part tells which.
"""

import contextlib

import torch

from trainer import stopping

# Tried in this order: of equal ones the first is kept.
SHARES = (0., .25, .5)


def first_weights(model):
    """The model's parameters as they are, for best()."""
    return [value.detach().clone() for value in model.parameters()]


@contextlib.contextmanager
def best(model, first, validate):
    """Inside the block the model has the mixture of what it learned and `first`
    that validates best. Yields (its validation, its share of `first`).

    Every validation of a training asks this, not the last alone: with a part of
    its start a model is best after more steps than without, so that mixtures of
    the step that is best without would be compared with that step's own luck.

    validate: a function of the model that returns metrics.
    """
    learned = first_weights(model)
    try:
        found = []
        for share in SHARES:
            mix(model.parameters(), learned, first, share)
            found.append((validate(model), share))
        validation, share = max(
            found, key=lambda tried: stopping.figure(tried[0]))
        mix(model.parameters(), learned, first, share)
        yield validation, share
    finally:
        mix(model.parameters(), learned, first, 0)


@torch.no_grad()
def mix(parameters, learned, first, share):
    """Sets parameters to (1 - share) learned + share first."""
    for value, end, begin in zip(parameters, learned, first):
        # Not a difference, and nothing times 0: some values are infinite.
        value.copy_(end if share == 0 else (1 - share) * end + share * begin)
