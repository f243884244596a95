"""Who is asked, what is ranked, and what counts: small enough to see."""

import math

import numpy as np
import pytest
import torch

from trainer import batches
from trainer import cases
from trainer import config as config_lib
from trainer import dataset
from trainer import evaluate
from trainer import initial
from trainer import metric_tables
from trainer import models
from trainer import ranking_metrics

EVENTS = ('user,item,time\n'
          'ann,1,10\nann,1,11\nann,2,12\n'
          'bob,2,10\nbob,3,11\nbob,2,20\nbob,8,20\nbob,9,20\nbob,9,30\n'
          'eve,3,25\n')


@pytest.fixture
def data(tmp_path):
    (tmp_path / 'train.csv').write_text(EVENTS)
    (tmp_path / 'items.csv').write_text('item\n1\n2\n3\n4\n')
    config = config_lib.from_dict({'name': 'x', 'data': {
        'catalogue': 'items.csv'}, 'model': {'tasks': [{'name': 'next'}]}})
    return dataset.read(config, tmp_path)


def test_a_cut_asks_for_the_first_moment_after_it(data):
    found = cases.after(data, 20_000_000)
    # Ann has nothing after the cut, Eve nothing before.
    assert list(found.users) == ['bob']
    assert list(found.baskets[0]) == [2, 0, 0]  # 8 and 9 are two.
    assert list(found.repeats[0]) == [True, False, False]
    assert list(found.new[0]) == [False, True, True]
    assert list(found.lengths) == [2]


def test_all_moments_ask_for_each_that_has_something_before_it(data):
    found = cases.after(data, 11_000_000, every_moment=True)
    # Eve's is their first event of all. Ann's at the cut is held out.
    assert list(found.users) == ['ann', 'ann', 'bob', 'bob', 'bob']
    assert list(found.lengths) == [1, 2, 1, 2, 5]
    assert list(map(list, found.baskets)) == [[1], [2], [3], [2, 0, 0], [0]]
    assert list(map(list, found.repeats)) == [
        [True], [False], [False], [True, False, False], [True]]
    assert list(found.starts) == [0, 0, 3, 3, 3]
    # What everybody did counts up to the cut.
    assert found.known.sum() == 2
    first = cases.after(data, 11_000_000)
    assert list(first.lengths) == [1, 1]
    assert list(first.nexts) == [found.nexts[0], found.nexts[2]]


def test_a_later_moment_knows_what_came_before_it_and_no_more(tmp_path):
    """It is ranked as if it were the first after a cut, and the data's end."""
    rng = np.random.default_rng(6)
    (tmp_path / 'train.csv').write_text('user,item,time\n' + ''.join(
        f'{rng.integers(5)},{rng.integers(20)},{time}\n'
        for time in sorted(rng.integers(1, 30, 120))))
    config = config_lib.from_dict({
        'name': 'x', 'data': {'min_item_count': 1}, 'model': {
            'd_model': 16, 'num_heads': 2, 'num_layers': 2, 'ffn_width': 16,
            'head_width': 8, 'initial_half_lives': [4., 0.],
            'actions': ['event'], 'tasks': [{'name': 'next'}]}})
    data = dataset.read(config, tmp_path)
    torch.manual_seed(5)
    params = {name: value.detach() + .2 * torch.randn(value.shape) for
              name, value in models.Model(
                  config.model, len(data.item_ids),
                  initial.Start(.3)).params().items()}

    def rank(data, found):
        return evaluate.rank_catalogue(
            config.model, params, batches.Source(data, 'cpu'), found,
            np.zeros((len(data.item_ids) + 1, 0), np.float32))[0]
    found = cases.after(data, 20_000_000, every_moment=True)
    top = rank(data, found)
    assert len(found.users) > 2 * len(set(found.users))
    for index, user in enumerate(found.users):
        moment_us = data.times_us[found.targets[index][0]]
        known = data.before(moment_us + 1)
        alone = cases.after(known, moment_us)
        [at] = np.flatnonzero(alone.users == user)
        assert list(alone.baskets[at]) == list(found.baskets[index])
        for name, rows in rank(known, alone).items():
            assert list(rows[at]) == list(top[name][index])


def test_the_last_event_is_left_out(data):
    found = cases.last(data)
    assert list(found.users) == ['ann', 'bob']
    assert [list(basket) for basket in found.baskets] == [[2], [0]]
    assert list(found.lengths) == [2, 5]
    assert [list(repeats) for repeats in found.repeats] == [[False], [True]]


def _popularity(data, found):
    return evaluate.Evaluation(data, found).baselines['popularity']


def test_popularity_counts_what_was_before(data):
    popularity = _popularity(data, cases.after(data, 20_000_000))
    # 1 and 2 twice, 3 once: 2 is second, and one of three to find.
    assert popularity['hit@10'] == 1
    assert popularity['recall@10'] == pytest.approx(1 / 3)
    ideal = sum(1 / np.log2(place + 1) for place in (1, 2, 3))
    assert popularity['ndcg@10'] == pytest.approx(1 / np.log2(3) / ideal)


def test_popularity_leaves_out_what_was_seen(data):
    popularity = _popularity(data, cases.last(data))
    # Ann had 1 only, so 2 and 3 lead; Bob had 9 before.
    assert popularity['hit@10'] == .5
    assert popularity['ndcg@10'] == .5


def _generated(rng, cases_of):
    """Random rankings of 60 items and Cases of users with so many each."""
    users = np.repeat([f'u{user}' for user in range(len(cases_of))], cases_of)
    top = np.array([rng.permutation(np.arange(1, 61))[:50] for _ in users])
    baskets = [rng.choice(61, rng.integers(1, 15), replace=False)
               for _ in users]
    repeats = [rng.random(len(basket)) < rng.choice([0, .5, 1])
               for basket in baskets]
    new = [rng.random(len(basket)) < rng.choice([0, .2]) for basket in baskets]
    return top, cases.Cases(users, None, None, None, None, None, baskets,
                               repeats, new, None)


def _brute_force(ranking, targets):
    """The measures, by hand."""
    places = [place for place, row in enumerate(ranking, 1)
              if row in targets and row > 0]
    short = [place for place in places if place <= 10]
    ideal = sum(1 / math.log2(place + 1)
                for place in range(1, min(10, len(targets)) + 1))
    return {'hit@10': float(len(short) > 0), 'precision@10': len(short) / 10,
            'recall@10': len(short) / len(targets),
            'ndcg@10': sum(1 / math.log2(place + 1) for place in short) / ideal,
            'hit@50': float(len(places) > 0)}


@pytest.mark.parametrize('kind', [None, 'repeat', 'first time', 'new item'])
def test_metrics_are_means_over_cases_of_what_is_counted_by_hand(kind):
    top, found = _generated(np.random.default_rng(4), [1] * 40)
    metrics = ranking_metrics.metrics(top, found)
    by_hand = []
    for index, (ranking, basket) in enumerate(zip(top, found.baskets)):
        of_kind = {None: np.ones(len(basket)), 'repeat': found.repeats[index],
                   'first time': ~found.repeats[index],
                   'new item': found.new[index]}[kind]
        targets = [row for row, wanted in zip(basket, of_kind) if wanted]
        if targets:
            by_hand.append(_brute_force(list(ranking), targets))
    if kind:
        metrics = metrics[kind]
        assert metrics['users'] == len(by_hand) < 40
    for name in ranking_metrics.OF_KINDS if kind else ranking_metrics.MEASURES:
        values = [values[name] for values in by_hand]
        assert metrics[name] == pytest.approx(np.mean(values))
        # One case a user: the usual standard error.
        assert metrics['standard errors'][name] == pytest.approx(
            np.std(values, ddof=1) / len(values) ** .5)


def test_standard_errors_are_over_users():
    """As far as means move when users are drawn anew, with all their cases."""
    rng = np.random.default_rng(5)
    users = np.repeat(np.arange(150), rng.integers(1, 30, 150))
    values = rng.random(150)[users] + .3 * rng.random(len(users))
    error = ranking_metrics.standard_errors(values[:, None], users)[0]
    of_user = [values[users == user] for user in range(150)]
    means = [np.concatenate([of_user[user] for user in
                             rng.integers(150, size=150)]).mean()
             for _ in range(2_000)]
    assert error == pytest.approx(np.std(means), rel=.1)
    # Cases of one user are not as good as those of as many users.
    assert error > 2 * np.std(values, ddof=1) / len(values) ** .5
    # Users with equal cases, however many: no more is known than of one each.
    once = np.arange(6.)
    assert ranking_metrics.standard_errors(
        np.repeat(once, 7)[:, None], np.repeat(np.arange(6), 7)) == (
            pytest.approx([np.std(once, ddof=1) / 6 ** .5]))
    assert ranking_metrics.standard_errors(np.ones((3, 1)), [1, 1, 1]) == [None]


def test_tables_show_errors_and_kinds():
    top, found = _generated(np.random.default_rng(4), [1] * 40)
    row = ranking_metrics.metrics(top, found)
    lines = metric_tables.lines({'users': 40, 'moments': 40, 'popularity': row,
                                 'click': {'auc': .75, 'labels': 1_234}})
    assert lines[0] == '40 users'
    assert lines[1].split() == [*ranking_metrics.MEASURES]
    hits, error = row['hit@10'], row['standard errors']['hit@10']
    assert f'{hits:.4f} ± {error:.4f}'.replace('0.', '.') in lines[2]
    assert 'repeat ndcg@10' in lines[4] and 'first time hit@10' in lines[4]
    assert lines[6].startswith('repeat targets: ')
    assert lines[-1].split() == ['click', '.7500', '1,234']
    assert metric_tables.figure(1., .25) == '1.0000 ± .2500'


def test_tables_say_moments_where_users_have_several():
    top, found = _generated(np.random.default_rng(4), [3] * 10)
    row = ranking_metrics.metrics(top, found)
    lines = metric_tables.lines({'users': 10, 'moments': 30,
                                 'popularity': row})
    assert lines[0] == '10 users, 30 moments'
    repeats = sum(part.any() for part in found.repeats)
    users = len(set(found.users[[part.any() for part in found.repeats]]))
    assert lines[6].startswith(
        f'repeat targets: {users} users, {repeats} moments; first time')
    assert 'moments' not in ' '.join(lines[1:6])


def test_ties_go_to_the_lower_row_and_what_is_left_out_is_none():
    scores = torch.tensor([[-torch.inf, 1., 3., 3., -torch.inf],
                           [-torch.inf, 0., 0., 0., 5.]])
    assert evaluate._top(scores, 4).tolist() == [[2, 3, 1, 0], [4, 1, 2, 3]]
    assert evaluate._top(scores, 2).tolist() == [[2, 3], [4, 1]]


def test_a_place_is_that_of_the_first_item_found_wherever_it_is():
    out = -torch.inf
    scores = torch.tensor([[out, 1., 3., 2., out], [out, 3., 2., 1., 4.],
                           [out, 3., 2., out, 4.], [out, 4., 3., 2., 1.]])
    baskets = [np.array(basket, np.int32) for basket in
               ([0, 1, 3], [0, 3], [3], [0])]
    # What is left out has no place, and neither has what has no row.
    assert evaluate._places(scores, baskets).tolist() == [2, 4, 0, 0]


@pytest.mark.parametrize('values', [2, 5, 1_000])
def test_rankings_are_those_of_a_stable_sort(values):
    """With few different values, most are ties."""
    rng = np.random.default_rng(values)
    scores = torch.from_numpy(rng.integers(0, values, (50, 81)).astype(
        np.float32)).masked_fill(torch.from_numpy(rng.random((50, 81)) < .3),
                                 -torch.inf)
    scores[:, 0] = scores[0] = -torch.inf
    baskets = [rng.choice(81, rng.integers(1, 5), replace=False).astype(
        np.int32) for _ in scores]
    order = scores.sort(dim=1, descending=True, stable=True)
    rows = order.indices.masked_fill(order.values == -torch.inf, 0).numpy()
    for length in (1, 50, 80):
        assert (evaluate._top(scores, length) == rows[:, :length]).all()
    places = [min((at for at, row in enumerate(ranking, 1)
                   if row and row in basket), default=0)
              for ranking, basket in zip(rows, baskets)]
    assert evaluate._places(scores, baskets).tolist() == places
    assert min(places) == 0 < max(places)


def test_no_place_is_that_of_a_score_that_is_no_number():
    scores = torch.full((2, 5), torch.nan)
    assert evaluate._top(scores, 3).tolist() == [[0, 0, 0]] * 2
    assert evaluate._places(scores, [np.array([1])] * 2).tolist() == [0, 0]
