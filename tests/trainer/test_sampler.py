"""Negatives come as often as the sampler says, and stand for the catalogue."""

import math

import numpy as np
import pytest
import torch

import tiny_batches
from trainer import sampler as sampler_lib

NUM_ROWS = 13
# Standard deviations that a count may be off: one of 10^4 counts is by luck.
FAR = 5


def _sampler(source, **training):
    return sampler_lib.Sampler(source.item_counts(),
                               tiny_batches.config(**training).training)


def _counts(rows):
    """How often each row [..., C] is drawn: [..., NUM_ROWS]."""
    return torch.nn.functional.one_hot(rows, NUM_ROWS).sum(-2)


def _assert_as_often_as_said(drawn, said, draws):
    """drawn: counts of all draws; said: expected counts of one draw."""
    expected = draws * said
    # A count of a mixture's draws spreads at most as a Poisson variable does.
    far = FAR * expected.sqrt() + FAR
    assert ((drawn - expected).abs() <= far).all(), (drawn, expected)
    assert float(said.sum()) == pytest.approx(round(float(said.sum())))


@pytest.mark.parametrize('popular, history', [
    (.33, .33), (0., 0.), (.8, 0.), (0., .8)])
def test_a_draw_has_the_counts_that_it_says(popular, history):
    torch.manual_seed(1)
    source, batch = tiny_batches.whole(tiny_batches.data([9, 5]))
    sampler = _sampler(source, negatives=30, popular_share=popular,
                       history_share=history)
    positions = torch.tensor([[0, 3, 8], [4, 1, 0]])
    drawn = torch.zeros(2, 3, NUM_ROWS)
    said = torch.zeros(2, 3, NUM_ROWS)
    draws = 1_000
    for _ in range(draws):
        rows, log_expected = sampler.draw(batch, positions)
        assert rows.shape == log_expected.shape == (2, 3, 30)
        drawn += _counts(rows)
        said.scatter_(2, rows, log_expected.exp())
    # What is never drawn is what cannot be.
    assert ((said > 0) == (drawn > 0)).all()
    _assert_as_often_as_said(drawn, said, draws)


def test_a_draw_does_not_look_beyond_its_position():
    torch.manual_seed(1)
    events = tiny_batches.data([12], unknown=0.)
    events.rows[:] = np.arange(1, 13)
    source, batch = tiny_batches.whole(events)
    sampler = _sampler(source, negatives=64, popular_share=0.,
                       history_share=.5)
    rows, log_expected = sampler.draw(batch, torch.tensor([[3]]))
    own, said = rows[0, 0, 32:], log_expected[0, 0, 32:].exp()
    assert set(own.tolist()) == {1, 2, 3, 4}
    assert torch.allclose(said, torch.tensor(32 / 4 + 32 / NUM_ROWS))


def test_shared_negatives_have_the_counts_that_they_say():
    torch.manual_seed(1)
    source, _ = tiny_batches.whole(tiny_batches.data([40, 30]))
    sampler = _sampler(source, dot_negatives=51)
    draws = 2_000
    weights, evenly = torch.zeros(2, draws, NUM_ROWS)
    for draw in range(draws):
        shared = sampler.shared()
        assert (shared.rows.diff() > 0).all()
        weights[draw, shared.rows] = shared.log_weights.exp()
        evenly[draw, shared.rows] = shared.uniform_share
    # In the mean an item stands for itself, and uniform draws are even.
    for found, wanted in ((weights, 1.), (evenly, 1 / NUM_ROWS)):
        error = found.std(0) / math.sqrt(draws)
        assert ((found.mean(0) - wanted).abs() < FAR * error).all()
        assert (error < .02 * wanted).all()
    assert torch.allclose(evenly.sum(1), torch.tensor(1.))
    # Whole counts: the popular ones are drawn more often than evenly.
    assert (26 * evenly).round().sum() == 26 * draws


def test_shared_negatives_are_found():
    shared = sampler_lib.Shared(torch.tensor([2, 3, 7]), None, None)
    place, found = shared.find(torch.tensor([7, 1, 3, 9, 2]))
    assert found.tolist() == [True, False, True, False, True]
    assert place[found].tolist() == [2, 1, 0]


def test_without_a_known_item_all_negatives_are_uniform():
    events = tiny_batches.data([5, 4])
    events.rows[:] = 0
    source, batch = tiny_batches.whole(events)
    sampler = _sampler(source, negatives=9, history_share=0.)
    rows, log_expected = sampler.draw(batch, torch.tensor([[1], [2]]))
    assert rows.shape == (2, 1, 9)
    assert torch.allclose(log_expected,
                          torch.tensor(math.log(9 / NUM_ROWS)))
    assert torch.allclose(sampler.shared().uniform_share.sum(),
                          torch.tensor(1.))


@pytest.mark.parametrize('how', ['draw', 'shared'])
def test_a_corrected_sum_has_the_whole_sums_expectation(how):
    """E[sum of exp(logit - log expected count)] = sum over the catalogue."""
    torch.manual_seed(3)
    source, batch = tiny_batches.whole(tiny_batches.data([9, 5]))
    sampler = _sampler(source, negatives=16, dot_negatives=16)
    weights = torch.randn(NUM_ROWS, dtype=torch.float64).exp()
    positions = torch.tensor([[0, 8], [4, 1]])
    sums = []
    for _ in range(2_000):
        if how == 'draw':
            rows, log_expected = sampler.draw(batch, positions)
        else:
            shared = sampler.shared()
            rows, log_expected = shared.rows, -shared.log_weights
        sums.append((weights[rows].log() - log_expected).exp().sum(-1))
    sums = torch.stack(sums)
    error = sums.std(0) / math.sqrt(len(sums))
    assert ((sums.mean(0) - weights.sum()).abs() < FAR * error).all()
    # A bound that says something.
    assert (error < .01 * weights.sum()).all()
