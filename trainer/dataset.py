"""Events of many users as flat arrays, read from CSV files."""

import dataclasses
import json
import pathlib
import sys

import numpy as np

from trainer import buckets
from trainer import config as config_lib
from trainer import csv_events
from trainer import hyper as hyper_lib
from trainer import item_table as item_table_lib

# Where a data set names its own actions: more are a mistaken column.
MAX_ACTIONS = 256
# What arrays of items are called where a data set is saved.
_TABLE, _FEATURE = 'item_table.', 'item_feature.'


@dataclasses.dataclass
class Dataset:
    """E events of U users, sorted by user, then stably by time.

    offsets [U + 1]: user i has events offsets[i] ... offsets[i + 1] - 1.
    rows, actions, times_us [E]; event_features [E, .], candidate_features
    [E, .], context_rows [E, .], labels [E, T] (NaN: no label). item_ids [N]:
    item k has row k + 1, row 0 is out of vocabulary. items [E]: ids, of
    items outside the catalogue too. action_names [A]. cut_us: the first
    held-out time, or -1. ordered: each event is a moment of its own.
    column_names: {field: names of its columns}, of the fields with several.
    item_table: what is known of the items, or None. item_features {name:
    [N + 1]}: candidate features that are columns of the item table, 0 where
    it has none.
    """
    users: np.ndarray
    offsets: np.ndarray
    item_ids: np.ndarray
    items: np.ndarray
    rows: np.ndarray
    action_names: np.ndarray
    actions: np.ndarray
    times_us: np.ndarray
    event_features: np.ndarray
    candidate_features: np.ndarray
    context_rows: np.ndarray
    labels: np.ndarray
    cut_us: int
    ordered: bool = False
    column_names: dict = dataclasses.field(default_factory=dict)
    item_table: item_table_lib.ItemTable = None
    item_features: dict = dataclasses.field(default_factory=dict)

    @property
    def num_events(self):
        return len(self.rows)

    def save(self, path):
        """Writes an .npz that load() reads without the CSV files."""
        values = {field.name: getattr(self, field.name)
                  for field in dataclasses.fields(self)}
        values['column_names'] = json.dumps(self.column_names)
        table = values.pop('item_table')
        values['content'] = json.dumps(table and {
            'item_attributes': [dataclasses.asdict(attribute)
                                for attribute in table.attributes],
            'item_numbers': [dataclasses.asdict(number)
                             for number in table.numbers]})
        for name, array in (table.arrays() if table else {}).items():
            values[_TABLE + name] = array
        for name, array in values.pop('item_features').items():
            values[_FEATURE + name] = array
        np.savez_compressed(path, **values)

    def select(self, model):
        """The same events with the columns that a Hyper declares, in its order.

        Raises ValueError naming a column that was not prepared.
        """
        wanted, columns = _column_names(model), {}
        for field, names in wanted.items():
            known = self.column_names[field]
            for name in names:
                if name not in known:
                    raise ValueError(f'{field} has no column {name!r}; '
                                     f'prepared: {", ".join(known)}')
            at = [known.index(name) for name in names]
            columns[field] = getattr(self, field)[:, at]
        features = {name: values for name, values in self.item_features.items()
                    if name in model.candidate_features}
        return dataclasses.replace(self, column_names=wanted,
                                   item_features=features, **columns)

    def before(self, time_us):
        """The same users and items with the events before a time."""
        return self._keep(self.times_us < time_us)

    def without_last(self, count):
        """The same users and items without each user's last events."""
        return self._keep(self.is_before_last(count))

    def is_before_last(self, count):
        """Which events [E] are not of their user's last ones."""
        return np.arange(self.num_events) < np.repeat(
            self.offsets[1:] - count, np.diff(self.offsets))

    def _keep(self, mask):
        kept = np.concatenate([[0], np.cumsum(mask)])
        columns = {name: getattr(self, name)[mask] for name in (
            'items', 'rows', 'actions', 'times_us', 'event_features',
            'candidate_features', 'context_rows', 'labels')}
        return dataclasses.replace(self, offsets=kept[self.offsets], **columns)

    def with_catalogue(self, item_ids):
        """The same events with the rows of another catalogue; attributes are
        left behind."""
        at = np.append(0, rows_of(self.item_ids, item_ids))
        return dataclasses.replace(
            self, item_ids=item_ids, rows=rows_of(item_ids, self.items),
            item_table=None,
            item_features={name: values[at] for name, values in
                           self.item_features.items()})


def open_data(path, config):
    """A prepared .npz, or a config's CSV files in a folder.

    Returns the Dataset, and the config with what it takes from the data: its
    actions, the values of item attributes, the constants of item numbers.
    """
    if str(path).endswith('.npz'):
        data = load(path).select(config.model)
    else:
        data = read(config, path)
    config = config_lib.with_actions(config, data.action_names)
    return data, config_lib.with_content(config, data.item_table)


def load(path):
    """Reads what Dataset.save wrote."""
    with np.load(path) as arrays:
        values = {name: arrays[name] for name in arrays.files}
    table, features = (
        {name[len(prefix):]: values.pop(name) for name in list(values)
         if name.startswith(prefix)} for prefix in (_TABLE, _FEATURE))
    missing = {'content', *(field.name for field in dataclasses.fields(Dataset)
                            if not field.name.startswith('item_t') and
                            field.name != 'item_features')} - {*values}
    if missing:
        raise ValueError(f'{path}: {", ".join(sorted(missing))} is missing: '
                         'made by another version; prepare it again')
    values['cut_us'] = int(values['cut_us'])
    values['ordered'] = bool(values['ordered'])
    values['column_names'] = json.loads(str(values['column_names']))
    content = json.loads(str(values.pop('content')))
    if content:
        model = hyper_lib.from_dict(content)
        values['item_table'] = item_table_lib.from_arrays(
            model.item_attributes, model.item_numbers, table)
    return Dataset(**values, item_features=features)


def read(config, folder):
    """Reads the CSV files of a config.

    Raises ValueError naming file, line, column and value of a bad cell.
    """
    import pandas as pd  # Not needed where a saved data set is trained on.
    folder = pathlib.Path(folder)
    table = None
    if config.data.catalogue:
        table = csv_events.read_items(folder / config.data.catalogue, config)
    train, heldout, cut_us = _events(config, folder, table)
    events = pd.concat([train, *heldout], ignore_index=True)
    item_ids, item_table = _items(config, train, table)
    names, actions = _actions(config, events['action'])
    # Users in order of their first line; lines of equal time keep their order.
    codes, users = pd.factorize(events['user'])
    order = np.lexsort((events['time_us'].to_numpy(), codes))
    events, codes, actions = events.iloc[order], codes[order], actions[order]
    counts = np.bincount(codes, minlength=len(users))
    items = events['item'].to_numpy()
    rows = rows_of(item_ids, items)
    item_features = _item_features(item_ids, table)
    for name, values in item_features.items():
        events[name] = values[rows]

    column_names = _column_names(config.model)

    def columns(field, prefix='', dtype=np.float32):
        return events[[prefix + name for name in column_names[field]]
                      ].to_numpy(dtype)
    return Dataset(
        users=np.array(users, dtype=str),
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        item_ids=item_ids, items=items, rows=rows,
        action_names=np.array(names, dtype=str), actions=actions,
        times_us=events['time_us'].to_numpy(np.int64),
        event_features=columns('event_features'),
        candidate_features=columns('candidate_features'),
        context_rows=columns('context_rows', 'context ', np.int16),
        labels=columns('labels', 'label '),
        cut_us=cut_us, ordered=config.data.equal_times == 'order',
        column_names=column_names, item_table=item_table,
        item_features=item_features)


def _events(config, folder, table):
    """(events that are trained on, [those that are held out], cut_us)."""
    import pandas as pd
    if table:  # What is known of items is no column of the events.
        config = dataclasses.replace(config, model=dataclasses.replace(
            config.model, candidate_features=tuple(
                name for name in config.model.candidate_features
                if name not in table.features)))
    train_files, heldout_files = config_lib.data_files(config, folder)
    train = pd.concat([csv_events.read(path, config) for path in train_files])
    _check_not_empty(train, train_files)
    heldout, cut_us = [], -1
    if heldout_files:
        later = pd.concat([csv_events.read(path, config)
                           for path in heldout_files])
        _check_not_empty(later, heldout_files)
        heldout.append(later)
        cut_us = int(later['time_us'].min())
        _note_late(train, cut_us)
    if config.data.validate_from:
        # Of one file: what is held out is still to come.
        cut_us = config_lib.time_us(config.data.validate_from,
                                    'data.validate_from')
        heldout.append(train[train['time_us'] >= cut_us])
        train = train[train['time_us'] < cut_us]
    return train, heldout, cut_us


def _item_features(item_ids, table):
    """{name: float32 [N + 1]} of the item table's candidate features; the mean
    where it has none."""
    features = {}
    for name, values in (table.features if table else {}).items():
        known = ~np.isnan(values)
        mean = values[known].mean() if known.any() else 0.
        of_rows = np.full(len(item_ids) + 1, mean, np.float32)
        rows = rows_of(item_ids, table.ids)
        known &= rows > 0
        of_rows[rows[known]] = values[known]
        features[name] = of_rows
    return features


def _column_names(model):
    return {'event_features': list(model.event_features),
            'candidate_features': list(model.candidate_features),
            'context_rows': [feature.name
                             for feature in model.context_features],
            'labels': [task.name for task in model.tasks]}


def _check_not_empty(frame, paths):
    if not len(frame):
        raise ValueError(f'{", ".join(map(str, paths))}: no events, only a '
                         'header')


def _note_late(train, cut_us):
    late = int((train['time_us'] >= cut_us).sum())
    if late:
        print(f'note: {late:,} events of the training files are not before '
              'the first event of the held-out files; they are held out too',
              file=sys.stderr)


def _actions(config, texts):
    """The names of all actions, and the index of every event's.

    An empty cell is the first action, as it is to a server. Without
    model.actions the names are those of the data, the most frequent first.
    """
    names = config.model.actions
    if not names:
        counts = texts[texts != ''].value_counts().sort_index()
        names = tuple(counts.sort_values(ascending=False, kind='stable').index)
        if len(names) > MAX_ACTIONS:
            raise ValueError(
                f'column {config.data.action!r} has {len(names):,} different '
                f'values, such as {names[0]!r}: more than {MAX_ACTIONS} are no '
                'actions; name the right column in data.action')
        names = names or ('event',)
    codes = {name: index for index, name in enumerate(names)}
    return names, texts.map({'': 0, **codes}).to_numpy(np.int16)


def _items(config, train, table):
    """(item ids [N], ItemTable or None) of a data set's catalogue."""
    least, model = config.data.min_item_count, config.model
    if not table:
        if model.has_content:
            raise ValueError('model.item_attributes and model.item_numbers are '
                             'columns of an item table: data.catalogue says '
                             'which file it is')
        ids = catalogue(train['item'].to_numpy(), least)
        if not len(ids):
            raise ValueError(f'data.min_item_count is {least}, but no item has '
                             'so many training events')
        return ids, None
    if not model.has_content:
        return np.sort(table.ids), None
    # The table may lack what is sold all the time: nothing is known of it.
    ids = np.union1d(table.ids, catalogue(train['item'].to_numpy(), least))
    return ids, item_table_lib.make(model, ids, table)


def catalogue(items, min_count):
    """Sorted ids of the items that occur at least min_count times."""
    ids, counts = np.unique(items, return_counts=True)
    return ids[counts >= min_count]


def rows_of(item_ids, items):
    """Item rows; 0 for items outside the catalogue (distinct item_ids)."""
    order = np.argsort(item_ids)
    at = np.searchsorted(item_ids, items, sorter=order)
    index = order[np.minimum(at, len(item_ids) - 1)]
    return np.where(item_ids[index] == items, index + 1, 0).astype(np.int32)


@dataclasses.dataclass
class Moments:
    """What the times of events say; the same whatever order equal times have.

    All [E]. A moment is a run of one user's events with equal times: a
    shopping basket, say. first: index of the moment's first event; size: its
    events. gaps, nexts, counts: the buckets of docs/model.md, section 2.
    """
    first: np.ndarray
    size: np.ndarray
    gaps: np.ndarray
    nexts: np.ndarray
    counts: np.ndarray


def moments(data):
    """Computes the Moments of a Dataset."""
    index = np.arange(data.num_events)
    starts = np.zeros(data.num_events, bool)
    starts[data.offsets[:-1][np.diff(data.offsets) > 0]] = True
    gap_s = buckets.seconds_between(data.times_us[:-1], data.times_us[1:])
    gaps = np.zeros(data.num_events, np.int64)
    gaps[1:] = np.where(starts[1:], 0, buckets.gap_bucket(gap_s))
    nexts = np.append(gaps[1:], 0)
    new = starts.copy()
    new[1:] |= (data.times_us[1:] != data.times_us[:-1]) | data.ordered
    first = np.maximum.accumulate(np.where(new, index, 0))
    size = np.diff(np.append(np.flatnonzero(new), data.num_events))
    ordinal = index - np.maximum.accumulate(np.where(starts, index, 0)) + 1
    return Moments(first, np.repeat(size, size), gaps, nexts,
                   buckets.count_bucket(ordinal))
