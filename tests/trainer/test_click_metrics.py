"""Click metrics against their definitions, counted one by one."""

import numpy as np
import pytest

from trainer import click_metrics


def _sample(seed, distinct=None):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=300)
    if distinct:
        logits = np.round(logits * distinct) / distinct
    labels = (rng.random(300) < 1 / (1 + np.exp(-logits))).astype(float)
    return labels, logits


@pytest.mark.parametrize('distinct', [None, 1, 3])
def test_auc_counts_pairs_and_halves_ties(distinct):
    labels, logits = _sample(1, distinct)
    wins = pairs = 0
    for positive in logits[labels == 1]:
        for negative in logits[labels == 0]:
            wins += (positive > negative) + .5 * (positive == negative)
            pairs += 1
    assert click_metrics.auc(labels, logits) == pytest.approx(wins / pairs)


def test_auc_of_order_and_of_no_order():
    assert click_metrics.auc([0, 0, 1], [1, 2, 3]) == 1
    assert click_metrics.auc([0, 1], [5, 5]) == .5
    assert np.isnan(click_metrics.auc([1, 1], [1, 2]))


def test_normalised_entropy_is_log_loss_over_that_of_the_mean():
    labels, logits = _sample(2)
    p = 1 / (1 + np.exp(-logits))
    loss = -np.mean(labels * np.log(p) + (1 - labels) * np.log(1 - p))
    rate = labels.mean()
    base = -np.mean(labels * np.log(rate) + (1 - labels) * np.log(1 - rate))
    assert click_metrics.log_loss(labels, logits) == pytest.approx(loss)
    assert click_metrics.normalised_entropy(labels, logits) == (
        pytest.approx(loss / base))
    always = np.full(300, np.log(rate / (1 - rate)))
    assert click_metrics.normalised_entropy(labels, always) == (
        pytest.approx(1))
    assert np.isfinite(click_metrics.log_loss(labels, 1e4 * logits))


def test_calibration_is_predicted_over_observed():
    labels = np.array([1., 0, 0, 1])
    assert click_metrics.calibration(labels, np.zeros(4)) == pytest.approx(1)
    assert click_metrics.calibration(labels, np.full(4, 30.)) == (
        pytest.approx(2))
    assert np.isnan(click_metrics.calibration(np.zeros(4), np.zeros(4)))


def test_reliability_bins_have_equal_mass():
    labels, logits = _sample(3)
    bins = click_metrics.reliability(labels, logits, bins=7)
    counts = [count for _, _, count in bins]
    assert sum(counts) == 300 and max(counts) - min(counts) <= 1
    predicted = [p for p, _, _ in bins]
    assert predicted == sorted(predicted)
    observed = sum(o * count for _, o, count in bins)
    assert observed == pytest.approx(labels.sum())
