"""Batches of history windows, cut from a Dataset on the training device."""

import dataclasses

import numpy as np
import torch

from trainer import buckets
from trainer import dataset as dataset_lib
from trainer import item_memory
from trainer import masked
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
    seconds: torch.Tensor  # Since 1970.
    next_seconds: torch.Tensor  # Of the user's next event, or its own.
    features: torch.Tensor  # [B, n, event features]

    @property
    def clock(self):
        return masked.Clock(self.seconds, self.next_seconds)


class Source:
    """A Dataset as tensors on a device, in an order that can be shuffled."""

    def __init__(self, data, device):
        self.device = device
        self.ordered = data.ordered
        self.offsets = data.offsets
        moments = dataset_lib.moments(data)
        self._moment = self._tensor(np.cumsum(
            moments.first == np.arange(data.num_events)))
        for name in ('first', 'size', 'gaps', 'nexts', 'counts'):
            setattr(self, name, self._tensor(getattr(moments, name)))
        seconds = data.times_us // buckets.MICROSECONDS
        self.seconds = self._tensor(seconds)
        following = np.append(seconds[1:], 0)
        ends = data.offsets[1:][np.diff(data.offsets) > 0] - 1
        following[ends] = seconds[ends]
        self.next_seconds = self._tensor(following)
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
        self._num_rows = len(data.item_ids) + 1
        self._memories = {}

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

    def facts(self, hyper, before, rows, newest_s, buckets_to_request):
        """Facts [..., C, J] of the item memory, of rows [..., C], for users
        just before their events `before` [...] (0: a user without events);
        None where the model has none. newest_s: when the event before was,
        whose gap to the request has these buckets, both [...]."""
        if not hyper.item_memory:
            return None
        if hyper.item_memory not in self._memories:
            self._memories[hyper.item_memory] = item_memory.History(
                hyper.item_memory, self.offsets,
                self.columns['rows'].cpu().numpy(), self.seconds.cpu().numpy(),
                self._num_rows, self.device)
        return self._memories[hyper.item_memory].facts(
            before, rows, item_memory.as_of(
                newest_s, buckets_to_request.clamp_min(1)))

    def cut(self, starts, lengths, width=None):
        """A Batch of the windows [start, start + length), padded to width."""
        columns = torch.arange(width or int(np.max(lengths)),
                               device=self.device)
        starts = self._tensor(starts)[:, None]
        lengths = self._tensor(lengths)[:, None]
        valid = columns < lengths
        events = starts + torch.minimum(columns, lengths - 1)
        return Batch(
            events=events, valid=valid, rows=self.column('rows', events),
            actions=self.column('actions', events), gaps=self.gaps[events],
            nexts=self.nexts[events], counts=self.counts[events],
            first=self.first[events] - starts, size=self.size[events],
            seconds=self.seconds[events],
            next_seconds=self.next_seconds[events],
            features=self.column('event_features', events))


def windows(offsets, training, rng):
    """Windows of every user of two events or more: (starts, lengths).

    A share of the users' first ones is the end of the history, as serving sees
    it; the rest are random windows, which start where the state of a real user
    would not be empty.
    """
    counts = np.diff(offsets)
    users = np.flatnonzero(counts >= 2)
    times = windows_of(counts[users], training)
    users = np.repeat(users, times)
    is_first = np.arange(len(users)) == np.repeat(np.cumsum(times) - times,
                                                  times)
    counts = counts[users]
    lengths = np.minimum(counts, training.window)
    latest = counts - lengths
    random = (rng.random(len(users)) < training.random_windows) | ~is_first
    # Short histories lose up to half of their beginning instead.
    slack = np.where(latest > 0, latest, np.minimum(counts // 2, counts - 2))
    start = np.where(random, (rng.random(len(users)) * (slack + 1)).astype(int),
                     latest)
    return offsets[users] + start, np.minimum(lengths, counts - start)


def windows_of(counts, training):
    """How many windows an epoch has of histories of so many events: as many as
    it takes to cover them, and training.windows_per_user at most."""
    return np.minimum(-(-counts // training.window), training.windows_per_user)


def epoch(source, training, rng, fixed_shapes=False):
    """Yields Batches of about batch_events events, padding included.

    fixed_shapes: every batch has one of a few shapes, which costs padding and
    lets a step be recorded once for each.
    """
    starts, lengths = windows(source.offsets, training, rng)
    # Batch windows of like lengths, so that little of a batch is padding.
    noise = rng.random(len(lengths))
    if fixed_shapes:
        order = np.lexsort((noise, -fixed_widths(lengths, training.window)))
    else:
        order = np.argsort(-lengths * (1 + .1 * noise))
    groups = list(_groups(lengths[order], training, fixed_shapes))
    for at in rng.permutation(len(groups)):
        begin, end, size, width = groups[at]
        chosen = order[begin:end]
        # What fills a batch up: windows of one event, with nothing to predict.
        filled = np.ones(size, np.int64)
        filled[:len(chosen)] = lengths[chosen]
        yield source.cut(np.resize(starts[chosen], size), filled, width)


def _groups(lengths, training, fixed_shapes):
    """(begin, end, samples, width) of batches of sorted lengths; width None:
    that of the longest window."""
    widths = fixed_widths(lengths, training.window) if fixed_shapes else lengths
    at = 0
    while at < len(lengths):
        size = min(training.batch_samples,
                   max(1, training.batch_events // int(widths[at])))
        end = min(at + size, len(lengths))
        if fixed_shapes:
            end = at + int((widths[at:end] == widths[at]).sum())
            yield at, end, size, int(widths[at])
        else:
            yield at, end, end - at, None
        at = end


def fixed_widths(lengths, window):
    """The smallest of window, window / 2 and window / 4 that holds each."""
    widths = np.array([-(-window // 4), -(-window // 2), window])
    return widths[np.searchsorted(widths, lengths)]


def count_batches(offsets, training, fixed_shapes=False):
    """Steps of an epoch, to within a few."""
    counts = np.diff(offsets)
    counts = counts[counts >= 2]
    lengths = np.repeat(np.minimum(counts, training.window),
                        windows_of(counts, training))
    lengths = np.sort(lengths)[::-1]
    return max(1, sum(1 for _ in _groups(lengths, training, fixed_shapes)))


def tokens(hyper, params, batch, unseen_share=0.):
    """Event tokens [B, n, d] of a Batch; a share has the out-of-vocabulary
    row instead of its own."""
    rows = batch.rows
    if unseen_share > 0:
        rows = rows * (torch.rand(rows.shape, device=rows.device) >=
                       unseen_share)
    return reference.event_tokens(hyper, params, rows, batch.actions,
                                  batch.gaps, batch.nexts, batch.counts,
                                  batch.features)
