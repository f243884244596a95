"""Context features: what a request says beside its candidates.

A column of the events, or of the table of users (data.users), whose cells are
values or numbers. A feature that names neither values nor boundaries takes the
values of the training events; one with `buckets` takes boundaries between which
as many training events each are.
"""

import dataclasses
import math
import re
import typing

import numpy as np

from trainer import hyper as hyper_lib

# A value of fewer events says little: it counts as unknown.
MIN_EVENTS = 5
MAX_VALUES = 10_000

_NUMBER = re.compile(r'[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?')


def resolved(feature, texts, counts):
    """A hyper.ContextFeature with values or boundaries, the data's where it
    has none.

    texts: the different cells of its column; counts: training events of each.
    Raises ValueError naming a number's cell that is none.
    """
    if feature.buckets:
        return dataclasses.replace(feature, buckets=0, boundaries=_quantiles(
            feature, texts, counts))
    if feature.values or feature.boundaries:
        return feature
    known = {text: count for text, count in zip(texts, counts)
             if text and count >= MIN_EVENTS}
    values = sorted(known, key=lambda text: (-known[text], text))
    return dataclasses.replace(feature, values=tuple(values[:MAX_VALUES]))


def rows(feature, texts):
    """The table row of the cells [n], int32; 0 is "missing or unknown".

    As model/context_feature.h has it; an empty cell is a request that does not
    name the feature.
    """
    texts = [text or feature.default for text in texts]
    if feature.boundaries:
        numbers = np.array([_number(text) for text in texts], np.float64)
        at = 1 + np.searchsorted(feature.boundaries, numbers, side='right')
        return np.where(np.isnan(numbers), 0, at).astype(np.int32)
    known = {value: row + 1 for row, value in enumerate(feature.values)}
    return np.array([known.get(text, 0) for text in texts], np.int32)


@dataclasses.dataclass
class Column:
    """A feature's rows: of each code of its cells in the events, `at` which of
    the columns these are; or with at None, of each user."""
    feature: hyper_lib.ContextFeature
    rows: np.ndarray
    at: typing.Optional[int]


def columns(features, files, users):
    """The Columns of hyper.ContextFeatures, each with the data's values.

    files: an event_files.EventFiles, which has those that are columns of the
    events; users: {feature name: {user: text}} of the others.
    """
    found, at = [], 0
    for feature in features:
        if feature.name in users:
            of_user = users[feature.name]
            found.append(_of_users(
                feature, [of_user.get(user, '') for user in files.users.texts]))
            continue
        texts = files.contexts[at].texts
        counts = files.training_counts(files.contexts[at])
        feature = resolved(feature, texts, counts)
        found.append(Column(feature, rows(feature, texts), at))
        at += 1
    return found


def _of_users(feature, texts):
    """The Column of a feature's cell [U] of each user."""
    import pandas as pd
    codes, values = pd.factorize(np.array(texts, object))
    feature = resolved(feature, values, np.bincount(codes,
                                                    minlength=len(values)))
    return Column(feature, rows(feature, values)[codes], None)


def table_rows(found, codes, users):
    """Table rows [n, M] of Columns, for events of context codes [n, .] and
    user codes [n]."""
    result = np.empty((len(users), len(found)), np.int16)
    for place, column in enumerate(found):
        result[:, place] = column.rows[
            users if column.at is None else codes[:, column.at]]
    return result


def _number(text):
    """NaN of what is no finite number."""
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    return number if math.isfinite(number) else math.nan


def _quantiles(feature, texts, counts):
    """Boundaries that cut the counted numbers into so many equal parts."""
    numbers = np.array([_number(text) for text in texts], np.float64)
    for text, number in zip(texts, numbers):
        if text and math.isnan(number):
            raise ValueError(f'model.context_features: {feature.name!r} has '
                             f'buckets, but its cell {text!r} is no number')
    known = ~np.isnan(numbers) & (np.asarray(counts) > 0)
    if not known.any():
        raise ValueError(f'model.context_features: {feature.name!r} has '
                         'buckets, but no training event has a number')
    order = np.argsort(numbers[known])
    numbers, counts = numbers[known][order], np.asarray(counts)[known][order]
    different = np.unique(numbers)
    if len(different) <= feature.buckets:
        return tuple(different[min(1, len(different) - 1):].tolist())
    shares = np.arange(1, feature.buckets) / feature.buckets * counts.sum()
    # The first number by which a share of the events is passed.
    at = np.searchsorted(np.cumsum(counts), shares, side='right')
    # Nothing is below the least.
    return tuple(sorted(set(numbers[at].tolist()) - {numbers[0]} or
                        {numbers[-1]}))
