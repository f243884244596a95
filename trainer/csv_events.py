"""Reads the CSV files of a data set.

A file has a header row and the columns user, item, action, time (names are
configurable), and one column for each feature and label that the model
declares; others are ignored. Items are uint64 ids. The action column may be
missing, as for the command line: every event then has the first action.

Cells are read by the rules of cli/event_csv.h, and what is wrong with one is
said in the same words.
"""

import datetime

import numpy as np

from trainer import config as config_lib
from trainer import csv_rows

# Where the times of events lie that anybody has kept: 1990 to 2099.
_PLAUSIBLE_US = (631_152_000_000_000, 4_102_444_800_000_000)
_YEAR_US = 31_556_952_000_000
# What a time can be: years 1 to 9999.
_FIRST_US = -62_135_596_800_000_000
_LAST_US = 253_402_300_799_000_000


def read(path, config):
    """A frame: user and action (texts), item (uint64), time_us, features.

    Raises ValueError naming file, line, column and value of a bad cell.
    """
    import pandas as pd
    data, model = config.data, config.model
    context = [feature.name for feature in model.context_features]
    raw = _Cells(csv_rows.read(path), [
        data.user, data.item, data.time, *model.event_features,
        *model.candidate_features, *context, *data.labels.values()])
    raw.check(data.user, raw[data.user] != '', 'is empty')
    raw.check_utf8(data.user)
    frame = {'user': raw[data.user],
             'item': _uint64(data.item, raw),
             'action': _actions(data.action, raw, model.actions),
             'time_us': _times(data, raw)}
    for column in {*model.event_features, *model.candidate_features}:
        frame[column] = _finite(column, raw)
    for feature in model.context_features:
        rows = {value: row + 1 for row, value in enumerate(feature.values)}
        frame[f'context {feature.name}'] = (
            raw[feature.name].map(rows).fillna(0).astype(np.int16))
    for task in model.tasks:
        frame[f'label {task.name}'] = _label(task, data, raw)
    return pd.DataFrame(frame)


def read_items(path, column):
    """The ids [N] of a CSV file of items."""
    return _uint64(column, _Cells(csv_rows.read(path), [column]))


class _Cells:
    """Columns of a file, as series of texts."""

    def __init__(self, rows, wanted):
        self._rows = rows
        self._columns = {}
        for column in dict.fromkeys(wanted):
            self.add(column)

    def __len__(self):
        return len(self._rows)

    def __getitem__(self, column):
        return self._columns[column]

    def has(self, column):
        """Whether the file has the column."""
        return column in self._rows.header

    def add(self, column):
        """Reads one more column; raises ValueError if it is missing."""
        import pandas as pd
        self._columns[column] = pd.Series(self._rows.column(column),
                                          dtype=object)

    def check(self, column, good, problem):
        """Raises ValueError for the first cell that is not good.

        `problem` is what is wrong, or a function of the text that says it.
        """
        if good.all():
            return
        at = int(np.flatnonzero(~np.asarray(good))[0])
        text = self._columns[column].iloc[at]
        if callable(problem):
            problem = problem(text)
        shown = text[:100].encode('ascii', 'backslashreplace').decode()
        raise ValueError(f'{self._rows.path}:{self._rows.lines[at]}: {column} '
                         f'"{shown}" {problem}')

    def check_utf8(self, column):
        """Raises ValueError for the first cell that is not UTF-8."""
        self.check(column, ~self[column].str.contains('[\ud800-\udfff]'),
                   'is not UTF-8 (iconv -f latin1 -t utf8, if it is Latin-1)')


def _is_number(text):
    try:
        return np.isfinite(float(text))
    except ValueError:
        return False


def _item_problem(text):
    if not text:
        return 'is empty'
    if text.isdecimal() or (_is_number(text) and text.startswith('-')):
        return 'is not an item id: they go from 0 to 2^64 - 1'
    if _is_number(text) and 'e' in text.lower():
        return 'is not an item id: write all of its digits'
    if _is_number(text) and '.' in text:
        return ('is not an item id: write it as a whole number, without a '
                'point (pandas: astype("Int64"))')
    return ('is not an item id: they are whole numbers; number the items, and '
            'keep a table of which is which')


def _uint64(column, raw):
    text = raw[column]
    if not len(raw):
        return np.zeros(0, np.uint64)
    good = text.str.fullmatch('[0-9]{1,20}')
    # Twenty-digit ids may exceed 2^64 - 1.
    good &= (text.str.len() < 20) | (text.str.zfill(20) <= str(2 ** 64 - 1))
    raw.check(column, good, _item_problem)
    return text.to_numpy().astype(np.uint64)


def _actions(column, raw, names):
    """Texts; where the default column is missing, as if all were empty."""
    if column == config_lib.Data.action and not raw.has(column):
        return np.full(len(raw), '', object)
    raw.add(column)
    raw.check_utf8(column)
    if names:
        raw.check(column, raw[column].isin(['', *names]),
                  'is not one of the actions ' + ', '.join(names))
    return raw[column]


def _times(data, raw):
    """Microseconds since 1970; what is below them is cut off."""
    text = raw[data.time]
    if not len(raw):
        return np.zeros(0, np.int64)
    if data.time_unit == 'rfc3339':
        return _dates(data.time, raw)
    unit = config_lib.TIME_UNITS[data.time_unit]
    good = text.str.fullmatch(r'-?[0-9]{1,18}(\.[0-9]*)?')
    raw.check(data.time, good,
              lambda text: _number_problem(text, data.time_unit))
    parts = text.str.partition('.')
    counts = parts[0].astype(np.int64)
    _check_unit(data, raw, counts)
    raw.check(data.time, (counts >= _FIRST_US // unit) &
              (counts <= _LAST_US // unit), 'is outside of the years 1 to 9999')
    digits = len(str(unit)) - 1
    below = parts[2].str.ljust(digits, '0').str.slice(0, digits)
    below = ('0' + below).astype(np.int64)
    sign = np.where(text.str.startswith('-'), -1, 1)
    return counts * unit + sign * below


def _number_problem(text, unit):
    if 'e' in text.lower() and _is_number(text):
        return 'is not a time: write all of its digits'
    return f'is not a number of {unit} since 1970'


def _check_unit(data, raw, counts):
    """Refuses a time that another unit explains better."""
    def plausible(unit):
        first, last = (us // config_lib.TIME_UNITS[unit]
                       for us in _PLAUSIBLE_US)
        return (counts >= first) & (counts < last)

    def year(text, unit):
        count = int(text.partition('.')[0])
        return 1970 + count * config_lib.TIME_UNITS[unit] // _YEAR_US

    unit = data.time_unit
    good = plausible(unit)
    for other in config_lib.TIME_UNITS:
        raw.check(data.time, good | ~plausible(other), lambda text: (
            f'is in the year {year(text, unit)} if it counts {unit}, in '
            f'{year(text, other)} if it counts {other}: time_unit = '
            f'"{other}"'))


def _dates(column, raw):
    good = raw[column].str.fullmatch(
        '[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-5][0-9]'
        r'(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})')
    problem = 'is not an RFC 3339 time such as 2017-11-20T18:03:00Z'
    raw.check(column, good, problem)
    times = [_microseconds(text) for text in raw[column]]
    raw.check(column, np.array([time is not None for time in times]), problem)
    return np.array(times, np.int64)


def _microseconds(text):
    """Of a text that has the form of RFC 3339; None if there is no such day."""
    zone = '+00:00' if text[-1] in 'Zz' else text[-6:]
    fraction = text[19:].rstrip('Zz').split('+')[0].split('-')[0]
    try:
        whole = datetime.datetime.fromisoformat(f'{text[:10]}T{text[11:19]}'
                                                f'{zone}')
    except ValueError:
        return None
    since = whole - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return since // datetime.timedelta(microseconds=1) + int(
        fraction.removeprefix('.')[:6].ljust(6, '0'))


def _finite(column, raw):
    import pandas as pd
    values = pd.to_numeric(raw[column], errors='coerce').astype(np.float32)
    raw.check(column, np.isfinite(values), 'is not a finite number')
    return values


def _label(task, data, raw):
    """1, 0, or NaN where the cell is empty or the task has no label column."""
    if task.name not in data.labels:
        return np.full(len(raw), np.nan, np.float32)
    column = data.labels[task.name]
    values = raw[column].map({'0': 0., '1': 1., '': -1.})
    raw.check(column, values.notna(), 'is not 0, 1 or nothing')
    return values.replace(-1., np.nan).astype(np.float32)
