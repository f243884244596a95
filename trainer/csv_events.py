"""Reads the CSV files of a data set.

A file has a header row and the columns user, item, action, time (names are
configurable), and one column for each feature and label that the model
declares; others are ignored. Items are uint64 ids. The action column may be
missing, as for the command line: every event then has the first action.
"""

import numpy as np

from trainer import config as config_lib


def read(path, config):
    """A frame: user and action (texts), item (uint64), time_us, features.

    Raises ValueError naming file, line, column and value of a bad cell.
    """
    import pandas as pd
    data, model = config.data, config.model
    context = [feature.name for feature in model.context_features]
    raw = _read_texts(path, [
        data.user, data.item, data.time, *model.event_features,
        *model.candidate_features, *context, *data.labels.values()])
    _check_cells(path, data.user, raw, raw[data.user] != '', 'not empty')
    frame = {'user': raw[data.user],
             'item': _uint64(path, data.item, raw),
             'action': _actions(path, data.action, raw, model.actions),
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


def read_items(path, column):
    """The ids [N] of a CSV file of items."""
    return _uint64(path, column, _read_texts(path, [column]))


def _read_texts(path, wanted):
    """All cells as texts; raises ValueError if a wanted column is missing."""
    import pandas as pd
    try:
        raw = pd.read_csv(path, dtype=str, keep_default_na=False,
                          encoding='utf-8-sig')
    except (OSError, ValueError) as error:
        raise ValueError(f'{path}: {error}') from error
    for column in wanted:
        if column not in raw.columns:
            raise ValueError(f'{path}: line 1: column {column!r} is missing; '
                             f'found {", ".join(raw.columns)}')
    return raw


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


def _actions(path, column, raw, names):
    """Texts; where the default column is missing, as if all were empty."""
    if column not in raw.columns and column == config_lib.Data.action:
        return np.full(len(raw), '', object)
    if column not in raw.columns:
        raise ValueError(f'{path}: line 1: column {column!r} is missing; '
                         f'found {", ".join(raw.columns)}')
    if names:
        _check_cells(path, column, raw, raw[column].isin(['', *names]),
                     'one of the actions ' + ', '.join(names))
    return raw[column]


def _times(path, data, raw):
    """Microseconds since 1970; what is below them is cut off."""
    text = raw[data.time]
    if data.time_unit == 'rfc3339':
        return _dates(path, data.time, raw)
    unit = config_lib.TIME_UNITS[data.time_unit]
    good = text.str.fullmatch(r'-?\d{1,18}(\.\d*)?')
    _check_cells(path, data.time, raw, good,
                 f'a number of {data.time_unit} since 1970')
    parts = text.str.partition('.')
    digits = len(str(unit)) - 1
    below = parts[2].str.ljust(digits, '0').str.slice(0, digits)
    below = ('0' + below).astype(np.int64)
    sign = np.where(text.str.startswith('-'), -1, 1)
    return parts[0].astype(np.int64) * unit + sign * below


def _dates(path, column, raw):
    import pandas as pd
    when = pd.to_datetime(raw[column], utc=True, errors='coerce')
    _check_cells(path, column, raw, when.notna(),
                 'a date such as 2017-11-20T18:03:00Z')
    return (when - pd.Timestamp(0, tz='UTC')) // pd.Timedelta(microseconds=1)


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
