"""Context features: values and numbers, from the data or as configured."""

import numpy as np
import pytest

from trainer import contexts
from trainer import hyper as hyper_lib

Feature = hyper_lib.ContextFeature


def test_values_are_the_datas_where_none_are_named():
    texts, counts = ['tv', '', 'fax', 'phone', 'web'], [9, 80, 4, 20, 9]
    found = contexts.resolved(Feature('device'), texts, counts)
    assert found.values == ('phone', 'tv', 'web')
    assert contexts.rows(found, texts).tolist() == [2, 0, 0, 1, 3]
    named = Feature('device', values=('fax',))
    assert contexts.resolved(named, texts, counts) == named


def test_a_number_has_a_row_for_what_it_has_reached():
    """As tests/model/context_feature_test.cc."""
    age = Feature('age', boundaries=(-1.5, 18., 65.), default='40')
    assert age.num_rows == 5
    assert contexts.rows(age, ['-2', '-1.5', '17.999', '18', '1.8e1', '1e300']
                         ).tolist() == [1, 2, 2, 3, 3, 4]
    assert contexts.rows(age, ['', 'old', 'nan', 'inf', '-inf', '1e999', '1,5']
                         ).tolist() == [0] * 7
    assert contexts.default_row(age) == 3
    assert contexts.default_row(Feature('device', values=('a',))) == 0


@pytest.mark.parametrize('seed', range(5))
def test_buckets_have_as_many_events_each(seed):
    rng = np.random.default_rng(seed)
    numbers = rng.permutation(rng.normal(size=3_000).round(2))
    texts, counts = np.unique(numbers, return_counts=True)
    found = contexts.resolved(Feature('x', buckets=8), [
        *map(str, texts), ''], [*counts, 500])
    assert found.buckets == 0 and len(found.boundaries) == 7
    rows = contexts.rows(found, list(map(str, numbers)))
    sizes = np.bincount(rows, minlength=9)[1:]
    # Numbers are not split: up to the most frequent one more or less.
    assert abs(sizes - 3_000 / 8).max() <= 2 * counts.max()


def test_buckets_of_few_numbers_are_fewer():
    found = contexts.resolved(Feature('x', buckets=8), ['1', '2'], [90, 10])
    assert found.boundaries == (2.,)
    assert contexts.rows(found, ['1', '2']).tolist() == [1, 2]
    assert contexts.resolved(Feature('x', buckets=8), ['7'], [3]
                             ).boundaries == (7.,)
    # One number of most events.
    skewed = contexts.resolved(Feature('x', buckets=2), ['1', '2', '3'],
                               [97, 2, 1])
    assert skewed.boundaries == (3.,)


@pytest.mark.parametrize('texts, counts, message', [
    (['1', 'two'], [1, 1], "'x' has buckets, but its cell 'two' is no number"),
    (['', '7'], [5, 0], "'x' has buckets, but no training event has a number"),
])
def test_what_is_no_number_is_told(texts, counts, message):
    with pytest.raises(ValueError, match=message):
        contexts.resolved(Feature('x', buckets=4), texts, counts)


def test_a_feature_is_of_one_kind():
    with pytest.raises(ValueError, match='one of values, boundaries and'):
        Feature('x', values=('a',), buckets=3)
    with pytest.raises(ValueError, match='x.boundaries is .* rising numbers'):
        Feature('x', boundaries=(2., 1.))
    config = hyper_lib.from_dict({'context_features': [
        'device', {'name': 'age', 'buckets': 4, 'default': '30'}]})
    assert config.context_features == (Feature('device'), Feature(
        'age', buckets=4, default='30'))
