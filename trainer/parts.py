"""Which events are trained on, which choose the model, and which test it.

What is held out (data.heldout, data.split, data.test_from) is the test part:
nothing chooses by it. The validation part is cut off what is left, by default
the newest tenth of its events, or each user's last event before the one that is
held out. Of a few users' first moments a validation says little: further ones
are asked about, too, up to training.validation_moments in all.
"""

import dataclasses
import typing

import numpy as np

from trainer import config as config_lib
from trainer import dataset
from trainer import evaluations


@dataclasses.dataclass
class Parts:
    """events: the Dataset that is trained on. known: all of it that is not held
    out. validation: an Evaluation, or None. make_test: a function that makes
    one, for it takes a while; None where nothing is held out. notes: lines for
    people."""
    events: dataset.Dataset
    known: dataset.Dataset
    validation: typing.Optional[evaluations.Evaluation]
    make_test: typing.Optional[typing.Callable]
    notes: list


def cut(config, data, how, until=None, final=False):
    """The Parts of a data set.

    until: a date from which on it is validated, in place of the default.
    final: train on all that is not held out, and validate on nothing. Raises
    ValueError for a date that says nothing here, or where nobody can be asked.
    """
    if until is not None and final:
        raise ValueError('--until: with --final nothing validates')
    if config.data.split == 'last':
        return _last(config, data, how, until, final)
    from_us = held_out_from(config, data)
    rank = not evaluations.every_task_has_labels(data)
    known = data.before(from_us) if from_us >= 0 else data

    def make_test():
        return evaluations.between(data, from_us, None, how, rank)
    parts = Parts(known, known, None, make_test if from_us >= 0 else None, [])
    if final:
        return parts
    # --moments is about the test part.
    of_some = dataclasses.replace(
        how, every_moment=False,
        max_moments=config.training.validation_moments)
    if config.data.test_from:
        if until is not None:
            raise ValueError('--until: data.validate_from says it already')
        return _validated(parts, known, data.cut_us, of_some, rank)
    if until is not None:
        return _validated(parts, known, config_lib.time_us(until, '--until'),
                          of_some, rank)
    share = config.training.validation_share
    if not share:
        return parts
    try:
        return _validated(parts, known, newest_from(known.times_us, share),
                          of_some, rank)
    except ValueError as error:
        return dataclasses.replace(parts, notes=[
            f'note: no validation part is cut off: {error}'])


def held_out_from(config, data):
    """The time from which on events are held out, where time says it; -1 if
    none are."""
    if config.data.test_from:
        return config_lib.time_us(config.data.test_from, 'data.test_from')
    return data.cut_us


def _validated(parts, known, from_us, how, rank):
    """The Parts with what comes from a time on as their validation."""
    return dataclasses.replace(
        parts, events=_learnable(known.before(from_us)),
        validation=evaluations.between(known, from_us, None, how, rank))


def _learnable(events):
    if np.diff(events.offsets).max(initial=0) < 2:
        raise ValueError('nobody has two events before it')
    return events


def newest_from(times_us, share):
    """The time from which on about a share of the events happened."""
    at = min(int(len(times_us) * (1 - share)), len(times_us) - 1)
    return int(np.partition(times_us, at)[at])


def _last(config, data, how, until, final):
    """The Parts where every user's last event is held out."""
    if until is not None:
        raise ValueError(f'--until "{until}": where data.split is "last", the '
                         'last event but one validates, whenever it was')
    if how.every_moment:
        raise ValueError('--moments all: with data.split = "last" one event of '
                         'a user is held out')
    known = data.without_last(1)

    def make_test():
        return evaluations.of_last(data, 0, how)
    parts = Parts(known, known, None, make_test, [])
    if final or not config.training.validation_share:
        return parts
    of_some = dataclasses.replace(
        how, max_moments=config.training.validation_moments)
    try:
        return dataclasses.replace(
            parts, events=_learnable(data.without_last(2)),
            validation=evaluations.of_last(data, 1, of_some))
    except ValueError as error:
        return dataclasses.replace(parts, notes=[
            f'note: no validation part is cut off: {error}'])
