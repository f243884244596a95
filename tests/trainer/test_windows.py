"""Windows and batches: what is covered, how often, and what is padding."""

import numpy as np
import pytest
import torch

import tiny_batches
from trainer import batches

COUNTS = [1, 2, 3, 7, 20, 21, 64, 90]


def _training(**values):
    return tiny_batches.config(window=20, **values).training


def _offsets(counts):
    return np.concatenate([[0], np.cumsum(counts)])


def _windows(counts, draws, **training):
    """(user, start in the history, length) of many epochs' windows."""
    offsets, rng = _offsets(counts), np.random.default_rng(1)
    found = []
    for _ in range(draws):
        starts, lengths = batches.windows(offsets, _training(**training), rng)
        users = np.searchsorted(offsets, starts, side='right') - 1
        found += zip(users, starts - offsets[users], lengths)
    return np.array(found)


def test_without_random_windows_everybody_has_the_end_of_their_history():
    found = _windows(COUNTS, 1, random_windows=0.)
    assert [tuple(row) for row in found] == [
        (user, count - min(count, 20), min(count, 20))
        for user, count in enumerate(COUNTS) if count >= 2]


def test_a_window_is_of_one_user_and_has_something_to_predict():
    found = _windows(COUNTS, 200, random_windows=1.)
    counts = np.array(COUNTS)[found[:, 0]]
    assert (found[:, 1] >= 0).all()
    assert (found[:, 2] >= 2).all() and (found[:, 2] <= 20).all()
    assert (found[:, 1] + found[:, 2] <= counts).all()
    # Nobody with two events is left out of any epoch.
    assert (np.bincount(found[:, 0], minlength=len(COUNTS)) == [
        0, *[200] * 7]).all()


@pytest.mark.parametrize('share', [0., .3, 1.])
def test_so_many_windows_are_random(share):
    draws = 4_000
    found = _windows([90], draws, random_windows=share)
    starts = np.bincount(found[:, 1], minlength=71)
    # 71 starts are equally likely; the last is where the end's window is.
    expected = np.full(71, share * draws / 71)
    expected[70] += (1 - share) * draws
    assert (np.abs(starts - expected) <= 5 * np.sqrt(expected)).all()


def test_short_histories_lose_up_to_half_of_their_beginning():
    found = _windows([7], 2_000, random_windows=1.)
    assert set(found[:, 1]) == {0, 1, 2, 3}
    assert (found[:, 1] + found[:, 2] == 7).all()
    assert set(_windows([2], 50, random_windows=1.)[:, 1]) == {0}


def test_long_histories_have_several_windows():
    found = _windows(COUNTS, 2_000, random_windows=.5, windows_per_user=3)
    windows = np.bincount(found[:, 0], minlength=len(COUNTS)) / 2_000
    # As many as cover the history, and no short history twice.
    assert windows.tolist() == [0, 1, 1, 1, 1, 2, 3, 3]
    # The first of three may be the end, at half of the times; all others are
    # random, of 71 starts.
    ends = (found[found[:, 0] == 7, 1] == 70).mean()
    assert ends == pytest.approx((.5 + .5 / 71 + 2 / 71) / 3, abs=.02)


@pytest.mark.parametrize('fixed', [False, True])
@pytest.mark.parametrize('windows_per_user', [1, 4])
def test_an_epoch_has_every_window_once(fixed, windows_per_user):
    data = tiny_batches.data([*COUNTS, *range(2, 40)])
    training = _training(batch_events=80, batch_samples=6, random_windows=.5,
                         windows_per_user=windows_per_user)
    source = batches.Source(data, 'cpu')
    wanted = sorted(zip(*(values.tolist() for values in batches.windows(
        data.offsets, training, np.random.default_rng(7)))))
    found, shapes, count = [], set(), 0
    for batch in batches.epoch(source, training, np.random.default_rng(7),
                               fixed):
        count += 1
        shapes.add(tuple(batch.rows.shape))
        assert batch.rows.shape[0] <= 6
        assert batch.rows.numel() <= 80 or batch.rows.shape[0] == 1
        _check_padding(source, batch)
        lengths = batch.valid.sum(1)
        found += [(int(events[0]), int(length)) for events, length in
                  zip(batch.events, lengths) if length >= 2]
    assert sorted(found) == wanted
    if fixed:
        assert {width for _, width in shapes} <= {5, 10, 20}
        assert len(shapes) <= 3
    # Random windows of short histories are shorter: batches hold more.
    said = batches.count_batches(data.offsets, training, fixed)
    assert count - 2 <= said <= 1.2 * count + 1


def _check_padding(source, batch):
    """A row is events in order, then its last event again, which is not
    valid; every column is of those events."""
    lengths = batch.valid.sum(1, keepdim=True)
    columns = batch.valid.cumsum(1) * batch.valid
    assert (batch.valid == (columns > 0)).all()
    assert (columns[:, 0] == 1).all()
    steps = batch.events - batch.events[:, :1]
    place = columns.clamp_min(0) - 1
    assert ((steps == place) | ~batch.valid).all()
    assert ((steps == lengths - 1) | batch.valid).all()
    assert (batch.rows == source.column('rows', batch.events)).all()
