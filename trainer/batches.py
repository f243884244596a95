"""Batches of history windows, cut from a Dataset on the training device."""

import dataclasses
import warnings

import numpy as np
import torch

from trainer import candidate_features
from trainer import indicators
from trainer import item_history
from trainer import item_memory
from trainer import masked
from trainer import moments
from trainer import reference

# Columns of a Dataset that batches are made of, and the types they have there.
_TYPES = {'times_us': torch.long, 'rows': torch.long, 'actions': torch.long,
          'event_features': torch.float32,
          'candidate_features': torch.float32, 'event_sets': torch.long,
          'candidate_sets': torch.long, 'context_rows': torch.long,
          'labels': torch.float32}
_CHUNK = 1 << 22  # Events that are looked at together.


@dataclasses.dataclass
class Batch:
    """B windows padded to n events. All tensors [B, n] unless said.

    events: indices of the window's events in the data set; places: the same,
    but for what is shuffled within a moment; valid: False at padding. first:
    column of the moment's first event, may be negative where the window cuts
    the moment; size: events of the moment.
    """
    events: torch.Tensor
    places: torch.Tensor
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
    """A Dataset from which batches are cut on a device.

    columns {name: tensor}: in the data set's small types, on the device where
    they fit into half of its free memory and otherwise as the data set has
    them, which may be maps of files. What is cut of them is on the device, in
    the types that models take.
    """

    def __init__(self, data, device, budget=None):
        """budget: bytes that columns may take on the device; None: half of
        what is free."""
        self.device = torch.device(device)
        self.ordered = data.ordered
        self.offsets = np.asarray(data.offsets)
        self.num_events = data.num_events
        self._data = data
        self.columns = _placed({name: getattr(data, name) for name in _TYPES},
                               self.device, budget)
        # For each task, whether any event has a label.
        self.labelled = any_label(data.labels)
        self._num_rows = len(data.item_ids) + 1
        self._generator = None
        self._memories = {}
        self._features = None
        self._indicators = {kind: indicators.of(data, kind, self.device)
                            for kind in ('event', 'candidate')}

    def shuffle_moments(self, generator):
        """From now on the events of a moment are in a random order in every
        batch that is cut, drawn anew.

        What depends on times only stays in place.
        """
        self._generator = generator

    def column(self, name, events):
        """A column's values at event indices."""
        column = self.columns[name]
        return column[events.to(column.device)].to(self.device, _TYPES[name])

    def features(self, kind, events):
        """The 'event' or 'candidate' features [..., F] of event indices."""
        return self._indicators[kind].behind(
            self.column(f'{kind}_features', events),
            self.column(f'{kind}_sets', events))

    def item_counts(self):
        """How many events each row [N + 1] has."""
        return torch.bincount(self.columns['rows'],
                              minlength=self._num_rows).to(self.device)

    def label_counts(self):
        """How many events have a label of each task [T]."""
        counts = [(~part.isnan()).sum(0)
                  for part in self.columns['labels'].split(_CHUNK)]
        return torch.stack(counts).sum(0).to(self.device)

    def facts(self, hyper, before, rows, newest_s, buckets_to_request):
        """Facts [..., C, J] of the item memory, of rows [..., C], for users
        just before their events `before` [...] (0: a user without events);
        None where the model has none. newest_s: when the event before was,
        whose gap to the request has these buckets, both [...]."""
        if not hyper.item_memory:
            return None
        if hyper.item_memory not in self._memories:
            self._memories[hyper.item_memory] = item_history.History(
                hyper.item_memory, self._data, self.device)
        return self._memories[hyper.item_memory].facts(
            before, rows, item_memory.as_of(
                newest_s, buckets_to_request.clamp_min(1)))

    def features_at(self, rows, seconds):
        """Candidate features [..., C, F] of rows [..., C], as known before
        seconds [...]; None where there are none."""
        if not any(self._data.column_names[f'candidate_{what}']
                   for what in ('features', 'sets')):
            return None
        if self._features is None:
            self._features = candidate_features.History(self._data,
                                                        self.device)
        return self._features.at(rows, seconds)

    def cut(self, starts, lengths, width=None):
        """A Batch of the windows [start, start + length), padded to width."""
        edges = moments.edges(self.offsets, self._data.times_us, starts,
                              lengths, self.ordered)
        edges = moments.Edges(*map(self._tensor, edges))
        columns = torch.arange(width or int(np.max(lengths)),
                               device=self.device)
        valid = columns < edges.length
        places = edges.start + torch.minimum(columns, edges.length - 1)
        earlier, now, later = (self.column('times_us', around) for around in (
            torch.maximum(places - 1, edges.user_start), places,
            torch.minimum(places + 1, edges.user_end - 1)))
        events = places
        if not self.ordered and self._generator is not None:
            events = self._shuffled(edges, places)
        return Batch(
            events=events, places=places, valid=valid,
            rows=self.column('rows', events),
            actions=self.column('actions', events),
            gaps=moments.gap_buckets(earlier, now) * (
                places > edges.user_start),
            nexts=moments.gap_buckets(now, later) * (
                places < edges.user_end - 1),
            counts=moments.count_buckets(places - edges.user_start + 1),
            seconds=moments.seconds(now), next_seconds=moments.seconds(later),
            **moments.found(edges, places, now, self.ordered),
            features=self.features('event', events))

    def _tensor(self, array):
        return torch.as_tensor(np.asarray(array), device=self.device)

    def _shuffled(self, edges, places):
        """Events [B, n] in place of those at these places: each moment's in a
        new order, those behind a window's edges among them."""
        width = int((edges.last_end - edges.first_start).max())
        whole = edges.first_start + torch.arange(width, device=self.device)
        inside = whole < edges.last_end
        whole = torch.minimum(whole, edges.last_end - 1)
        times = self.column('times_us', whole)
        moment = (times[:, 1:] != times[:, :-1]).cumsum(1)
        # A float32 below 1, so that the sum in float64 is exact.
        noise = torch.rand(whole.shape, device=self.device,
                           generator=self._generator).double()
        noise[:, 1:] += moment
        order = noise.masked_fill(~inside, torch.inf).argsort(1)
        return whole.gather(1, order).gather(1, places - edges.first_start)


def _placed(columns, device, budget):
    """Tensors of arrays, on the device if all of them fit there."""
    with warnings.catch_warnings():
        # That nobody can write to a map of a file: nobody does.
        warnings.simplefilter('ignore', UserWarning)
        tensors = {name: torch.from_numpy(array)
                   for name, array in columns.items()}
    if budget is None:
        budget = np.inf if device.type != 'cuda' else (
            torch.cuda.mem_get_info(device.index or 0)[0] // 2)
    if sum(array.nbytes for array in columns.values()) > budget:
        return tensors
    return {name: tensor.to(device) for name, tensor in tensors.items()}


def any_label(labels):
    """Of each task [T], whether any event of labels [E, T] has one."""
    found = np.zeros(labels.shape[1], bool)
    for begin in range(0, len(labels), _CHUNK):
        if found.all():
            break
        found |= (~np.isnan(labels[begin:begin + _CHUNK])).any(axis=0)
    return found.tolist()


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
