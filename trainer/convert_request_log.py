"""A server's request log and the events that followed, as a file to train on.

Each request becomes a user of its own: their events are those that the
request's state had, and after them, at the request's time, its candidates with
their labels. So a candidate is scored from the state that it was scored from
when it was served, and nothing that was only shown is folded into any.
"""

import dataclasses
import pathlib

import numpy as np

from trainer import dataset
from trainer import request_join
from trainer import request_log

NAME = 'requests.parquet'
# Rows that are held at a time, and a little more.
_PART_ROWS = 1 << 18


def convert(log, events, config, labels, within_s, out, only_shown=True):
    """Writes requests.parquet in a folder, with the columns of a Config.

    log: the folder of the log; events: paths of files of events; labels:
    {column: names of actions, () for any}. Returns {what: how many}. Raises
    ValueError naming what is wrong.
    """
    _check(config, labels)
    data = dataset.read(_of_events(config, events), '.')
    join = request_join.Join(data, labels, int(within_s * 1_000_000),
                             only_shown, config.model)
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    counts = {'requests': 0, 'candidates': 0,
              **{f'candidates with {column}': 0 for column in labels}}
    with _Writer(out / NAME, data, config, labels) as writer:
        for joined in join(request_log.read(log)):
            counts['requests'] += 1
            counts['candidates'] += len(joined.candidates)
            for column, taken in zip(labels, joined.labels.sum(0)):
                counts[f'candidates with {column}'] += int(taken)
            writer.add(joined, counts['requests'])
    return counts | {f'left out: {reason}': count
                     for reason, count in join.left_out.items()}


def _check(config, labels):
    if config.data.item_keys == 'text':
        raise ValueError('data.item_keys is "text", but a request log has ids, '
                         'and not all of the texts')
    if config.data.equal_times != 'moment':
        raise ValueError('data.equal_times is "order"; it must be "moment": '
                         'the candidates of a request are one')
    for task, column in config.data.labels.items():
        if column not in labels:
            raise ValueError(f'data.labels: {task} is column {column!r}, of '
                             'which no --label says what it is')


def _of_events(config, events):
    """The config that files of events are read by: with none of the columns
    that only requests have."""
    return dataclasses.replace(
        config, data=dataclasses.replace(
            config.data, train=tuple(str(pathlib.Path(path).absolute())
                                     for path in events),
            heldout=(), catalogue='', users='', validate_from='', test_from='',
            split='time', min_item_count=1, labels={}),
        model=dataclasses.replace(
            config.model, candidate_features=(), context_features=(),
            item_attributes=(), item_numbers=()))


class _Writer:
    """The file; a context manager that closes it."""

    def __init__(self, path, data, config, labels):
        import pyarrow
        from pyarrow import parquet
        self._arrow, self._data, self._config = pyarrow, data, config
        self._labels = labels
        self._schema = pyarrow.schema(self._fields())
        _refuse_repeated(self._schema.names)
        self._file = parquet.ParquetWriter(path, self._schema)
        self._parts, self._rows = [], 0

    def _fields(self):
        arrow, data, model = self._arrow, self._config.data, self._config.model
        return [
            (data.user, arrow.string()), (data.item, arrow.uint64()),
            (data.action, arrow.string()),
            (data.time, arrow.timestamp('us', 'UTC')),
            *((name, arrow.float32()) for name in dict.fromkeys(
                model.event_features + model.candidate_features)),
            *((feature.name, arrow.string())
              for feature in model.context_features),
            *((column, arrow.int8()) for column in self._labels),
            ('request', arrow.int64()), ('shown', arrow.int64()),
            *((f'logit_{task.name}', arrow.float32())
              for task in model.tasks)]

    def add(self, joined, number):
        """A request, the number of which is one of its own."""
        columns = self._columns(joined, number)
        self._parts.append(self._arrow.record_batch(
            [self._arrow.array(columns[field.name], field.type)
             if not isinstance(columns[field.name], self._arrow.Array)
             else columns[field.name] for field in self._schema],
            schema=self._schema))
        self._rows += self._parts[-1].num_rows
        if self._rows >= _PART_ROWS:
            self._flush()

    def _columns(self, joined, number):
        """{column: values} of a request's rows: its history, its recent
        events, its candidates."""
        record, data, model = joined.record, self._data, self._config.model
        recent = record.request.recent_events
        known = joined.history.stop - joined.history.start + len(recent)
        asked = len(joined.candidates)

        def of_events(values, of_recent):
            return np.concatenate([values[joined.history],
                                   np.array(of_recent, values.dtype)])
        names = data.action_names[data.actions[joined.history]].tolist()
        times_us = of_events(data.times_us, list(
            map(request_join.event_time_us, recent)))
        event_features = np.concatenate([
            data.event_features[joined.history],
            joined.recent_features(model.event_features),
            np.zeros((asked, len(model.event_features)), np.float32)])
        logits = joined.logits()
        columns = {
            self._config.data.user:
                [f'{record.request.user_id}#{number}'] * (known + asked),
            self._config.data.item: np.concatenate([
                of_events(data.items, [event.item_id for event in recent]),
                joined.items]),
            self._config.data.action:
                names + [event.action or record.default_action
                         for event in recent] + [''] * asked,
            self._config.data.time: np.append(
                times_us, np.full(asked, joined.time_us)).astype('M8[us]'),
            'request': [number] * (known + asked),
            'shown': self._after(known, [place if place >= 0 else None
                                         for place in joined.shown().tolist()]
                                 )}
        columns |= dict(zip(model.event_features, event_features.T))
        # What came before is no candidate, and no candidate is folded: what
        # both are told by one name is of the one before and of the other then.
        of_candidates = joined.candidate_features(model.candidate_features)
        for name, values in zip(model.candidate_features, of_candidates.T):
            before = columns.get(name, np.zeros(known, np.float32))[:known]
            columns[name] = np.concatenate([before, values])
        columns |= {feature.name: self._after(known, asked * [
            record.request.context.get(feature.name, '')])
                    for feature in model.context_features}
        columns |= {column: self._after(known, values.tolist())
                    for column, values in zip(self._labels, joined.labels.T)}
        columns |= {f'logit_{task.name}': self._after(
            known, logits[task.name].tolist() if task.name in logits
            else [None] * asked) for task in model.tasks}
        return columns

    def _after(self, known, values):
        """Values of candidates, behind cells that are empty."""
        return [None] * known + values

    def _flush(self):
        if self._parts:
            self._file.write_table(self._arrow.Table.from_batches(self._parts))
        self._parts, self._rows = [], 0

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self._flush()
        self._file.close()


def _refuse_repeated(names):
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f'two columns would be called {name!r}')
