"""Joins logged requests with what their users did before and after.

A request is answered from a state that had folded so many of the user's events:
these are its history, and no later one is. What the user did with a candidate
afterwards is its label.
"""

import collections
import dataclasses
import typing

import numpy as np

# Why a request is left out, for people.
NO_HISTORY = 'the files lack events that its state had'
OTHER_HISTORY = 'its state had other events'
NOT_LATER = 'its time is not after its history'
NOT_OVER = 'the files end before its time is up'
NO_FEATURE = 'its model had no such feature'


@dataclasses.dataclass
class Joined:
    """A request with its history and its C candidates.

    record: the LoggedRequest; history: the slice of a Dataset's events that its
    state had; candidates [C]: places in its item_ids; labels [C, L]: whether
    the user did what a label asks for.
    """
    record: typing.Any
    history: slice
    candidates: np.ndarray
    labels: np.ndarray

    @property
    def time_us(self):
        return self.record.request_time_us

    @property
    def items(self):
        return np.array(self.record.request.item_ids,
                        np.uint64)[self.candidates]

    def candidate_features(self, names):
        """The values [C, F] of features that the request has, by name."""
        known = list(self.record.candidate_features)
        values = np.array(self.record.request.candidate_features, np.float32)
        values = values.reshape(len(self.record.request.item_ids), len(known))
        return values[self.candidates][:, list(map(known.index, names))]

    def recent_features(self, names):
        """The values [E, F] of its recent events' features, by name."""
        known = list(self.record.event_features)
        values = np.array(self.record.recent_features, np.float32)
        values = values.reshape(len(self.record.request.recent_events),
                                len(known))
        return values[:, list(map(known.index, names))]

    def logits(self):
        """{task: what was answered [C]}."""
        tasks = list(self.record.response.tasks)
        scores = np.array(self.record.response.scores, np.float32)
        scores = scores.reshape(-1, len(tasks))[self.candidates]
        return dict(zip(tasks, scores.T))

    def shown(self):
        """The places [C] of its candidates in the order; -1: in none."""
        places = np.full(len(self.record.request.item_ids), -1)
        order = np.array(self.record.response.order, np.int64)
        places[order] = np.arange(len(order))
        return places[self.candidates]


class Join:
    """Requests beside a Dataset's events.

    labels: {column: actions that it asks for, () for any}; within_us: for so
    long after the request. only_shown: where a request asked for an order, only
    the candidates in it. model: a hyper.Hyper, whose features requests must
    have. left_out: a Counter of the reasons.
    """

    def __init__(self, data, labels, within_us, only_shown, model):
        self._data, self._labels = data, labels
        self._within_us, self._only_shown = within_us, only_shown
        self._model = model
        self._users = {str(user): at for at, user in enumerate(data.users)}
        self._end_us = int(data.times_us.max())
        self.left_out = collections.Counter()

    def __call__(self, records):
        """The Joined of LoggedRequests, but for those that are left out."""
        for record in records:
            history = self._history(record)
            reason = history if isinstance(history, str) else self._reason(
                record, history)
            if reason:
                self.left_out[reason] += 1
                continue
            candidates = self._candidates(record)
            yield Joined(record, history, candidates,
                         self._labels_of(record, history, candidates))

    def _history(self, record):
        """The slice of events that a request's state had, or why not."""
        state = record.response.state
        if not state.folded_sequence:
            return slice(*2 * [self._events_of(record).start])
        events = self._events_of(record)
        end = events.start + state.folded_sequence
        if end > events.stop:
            return NO_HISTORY
        newest = state.last_event_time
        if int(self._data.times_us[events.start:end].max()) != (
                newest.seconds * 1_000_000 + newest.nanos // 1_000):
            return OTHER_HISTORY
        return slice(events.start, end)

    def _events_of(self, record):
        """All events of a request's user."""
        at = self._users.get(record.request.user_id)
        if at is None:
            return slice(0, 0)
        return slice(*map(int, self._data.offsets[at:at + 2]))

    def _reason(self, record, history):
        """Why a request is left out; None if it is not."""
        if record.request_time_us + self._within_us > self._end_us:
            return NOT_OVER
        earlier = [*self._data.times_us[history][-1:],
                   *map(event_time_us, record.request.recent_events)]
        if earlier and max(earlier) >= record.request_time_us:
            return NOT_LATER
        if not {*self._model.candidate_features}.issubset(
                record.candidate_features):
            return NO_FEATURE
        if record.request.recent_events and not {
                *self._model.event_features}.issubset(record.event_features):
            return NO_FEATURE
        return None

    def _candidates(self, record):
        """Places [C] of those that were scored, and shown."""
        scores = np.array(record.response.scores, np.float32).reshape(
            len(record.request.item_ids), -1)
        chosen = ~np.isnan(scores).any(1)
        if self._only_shown and record.response.order:
            shown = np.zeros(len(chosen), bool)
            shown[list(record.response.order)] = True
            chosen &= shown
        return np.flatnonzero(chosen)

    def _labels_of(self, record, history, candidates):
        later = slice(history.stop, max(history.stop,
                                        self._events_of(record).stop))
        times_us = self._data.times_us[later] - record.request_time_us
        within = (times_us >= 0) & (times_us <= self._within_us)
        names = self._data.action_names[self._data.actions[later]]
        items = np.array(record.request.item_ids, np.uint64)[candidates]
        labels = np.zeros((len(candidates), len(self._labels)), np.int8)
        for column, actions in enumerate(self._labels.values()):
            asked = within & np.isin(names, actions) if actions else within
            labels[:, column] = np.isin(items, self._data.items[later][asked])
        return labels


def event_time_us(event):
    return event.time.seconds * 1_000_000 + event.time.nanos // 1_000
