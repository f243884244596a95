"""Scores labelled events that are held out, as a server would have.

Every labelled event is scored from the state just before its moment: all the
user's earlier events are in it, those that are held out too.
"""

import dataclasses

import numpy as np
import torch

from trainer import batches
from trainer import click_metrics
from trainer import labelled_loss

# Events of a batch, padding included.
_BATCH_EVENTS = 32_768


def has_labels(data, held_out):
    """Whether any of the events of a mask [E] has a label."""
    return bool((~np.isnan(data.labels[held_out])).any())


class Evaluation:
    """The labelled events of a mask [E]."""

    def __init__(self, data, held_out, device='cpu'):
        """Raises ValueError if no event that is held out has a label."""
        if not has_labels(data, held_out):
            raise ValueError('no event that is held out has labels')
        labels = np.where(held_out[:, None], data.labels, np.nan)
        self._source = batches.Source(
            dataclasses.replace(data, labels=labels), device)
        user = np.repeat(np.arange(len(data.users)), np.diff(data.offsets))
        self._users = np.unique(user[~np.isnan(labels).all(1)])

    @torch.no_grad()
    def __call__(self, hyper, params):
        """{'users': n, task name: click_metrics.summary}: tasks with labels."""
        params = {name: value.detach().to(self._source.device)
                  for name, value in params.items()}
        scores, labels = zip(*(
            labelled_loss.logits(hyper, params, self._source, batch)
            for batch in self._batches()))
        tasks = len(hyper.tasks)
        scores = np.concatenate([part.float().cpu().numpy().reshape(-1, tasks)
                                 for part in scores])
        labels = np.concatenate([part.cpu().numpy().reshape(-1, tasks)
                                 for part in labels])
        result = {'users': len(self._users)}
        for index, task in enumerate(hyper.tasks):
            known = ~np.isnan(labels[:, index])
            if known.any():
                result[task.name] = click_metrics.summary(
                    labels[known, index], scores[known, index])
        return result

    def _batches(self):
        """Whole histories, those of like lengths together."""
        starts = self._source.offsets[:-1][self._users]
        lengths = np.diff(self._source.offsets)[self._users]
        order = np.argsort(-lengths, kind='stable')
        at = 0
        while at < len(order):
            size = max(1, _BATCH_EVENTS // int(lengths[order[at]]))
            group = order[at:at + size]
            yield self._source.cut(starts[group], lengths[group])
            at += size
