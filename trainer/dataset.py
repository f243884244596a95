"""Events of many users as flat arrays, read from CSV files.

A CSV has a header row and the columns user, item, action, time (names are
configurable), and one column for each feature and label that the model
declares. Items are uint64 ids.
"""

import dataclasses
import pathlib

import numpy as np

from trainer import buckets
from trainer import config as config_lib


@dataclasses.dataclass
class Dataset:
    """E events of U users, sorted by user, then stably by time.

    offsets [U + 1]: user i has events offsets[i] ... offsets[i + 1] - 1.
    rows, actions, times_us [E]; event_features [E, .], candidate_features
    [E, .], context_rows [E, .], labels [E, T] (NaN: no label). item_ids [N]:
    item k has row k + 1, row 0 is out of vocabulary. cut_us: the first
    held-out time, or -1. ordered: each event is a moment of its own.
    """
    users: np.ndarray
    offsets: np.ndarray
    item_ids: np.ndarray
    rows: np.ndarray
    actions: np.ndarray
    times_us: np.ndarray
    event_features: np.ndarray
    candidate_features: np.ndarray
    context_rows: np.ndarray
    labels: np.ndarray
    cut_us: int
    ordered: bool = False

    @property
    def num_events(self):
        return len(self.rows)

    def save(self, path):
        """Writes an .npz that load() reads without the CSV files."""
        np.savez_compressed(path, **dataclasses.asdict(self))

    def before(self, time_us):
        """The same users and items with the events before a time."""
        return self._keep(self.times_us < time_us)

    def without_last(self, count):
        """The same users and items without each user's last events."""
        index = np.arange(self.num_events)
        return self._keep(index < np.repeat(self.offsets[1:] - count,
                                            np.diff(self.offsets)))

    def _keep(self, mask):
        kept = np.concatenate([[0], np.cumsum(mask)])
        columns = {name: getattr(self, name)[mask] for name in (
            'rows', 'actions', 'times_us', 'event_features',
            'candidate_features', 'context_rows', 'labels')}
        return dataclasses.replace(self, offsets=kept[self.offsets], **columns)


def load(path):
    """Reads what Dataset.save wrote."""
    with np.load(path) as arrays:
        values = {name: arrays[name] for name in arrays.files}
    values['cut_us'] = int(values['cut_us'])
    values['ordered'] = bool(values['ordered'])
    return Dataset(**values)


def read(config, folder):
    """Reads the CSV files of a config.

    Raises ValueError naming file, line, column and value of a bad cell.
    """
    import pandas as pd  # Not needed where a saved data set is trained on.
    folder = pathlib.Path(folder)
    train_files, heldout_files = config_lib.data_files(config, folder)
    train = pd.concat([_read_csv(path, config) for path in train_files])
    frames, cut_us = [train], -1
    if heldout_files:
        frames += [_read_csv(path, config) for path in heldout_files]
        cut_us = int(min(frame['time_us'].min() for frame in frames[1:]))
    events = pd.concat(frames, ignore_index=True)
    item_ids = _item_ids(config, folder, train)
    # Users in order of their first line; lines of equal time keep their order.
    codes, users = pd.factorize(events['user'])
    order = np.lexsort((events['time_us'].to_numpy(), codes))
    events, codes = events.iloc[order], codes[order]
    counts = np.bincount(codes, minlength=len(users))

    def columns(names, dtype=np.float32):
        return events[list(names)].to_numpy(dtype)
    model = config.model
    return Dataset(
        users=np.array(users, dtype=str),
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        item_ids=item_ids, rows=rows_of(item_ids, events['item'].to_numpy()),
        actions=events['action'].to_numpy(np.int16),
        times_us=events['time_us'].to_numpy(np.int64),
        event_features=columns(model.event_features),
        candidate_features=columns(model.candidate_features),
        context_rows=columns((f'context {feature.name}'
                              for feature in model.context_features),
                             np.int16),
        labels=columns(f'label {task.name}' for task in model.tasks),
        cut_us=cut_us, ordered=config.data.equal_times == 'order')


def _item_ids(config, folder, train):
    if not config.data.catalogue:
        return catalogue(train['item'].to_numpy(), config.data.min_item_count)
    import pandas as pd
    path, column = folder / config.data.catalogue, config.data.item
    raw = pd.read_csv(path, dtype=str, keep_default_na=False)
    if column not in raw.columns:
        raise ValueError(f'{path}: line 1: column {column!r} is missing')
    return np.unique(_uint64(path, column, raw))


def catalogue(items, min_count):
    """Sorted ids of the items that occur at least min_count times."""
    ids, counts = np.unique(items, return_counts=True)
    return ids[counts >= min_count]


def rows_of(item_ids, items):
    """Item rows; 0 for items outside the catalogue (sorted item_ids)."""
    at = np.searchsorted(item_ids, items)
    at_safe = np.minimum(at, len(item_ids) - 1)
    known = item_ids[at_safe] == items
    return np.where(known, at_safe + 1, 0).astype(np.int32)


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


# ---- Reading a CSV ----------------------------------------------------------


def _read_csv(path, config):
    """A frame with user, item (uint64), action (index), time_us, features."""
    import pandas as pd
    data, model = config.data, config.model
    try:
        raw = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise ValueError(f'{path}: {error}') from error
    context = [feature.name for feature in model.context_features]
    wanted = [data.user, data.item, data.action, data.time,
              *model.event_features, *model.candidate_features, *context,
              *data.labels.values()]
    for column in wanted:
        if column not in raw.columns:
            raise ValueError(f'{path}: line 1: column {column!r} is missing; '
                             f'found {", ".join(raw.columns)}')
    _check_cells(path, data.user, raw, raw[data.user] != '', 'not empty')
    frame = {'user': raw[data.user],
             'item': _uint64(path, data.item, raw),
             'action': _index(path, data.action, raw, model.actions),
             'time_us': _times(path, data, raw)}
    for column in {*model.event_features, *model.candidate_features}:
        frame[column] = _finite(path, column, raw)
    for feature in model.context_features:
        rows = {value: row + 1 for row, value in enumerate(feature.values)}
        frame[f'context {feature.name}'] = (
            raw[feature.name].map(rows).fillna(0).astype(np.int16))
    for task in model.tasks:
        frame[f'label {task.name}'] = _label(path, task, data, raw)
    return pd.DataFrame(frame)


def _check_cells(path, column, raw, good, expected):
    if not good.all():
        at = int(np.flatnonzero(~np.asarray(good))[0])
        # Line 1 is the header. A quoted line break would shift this.
        raise ValueError(f'{path}: line {at + 2}: column {column!r} is '
                         f'{raw[column].iloc[at]!r}; expected {expected}')


def _uint64(path, column, raw):
    text = raw[column]
    good = text.str.fullmatch(r'\d{1,20}')
    # Twenty-digit ids may exceed 2^64 - 1.
    good &= (text.str.len() < 20) | (text.str.zfill(20) <= str(2 ** 64 - 1))
    _check_cells(path, column, raw, good, 'an id from 0 to 2^64 - 1')
    return text.to_numpy().astype(np.uint64)


def _index(path, column, raw, names):
    codes = raw[column].map({name: at for at, name in enumerate(names)})
    _check_cells(path, column, raw, codes.notna(),
                 'one of the actions ' + ', '.join(names))
    return codes.astype(np.int16)


def _times(path, data, raw):
    unit = config_lib.TIME_UNITS[data.time_unit]
    good = raw[data.time].str.fullmatch(r'-?\d{1,18}')
    _check_cells(path, data.time, raw, good,
                 f'a whole number of {data.time_unit} since 1970')
    return raw[data.time].astype(np.int64) * unit


def _finite(path, column, raw):
    import pandas as pd
    values = pd.to_numeric(raw[column], errors='coerce').astype(np.float32)
    _check_cells(path, column, raw, np.isfinite(values), 'a finite number')
    return values


def _label(path, task, data, raw):
    """1, 0, or NaN where the cell is empty or the task has no label column."""
    if task.name not in data.labels:
        return np.full(len(raw), np.nan, np.float32)
    column = data.labels[task.name]
    values = raw[column].map({'0': 0., '1': 1., '': -1.})
    _check_cells(path, column, raw, values.notna(), '0, 1 or nothing')
    return values.replace(-1., np.nan).astype(np.float32)
