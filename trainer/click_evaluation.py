"""Scores labelled events that are held out, as a server would have.

Every labelled event is scored from the state just before its moment: all the
user's earlier events are in it, those that are held out too, or the newest so
many of them.
"""

import dataclasses

import numpy as np
import torch

from trainer import batches
from trainer import click_metrics
from trainer import dataset
from trainer import evaluate
from trainer import labelled_loss

# Events of a batch, padding included.
_BATCH_EVENTS = 32_768


def has_labels(data, held_out):
    """Whether any of the events of a mask [E] has a label."""
    return any((~np.isnan(data.labels[part][held_out[part]])).any()
               for part in dataset.slices(data.num_events))


class Evaluation:
    """The labelled events of a mask [E]."""

    def __init__(self, data, held_out, device='cpu', history=None):
        """history: how many of the events before its moment an event is
        scored from; None: all.

        Raises ValueError if no event that is held out has a label.
        """
        if not has_labels(data, held_out):
            raise ValueError('no event that is held out has labels')
        labels = np.where(held_out[:, None], data.labels, np.nan)
        self._source = batches.Source(
            dataclasses.replace(data, labels=labels), device)
        self._history = history
        user = np.repeat(np.arange(len(data.users)), np.diff(data.offsets))
        asked = ~np.isnan(labels).all(1)
        self._users = np.unique(user[asked])
        if history is None:
            starts, ends = data.offsets[self._users], data.offsets[1:][
                self._users]
            self._windows = starts, ends - starts, starts
        else:
            self._windows = _before_moments(data, user, asked, history)

    def __call__(self, hyper, params):
        """{'users': n, task name: click_metrics.summary}: tasks with labels."""
        _, scores, labels = self.each(hyper, params)
        result = {'users': len(self._users)}
        for index, task in enumerate(hyper.tasks):
            known = ~np.isnan(labels[:, index])
            if known.any():
                result[task.name] = click_metrics.summary(
                    labels[known, index], scores[known, index])
        return result

    @torch.no_grad()
    def each(self, hyper, params):
        """The P labelled events [P] by their index in the data set, rising,
        with their logits and labels (NaN: no label), both [P, T]."""
        params = {name: value.detach().to(self._source.device)
                  for name, value in params.items()}
        parts = []
        for batch in self._batches():
            found = labelled_loss.asked(self._source, batch)
            scores, labels = labelled_loss.logits(hyper, params, self._source,
                                                  batch)
            parts.append([values[found.present].float().cpu().numpy()
                          for values in (scores, labels)] +
                         [found.events[found.present].cpu().numpy()])
        scores, labels, events = map(np.concatenate, zip(*parts))
        order = np.argsort(events)
        return events[order], scores[order], labels[order]

    def _batches(self):
        """Windows of like lengths together; what is asked about are a whole
        history's events, or a moment's."""
        starts, lengths, asked_from = self._windows
        order = np.argsort(-lengths, kind='stable')
        at = 0
        while at < len(order):
            size = max(1, _BATCH_EVENTS // int(lengths[order[at]]))
            group = order[at:at + size]
            batch = self._source.cut(starts[group], lengths[group])
            first = torch.as_tensor(asked_from[group, None],
                                    device=self._source.device)
            yield dataclasses.replace(
                batch, valid=batch.valid & (batch.places >= first))
            at += size


def _before_moments(data, users, asked, history):
    """(starts, lengths, first events of the moment) of a window for each moment
    with an event that is asked about [E]: its events, and so many before."""
    new = np.ones(data.num_events, bool)
    if not data.ordered:
        new[1:] = (users[1:] != users[:-1]) | (data.times_us[1:] !=
                                               data.times_us[:-1])
    begins = np.flatnonzero(new)
    chosen = np.unique(np.cumsum(new)[asked] - 1)
    begin, end = begins[chosen], np.append(begins, data.num_events)[chosen + 1]
    start = np.maximum(begin - history, data.offsets[users[begin]])
    return start, end - start, begin
