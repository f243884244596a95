"""Batches of history windows, cut from a Dataset on the training device."""

import dataclasses

import numpy as np
import torch

from trainer import dataset as dataset_lib
from trainer import reference


@dataclasses.dataclass
class Batch:
    """B windows padded to n events. All tensors [B, n] unless said.

    events: indices of the window's events in the (shuffled) source; valid:
    False at padding. first: column of the moment's first event, may be
    negative where the window cuts the moment; size: events of the moment.
    """
    events: torch.Tensor
    valid: torch.Tensor
    rows: torch.Tensor
    actions: torch.Tensor
    gaps: torch.Tensor
    nexts: torch.Tensor
    counts: torch.Tensor
    first: torch.Tensor
    size: torch.Tensor
    features: torch.Tensor  # [B, n, event features]


class Source:
    """A Dataset as tensors on a device, in an order that can be shuffled."""

    def __init__(self, data, device):
        self.device = device
        self.offsets = data.offsets
        moments = dataset_lib.moments(data)
        self._moment = self._tensor(np.cumsum(
            moments.first == np.arange(data.num_events)))
        for name in ('first', 'size', 'gaps', 'nexts', 'counts'):
            setattr(self, name, self._tensor(getattr(moments, name)))
        self.columns = {
            name: self._tensor(getattr(data, name), dtype)
            for name, dtype in (('rows', torch.long), ('actions', torch.long),
                                ('event_features', torch.float32),
                                ('candidate_features', torch.float32),
                                ('context_rows', torch.long),
                                ('labels', torch.float32))}
        # For each task, whether any event has a label.
        self.labelled = (~np.isnan(data.labels)).any(axis=0).tolist()
        self.order = torch.arange(data.num_events, device=device)

    def _tensor(self, array, dtype=torch.long):
        return torch.as_tensor(array).to(self.device, dtype)

    def shuffle_moments(self, generator):
        """Puts the events of every moment in a new random order.

        Buckets and moments depend on times only, so they stay in place.
        """
        noise = torch.rand(len(self.order), device=self.device,
                           dtype=torch.float64, generator=generator)
        self.order = torch.argsort(self._moment + noise)

    def column(self, name, events):
        """A column's values at (shuffled) event indices."""
        return self.columns[name][self.order[events]]

    def cut(self, starts, lengths):
        """A Batch of the windows [start, start + length)."""
        starts = self._tensor(starts)[:, None]
        lengths = self._tensor(lengths)[:, None]
        columns = torch.arange(int(lengths.max()), device=self.device)
        valid = columns < lengths
        events = starts + torch.minimum(columns, lengths - 1)
        return Batch(
            events=events, valid=valid, rows=self.column('rows', events),
            actions=self.column('actions', events), gaps=self.gaps[events],
            nexts=self.nexts[events], counts=self.counts[events],
            first=self.first[events] - starts, size=self.size[events],
            features=self.column('event_features', events))


def windows(offsets, training, rng):
    """One window for every user of two events or more: (starts, lengths).

    A share is the end of the history, as serving sees it; the rest are random
    windows, which start where the state of a real user would not be empty.
    """
    counts = np.diff(offsets)
    users = np.flatnonzero(counts >= 2)
    counts = counts[users]
    lengths = np.minimum(counts, training.window)
    latest = counts - lengths
    random = rng.random(len(users)) < training.random_windows
    # Short histories lose up to half of their beginning instead.
    slack = np.where(latest > 0, latest, counts // 2)
    start = np.where(random, (rng.random(len(users)) * (slack + 1)).astype(int),
                     latest)
    lengths = np.minimum(lengths, counts - start)
    keep = lengths >= 2
    return (offsets[users] + start)[keep], lengths[keep]


def epoch(source, training, rng):
    """Yields Batches of about batch_events events, padding included."""
    starts, lengths = windows(source.offsets, training, rng)
    # Batch windows of like lengths, so that little of a batch is padding.
    order = np.argsort(lengths * (1 + .1 * rng.random(len(lengths))))[::-1]
    groups, at = [], 0
    while at < len(order):
        size = _batch_size(training, lengths[order[at]])
        groups.append(order[at:at + size])
        at += size
    for group in rng.permutation(len(groups)):
        yield source.cut(starts[groups[group]], lengths[groups[group]])


def _batch_size(training, longest):
    return min(training.batch_samples,
               max(1, training.batch_events // int(longest)))


def count_batches(offsets, training):
    """Steps of an epoch, to within a few."""
    lengths = np.sort(np.minimum(np.diff(offsets), training.window))[::-1]
    steps, at = 0, 0
    while at < len(lengths) and lengths[at] >= 2:
        at += _batch_size(training, lengths[at])
        steps += 1
    return max(steps, 1)


def tokens(hyper, params, batch):
    """Event tokens [B, n, d] of a Batch."""
    return reference.event_tokens(hyper, params, batch.rows, batch.actions,
                                  batch.gaps, batch.nexts, batch.counts,
                                  batch.features)
