"""How much of its start a trained model keeps, chosen on the validation part.

Where data teach little, a mean of what a model began as and what it learned
ranks better than either (Wortsman et al. 2022, arXiv 2109.01903); where they
teach much, it costs what they taught. The validation part tells which.
"""

import torch

from trainer import stopping

# Tried in this order: of equal ones the first is kept.
SHARES = (0., .25, .5)


def first_weights(model):
    """The model's parameters as they are, for choose()."""
    return [value.detach().clone() for value in model.parameters()]


@torch.no_grad()
def choose(model, first, best, validate):
    """Mixes the share of `first` that validates best into the model's weights,
    which are those of the record `best`. Says so there: its validation becomes
    that of the mixture, 'start_share' the share.

    validate: a function of the model that returns metrics.
    """
    learned = first_weights(model)
    found = [(0., best['validation'])]
    for share in SHARES[1:]:
        mix(model.parameters(), learned, first, share)
        found.append((share, validate(model)))
    share, validation = max(found, key=lambda tried: stopping.figure(tried[1]))
    mix(model.parameters(), learned, first, share)
    best.update(start_share=share, validation=validation)


@torch.no_grad()
def mix(parameters, learned, first, share):
    """Sets parameters to (1 - share) learned + share first."""
    for value, end, begin in zip(parameters, learned, first):
        # Not a difference, and nothing times 0: some values are infinite.
        value.copy_(end if share == 0 else (1 - share) * end + share * begin)
