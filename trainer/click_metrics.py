"""How good and how honest predicted probabilities of a label are.

Arrays are [N]: labels are 0 or 1, logits are any numbers.
"""

import numpy as np

BINS = 20


def auc(labels, scores):
    """Chance that a 1 has a higher score than a 0; a tie counts for half.

    NaN without both a 1 and a 0.
    """
    labels = np.asarray(labels) > .5
    positives, negatives = labels.sum(), (~labels).sum()
    if positives == 0 or negatives == 0:
        return float('nan')
    _, inverse, counts = np.unique(scores, return_inverse=True,
                                   return_counts=True)
    # Equal scores share the mean of their ranks.
    ranks = np.cumsum(counts) - (counts - 1) / 2
    total = ranks[inverse][labels].sum()
    return float((total - positives * (positives + 1) / 2) /
                 (positives * negatives))


def log_loss(labels, logits):
    """Mean of -log of the probability given to what happened."""
    logits = np.asarray(logits, np.float64)
    return float(np.mean(np.logaddexp(0, logits) - labels * logits))


def normalised_entropy(labels, logits):
    """Log loss over that of always predicting the mean (He et al. 2014).

    Below 1 is better than knowing the mean rate. NaN if all labels are equal.
    """
    rate = float(np.mean(labels))
    if rate in (0., 1.):
        return float('nan')
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    return log_loss(labels, logits) / entropy


def calibration(labels, logits):
    """Predicted over observed positives: 1 is right on average. NaN without a
    positive."""
    observed = np.sum(labels)
    if not observed:
        return float('nan')
    return float(_probabilities(logits).sum() / observed)


def reliability(labels, logits, bins=BINS):
    """Bins of equal mass by prediction: (mean predicted, observed, count)."""
    predicted = _probabilities(logits)
    order = np.argsort(predicted, kind='stable')
    return [(float(predicted[part].mean()), float(labels[part].mean()),
             len(part)) for part in np.array_split(order, bins) if len(part)]


def summary(labels, logits):
    """All of the above as a dict that JSON can hold."""
    labels = np.asarray(labels, np.float64)
    return {'auc': round(auc(labels, logits), 5),
            'ne': round(normalised_entropy(labels, logits), 5),
            'calibration': round(calibration(labels, logits), 4),
            'rate': round(float(labels.mean()), 5), 'labels': len(labels),
            'reliability': [[round(p, 5), round(o, 5), n] for p, o, n in
                            reliability(labels, logits)]}


def _probabilities(logits):
    return np.exp(-np.logaddexp(0, -np.asarray(logits, np.float64)))
