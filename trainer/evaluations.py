"""What `train` and `evaluate` measure of a model on what is held out.

Rankings of the catalogue where something predicts the next items; AUC, NE and
calibration where something has labels; both for models that have both.
"""

import dataclasses
import typing

import numpy as np

from trainer import baselines
from trainer import batches
from trainer import cases
from trainer import click_evaluation
from trainer import dataset
from trainer import evaluate


@dataclasses.dataclass(frozen=True)
class How:
    """windows: as evaluate.Evaluation has it. history: everything is asked of
    a model that reads so many of the newest events; None: all, and rankings
    are by each of windows. every_moment: not only users' first ones are ranked.
    max_moments: at most so many are asked about, drawn at random: of all first
    moments, or, where these are fewer, all of them and further ones of the same
    users; of labels and last events, so many users. None: no limit. progress:
    of the groups that are ranked."""
    device: str = 'cpu'
    windows: tuple = (None,)
    history: typing.Optional[int] = None
    every_moment: bool = False
    half_life_days: float = baselines.HALF_LIFE_DAYS
    max_moments: typing.Optional[int] = None
    # Only what nobody had before the cut is to be found, among such items.
    only_new: bool = False
    progress: typing.Callable = lambda groups: groups


class Evaluation:
    """Of cases that are ranked, and of labels of events that are held out."""

    def __init__(self, data, held_out, found, how):
        """held_out: a mask [E] of events whose labels count; found:
        cases.Cases, or None where only labels count.

        Raises ValueError if nobody can be asked about.
        """
        self.rankings = self._labels = None
        if found is not None:
            self.rankings = evaluate.Evaluation(
                data, found, how.device,
                (how.history,) if how.history else how.windows,
                how.half_life_days)
        if found is None or click_evaluation.has_labels(data, held_out):
            self._labels = click_evaluation.Evaluation(
                data, held_out, how.device, how.history)
        self._progress = how.progress

    def __call__(self, hyper, params):
        """{'users': n, ...} and a row for each ranking and labelled task."""
        result = {}
        if self.rankings:
            result = self.rankings(hyper, params, self._progress)
        if self._labels:
            result = {**self._labels(hyper, params), **result}
        return result


def _drawn(data, held_out, most):
    """(indices of users, held_out of theirs) of so many users with an event
    that is held out and one before it; always the same ones. (None, held_out)
    where there are no more than that."""
    if most is None:
        return None, held_out
    begins = data.offsets[:-1]
    some = np.diff(dataset.counted_before(held_out, data.offsets)) > 0
    asked = np.flatnonzero(some)
    asked = asked[~held_out[begins[asked]]]
    if len(asked) <= most:
        return None, held_out
    users = np.sort(np.random.default_rng(1).choice(asked, most, replace=False))
    theirs = np.zeros(len(held_out), bool)
    for user in users:
        events = slice(*data.offsets[user:user + 2])
        theirs[events] = held_out[events]
    return users, theirs


def of_last(data, back, how):
    """Of users' last events, or of those so many further back."""
    if how.every_moment:
        raise ValueError('--moments all: with data.split = "last" one event of '
                         'a user is held out')
    if how.only_new:
        raise ValueError('--new-items: data.split = "last" has no cut before '
                         'which nobody had an item')
    known = data.without_last(back)
    users, held_out = _drawn(known, ~known.is_before_last(1), how.max_moments)
    return Evaluation(known, held_out, cases.last(known, users), how)


def between(data, from_us, to_us, how, rank=True):
    """Of what comes after a cut, and before to_us (None: no end)."""
    known = data if to_us is None else data.before(to_us)
    users, held_out = _drawn(known, known.times_us >= from_us, how.max_moments)
    found = cases.after(known, from_us, every_moment=how.every_moment,
                           users=users, fill_to=how.max_moments or 0
                           ) if rank else None
    if how.only_new:
        found = found and found.of_new_items(known)
        if not (found and found.baskets):
            raise ValueError('--new-items: nothing that is to be found is an '
                             'item that nobody had before')
    return Evaluation(known, held_out, found, how)


def every_task_has_labels(data):
    """Whether nothing is there to predict the next items."""
    return all(batches.any_label(data.labels))
