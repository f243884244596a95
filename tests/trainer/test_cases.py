"""Cases and rankings of random data sets are those of the plain form, however
few events are looked at together."""

import dataclasses

import numpy as np
import pytest

import plain_cases
import tiny_batches
from trainer import baselines
from trainer import candidate_features
from trainer import cases
from trainer import dataset
from trainer import evaluations


@pytest.fixture(params=[7, 1 << 22], ids=['slices of 7', 'one slice'])
def slices(request, monkeypatch):
    monkeypatch.setattr(dataset, '_CHUNK', request.param)


def _data(seed):
    """Users without events, ties, items outside the catalogue, features."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 12, rng.integers(1, 9)) * (
        rng.random() < .9)
    data = tiny_batches.data(counts.tolist() if counts.any() else [3],
                             unknown=.3, seed=seed, ordered=rng.random() < .3)
    events = data.num_events
    # As if each had been read: an unknown item is one of several.
    items = np.where(data.rows > 0, data.items, 1_000 + rng.integers(0, 5, (
        events)).astype(np.uint64))
    # Users overlap in time.
    first = rng.integers(0, 30_000, len(data.users)) * 1_000_000
    return dataclasses.replace(
        data, items=items, times_us=data.times_us + np.repeat(
            first, np.diff(data.offsets)),
        context_rows=rng.integers(0, 5, (events, 2)).astype(np.int16),
        candidate_features=rng.random((events, 2)).astype(np.float32),
        item_features=rng.random((len(data.item_ids) + 1, 1)).astype(
            np.float32), column_names={
                **data.column_names, 'candidate_features': ['price', 'size'],
                'item_features': ['size']})


def _cut_us(data, seed):
    return int(np.random.default_rng(seed).choice(data.times_us))


def _check(found, wanted):
    for name, values in wanted.items():
        mine = getattr(found, name)
        assert len(mine) == len(values), name
        for one, other in zip(mine, values):
            np.testing.assert_array_equal(one, other, err_msg=name)


@pytest.mark.parametrize('seed', range(40))
@pytest.mark.parametrize('every_moment', [False, True])
def test_cases_at_a_cut(seed, every_moment, slices):
    data = _data(seed)
    cut_us = _cut_us(data, seed)
    wanted = plain_cases.cases(data, cut_us, every_moment)
    _check(cases.after(data, cut_us, every_moment=every_moment), wanted)
    users = np.flatnonzero(np.random.default_rng(seed).random(
        len(data.users)) < .5)
    kept = np.flatnonzero(np.isin(wanted['users'], data.users[users]))
    some = cases.after(data, cut_us, every_moment=every_moment, users=users)
    _check(some, {name: values if name == 'known' else
                  [values[at] for at in kept]
                  for name, values in wanted.items()})


@pytest.mark.parametrize('seed', range(40))
def test_further_moments_are_of_users_with_a_first_one(seed, slices):
    data = _data(seed)
    cut_us = _cut_us(data, seed)
    firsts = plain_cases.cases(data, cut_us)
    every = plain_cases.cases(data, cut_us, every_moment=True)
    theirs = [at for at, user in enumerate(every['users'])
              if user in firsts['users']]
    count = int(np.random.default_rng(seed).integers(0, 12))
    found = cases.after(data, cut_us, fill_to=count)

    def moments(users, lengths):
        return list(zip(users.tolist(), lengths.tolist()))
    asked = moments(found.users, found.lengths)
    where = moments(every['users'], every['lengths'])
    chosen = [where.index(moment) for moment in asked]
    assert len(set(asked)) == max(len(firsts['users']),
                                  min(count, len(theirs)))
    assert set(moments(firsts['users'], firsts['lengths'])) <= set(asked)
    assert set(chosen) <= set(theirs) and chosen == sorted(chosen)
    _check(found, {name: values if name == 'known' else
                   [values[at] for at in chosen]
                   for name, values in every.items()})


@pytest.mark.parametrize('seed', range(20))
def test_cases_of_last_events(seed, slices):
    data = _data(seed)
    wanted = plain_cases.last_cases(data)
    _check(cases.last(data), wanted)
    _check(cases.last(data, np.arange(1)), {
        name: values if name == 'known' else
        [value for value, user in zip(values, wanted['users'])
         if user == data.users[0]] for name, values in wanted.items()})


@pytest.mark.parametrize('seed', range(20))
def test_features_of_items(seed, slices):
    data = _data(seed)
    known = np.random.default_rng(seed).random(data.num_events) < .7
    np.testing.assert_allclose(
        candidate_features.of_items(data, known),
        plain_cases.features_of_items(data, known), rtol=1e-6)


@pytest.mark.parametrize('seed', range(30))
@pytest.mark.parametrize('last', [False, True], ids=['cut', 'last'])
def test_baselines(seed, last, slices, monkeypatch):
    data = _data(seed)
    monkeypatch.setattr(baselines, 'RECENT_DAYS', .1)
    found = cases.last(data) if last else cases.after(
        data, _cut_us(data, seed), every_moment=True)
    half_life_us = 5_000 * 1_000_000
    made = baselines.Baselines(data, found, half_life_us / 86_400_000_000)
    length = 6
    wanted = plain_cases.rankings(data, found, length, half_life_us,
                                  .1 * 86_400_000_000)
    tops = made.rankings(length)
    for name, rankings in wanted.items():
        for row, ranking in zip(tops[name], rankings, strict=True):
            assert made.item_ids[row[row > 0] - 1].tolist() == ranking, name
    for events, rows in zip(found.targets, made.cases.baskets):
        assert (made.item_ids[rows - 1] == data.items[events]).all()


def test_items_are_new_by_their_ids_in_the_catalogue_and_outside(slices):
    data = tiny_batches.data([4, 4], unknown=0.)
    data.items[:] = [101, 900, 102, 901, 103, 902, 101, 900]
    data.rows[:] = [2, 0, 3, 0, 4, 0, 2, 0]
    data.times_us[:] = [1, 2, 5, 5, 1, 2, 6, 6]
    found = cases.after(data, 4)
    assert [list(new) for new in found.new] == [[True, True], [False, False]]


def test_of_more_users_some_are_drawn_and_labels_are_theirs():
    data = tiny_batches.data([6] * 50, unknown=0.)
    cut_us = int(np.median(data.times_us))
    asked = cases.after(data, cut_us).users
    held_out = data.times_us >= cut_us
    for most in (5, len(asked) - 1):
        users, theirs = evaluations._drawn(data, held_out, most)
        assert len(set(users)) == most
        assert set(data.users[users]) < set(asked)
        owner = np.repeat(np.arange(50), 6)
        assert (theirs == (held_out & np.isin(owner, users))).all()
    for most in (len(asked), None):
        users, theirs = evaluations._drawn(data, held_out, most)
        assert users is None and (theirs == held_out).all()
