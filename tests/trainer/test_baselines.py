"""The baselines rank as the definitions read, and the same however often."""

import json
import pathlib
import sys

import numpy as np
import pytest

from trainer import baselines
from trainer import cases
from trainer import config as config_lib
from trainer import dataset

FOLDER = pathlib.Path(__file__).resolve().parents[1] / 'baselines'
sys.path.insert(0, str(FOLDER))

import brute_force  # noqa: E402

# What comes after the cut, so that everybody is asked.
NEXT_US = brute_force.CUT_US + 86_400_000_000


def _read(folder, events, **data):
    (folder / 'train.csv').write_text('user,item,time\n' + ''.join(
        f'{user},{item},{time_us}\n' for user, item, time_us in events))
    return dataset.read(config_lib.from_dict({
        'name': 'x', 'data': {'time_unit': 'us', **data},
        'model': {'tasks': [{'name': 'next'}]}}), folder)


def _next(scenario):
    users = sorted({user for user, _, _ in scenario['history']})
    return [[user, 100, NEXT_US] for user in users]


def _rankings(data, found, scenario):
    """{name: {user: item ids}}."""
    made = baselines.Baselines(data, found, scenario['half_life_days'])
    return {name: {user: made.item_ids[rows[rows > 0] - 1].tolist()
                   for user, rows in zip(found.users, top)}
            for name, top in made.rankings(brute_force.LENGTH).items()}


def test_the_scenario_is_what_brute_force_gives():
    assert brute_force.PATH.read_text() == brute_force.text()


@pytest.mark.parametrize('order', ['as it is', 'shuffled'])
def test_rankings_are_those_of_brute_force(tmp_path, order):
    scenario = json.loads(brute_force.PATH.read_text())
    events = scenario['history'] + _next(scenario)
    if order == 'shuffled':
        events = [events[at] for at in
                  np.random.default_rng(3).permutation(len(events))]
    # Only the most frequent items have rows of the model: all the same.
    data = _read(tmp_path, events, min_item_count=6)
    assert len(data.item_ids) < 20
    found = cases.after(data, brute_force.CUT_US)
    rankings = _rankings(data, found, scenario)
    assert set(rankings) == set(baselines.NAMES) == set(scenario['rankings'])
    for name, wanted in scenario['rankings'].items():
        for user, ranking in rankings[name].items():
            of_user = wanted if isinstance(wanted, list) else wanted[user]
            assert ranking == of_user, f'{name}, {user}'


def test_all_moments_count_what_the_user_did_since_the_cut(tmp_path):
    history = [['ann', 1, 10], ['ann', 2, 20], ['bob', 2, 30], ['bob', 1, 40]]
    later = [['ann', 9, 100], ['ann', 9, 200], ['ann', 3, 300],
             ['eve', 1, 100], ['eve', 5, 150]]
    data = _read(tmp_path, history + later, min_item_count=1)
    found = cases.after(data, 100, every_moment=True)
    assert list(zip(found.users, found.lengths)) == [
        ('ann', 2), ('ann', 3), ('ann', 4), ('eve', 1)]
    made = baselines.Baselines(data, found)
    tops = {name: [made.item_ids[rows[rows > 0] - 1].tolist() for rows in top]
            for name, top in made.rankings(5).items()}
    # Of everybody, 9 and 3 are not known.
    assert tops['popularity'] == [[1, 2]] * 4
    assert tops['own counts'] == [[1, 2], [1, 2, 9], [9, 1, 2], [1, 2]]
    # A half-life is long beside these: only ties are decided by age.
    assert tops['own decayed counts'] == [[2, 1], [9, 2, 1], [9, 2, 1], [1, 2]]


def test_a_half_life_must_be_above_zero(tmp_path):
    data = _read(tmp_path, [['ann', 1, 10], ['ann', 1, 20]], min_item_count=1)
    for days in (0, -1, float('nan')):
        with pytest.raises(ValueError, match='half-life'):
            baselines.Baselines(data, cases.after(data, 15), days)
