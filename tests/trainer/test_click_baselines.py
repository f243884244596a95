"""Click-rate baselines against rates counted by hand."""

import numpy as np
import pytest

from trainer import click_baselines


def _logit(rate):
    return np.log(rate / (1 - rate))


def test_item_rates_are_smoothed_towards_the_mean():
    rows = np.array([1, 1, 1, 2])
    labels = np.array([1., 1, 0, 0])
    found = click_baselines.item_logits(rows, labels, 2, num_rows=4)
    expected = [.5, (2 + 1) / 5, (0 + 1) / 3, .5]
    assert found == pytest.approx(_logit(np.array(expected)))


def test_items_in_contexts_start_from_what_both_say():
    rows, context = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 0])
    labels = np.array([1., 0, 1, 0])
    found = click_baselines.item_context_logits(rows, context, labels, 1,
                                                (2, 3))
    item = (1 + .5) / 3  # Of either item; the mean is 1/2.
    tab = [(2 + .5) / 4, (0 + .5) / 2, .5]
    prior = [1 / (1 + np.exp(-_logit(item) - _logit(rate))) for rate in tab]
    assert found[0] == pytest.approx([
        _logit((1 + prior[0]) / 2), _logit(prior[1] / 2), _logit(prior[2])])
    assert found[1] == pytest.approx([
        _logit((1 + prior[0]) / 3), _logit(prior[1]), _logit(prior[2])])
