"""Who is asked, what is ranked, and what counts: small enough to see."""

import numpy as np
import pytest
import torch

from trainer import config as config_lib
from trainer import dataset
from trainer import evaluate
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
    found = evaluate.cases(data, 20_000_000)
    # Ann has nothing after the cut, Eve nothing before.
    assert list(found.users) == ['bob']
    assert list(found.baskets[0]) == [2, 0, 0]
    assert list(found.sizes) == [3]  # 8 and 9 are two, though both unknown.
    assert list(found.lengths) == [2]


def test_the_last_event_is_left_out(data):
    found = evaluate.last_cases(data)
    assert list(found.users) == ['ann', 'bob']
    assert [list(basket) for basket in found.baskets] == [[2], [0]]
    assert list(found.lengths) == [2, 5]


def test_popularity_counts_what_was_before(data):
    baselines = ranking_metrics.baselines(data, evaluate.cases(data, 20_000_000))
    # 1 and 2 twice, 3 once: 2 is second, and one of three to find.
    assert baselines['popularity']['hit@10'] == 1
    assert baselines['popularity']['recall@10'] == pytest.approx(1 / 3)
    ideal = sum(1 / np.log2(place + 1) for place in (1, 2, 3))
    assert baselines['popularity']['ndcg@10'] == pytest.approx(
        1 / np.log2(3) / ideal)


def test_popularity_leaves_out_what_was_seen(data):
    found = evaluate.last_cases(data)
    baselines = ranking_metrics.baselines(data, found)
    # Ann had 1 only, so 2 and 3 lead; Bob's 9 has no row.
    assert baselines['popularity']['hit@10'] == .5
    assert baselines['popularity']['ndcg@10'] == .5


def test_ties_go_to_the_lower_row_and_what_is_left_out_is_none():
    scores = torch.tensor([[-torch.inf, 1., 3., 3., -torch.inf],
                           [-torch.inf, 0., 0., 0., 5.]])
    assert evaluate._top_rows(scores).tolist() == [[2, 3, 1, 0], [4, 1, 2, 3]]


def test_ranks_are_those_of_the_first_item_found(data):
    found = evaluate.cases(data, 20_000_000)
    assert ranking_metrics.ranks(np.array([[1, 3, 2, 4]]), found) == {'bob': 3}
    assert ranking_metrics.ranks(np.array([[1, 3, 4, 0]]), found) == {'bob': 0}
