"""Reads the CSV files of a data set.

A file has a header row and the columns user, item, action, time (names are
configurable), and one column for each feature and label that the model
declares; others are ignored. Items are uint64 ids. The action column may be
missing, as for the command line: every event then has the first action.

Cells are read by the rules of cli/event_csv.h, and what is wrong with one is
said in the same words.
"""

import copy
import re

import numpy as np

from trainer import config as config_lib
from trainer import csv_rows
from trainer import csv_times
from trainer import item_table

_NUMBER = re.compile(r'[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?')
_DECIMAL_COMMA = re.compile('[+-]?[0-9]+,[0-9]+')
_NO_NUMBER = re.compile('[^-+.0-9eE]')


def read(path, config):
    """A frame: user and action (texts), item (uint64), time_us, features.

    Raises ValueError naming file, line, column and value of a bad cell: the
    first in the file.
    """
    return _read(path, lambda rows: _events(rows, config))


def read_items(path, config):
    """The item_table.Lines of a CSV file with one line an item."""
    return _read(path, lambda rows: _items(rows, config))


class _BadCell(ValueError):
    """A cell that is not what it should be, in a row of that index."""

    def __init__(self, row, message):
        super().__init__(message)
        self.row = row


def _read(path, convert):
    """convert(rows of the file); it looks at one column after another."""
    rows = csv_rows.read(path)
    try:
        result = convert(rows)
    except _BadCell as error:
        raise ValueError(str(_first_problem(rows, convert, error))) from None
    if rows.error:
        raise rows.error
    return result


def _first_problem(rows, convert, problem):
    """The _BadCell of the first line that has one, given any."""
    end = problem.row
    while True:
        try:
            convert(rows.part(0, end))
        except _BadCell as earlier:
            end = earlier.row
        else:
            break
    try:
        convert(rows.part(end, end + 1))
    except _BadCell as first:
        return first
    return problem


def _events(rows, config):
    import pandas as pd
    data, model = config.data, config.model
    # That all columns are there is seen before any cell is.
    user, item, time = (_Column(rows, getattr(data, role), f'data.{role}')
                        for role in ('user', 'item', 'time'))
    action = None
    if data.action in rows.header or data.action != config_lib.Data.action:
        action = _Column(rows, data.action, 'data.action')
    numbers = {name: _Column(rows, name)
               for name in (*model.event_features, *model.candidate_features)}
    contexts = [_Column(rows, feature.name)
                for feature in model.context_features]
    labels = {name: _Column(rows, column)
              for name, column in data.labels.items()}

    user.check(user.texts != '', 'is empty')
    user.check_utf8()
    frame = {'user': user.texts,
             'action': _actions(action, model.actions, len(rows)),
             'item': _uint64(item),
             'time_us': _times(time, data.time_unit)}
    for name, column in numbers.items():
        frame[name] = _finite(column)
    for feature, column in zip(model.context_features, contexts):
        column.check_utf8()
        known = {value: row + 1 for row, value in enumerate(feature.values)}
        frame[f'context {feature.name}'] = (
            column.texts.map(known).fillna(0).astype(np.int16))
    for task in model.tasks:
        frame[f'label {task.name}'] = (
            _label(labels[task.name]) if task.name in labels
            else np.full(len(rows), np.nan, np.float32))
    return pd.DataFrame(frame)


def _items(rows, config):
    item = _Column(rows, config.data.item, 'data.item')
    texts = {attribute.name: _Column(rows, attribute.name)
             for attribute in config.model.item_attributes}
    numbers = {number.name: _Column(rows, number.name)
               for number in config.model.item_numbers}
    features = {name: _Column(rows, name)
                for name in config.model.candidate_features
                if name in rows.header}
    ids = _uint64(item)
    _, first, at = np.unique(ids, return_index=True, return_inverse=True)
    item.check(first[at] == np.arange(len(ids)), 'has a line already')
    for column in texts.values():
        column.check_utf8()
    return item_table.Lines(
        ids, {name: column.texts.to_list() for name, column in texts.items()},
        *({name: _number_or_nothing(column) for name, column in found.items()}
          for found in (numbers, features)))


class _Column:
    """The texts of a column, and what is said of a bad one."""

    def __init__(self, rows, name, what_names_it=''):
        """Raises ValueError if the file does not have the column."""
        import pandas as pd
        self._rows = rows
        self._name = name
        self.texts = pd.Series(rows.column(name, what_names_it), dtype=object)

    def __len__(self):
        return len(self.texts)

    def replaced(self, mask, text):
        """The same column with another text in some cells."""
        other = copy.copy(self)
        other.texts = self.texts.mask(mask, text)
        return other

    def check(self, good, problem):
        """Raises _BadCell for the first cell that is not good.

        `problem` is what is wrong, or a function of the text that says it.
        """
        if good.all():
            return
        row = int(np.flatnonzero(~np.asarray(good))[0])
        if callable(problem):
            problem = problem(self.texts.iloc[row])
        self.refuse(row, problem)

    def refuse(self, row, problem):
        raise _BadCell(row, f'{self._rows.path}:{self._rows.lines[row]}: '
                       f'{self._name} "{csv_rows.shown(self.texts.iloc[row])}" '
                       f'{problem}')

    def check_utf8(self):
        """Raises _BadCell for the first cell that is not UTF-8."""
        if not self._rows.is_utf8:
            self.check(~self.texts.str.contains('[\ud800-\udfff]'),
                       'is not UTF-8 (iconv -f latin1 -t utf8, if it is '
                       'Latin-1)')


def _item_problem(text):
    is_number = _NUMBER.fullmatch(text)
    if not text:
        return 'is empty'
    if re.fullmatch('[0-9]+', text) or (is_number and text.startswith('-')):
        return 'is not an item id: they go from 0 to 2^64 - 1'
    if is_number and 'e' in text.lower():
        return 'is not an item id: write all of its digits'
    if is_number and '.' in text:
        return ('is not an item id: write it as a whole number, without a '
                'point (pandas: astype("Int64"))')
    return ('is not an item id: they are whole numbers; number the items, and '
            'keep a table of which is which')


def _uint64(column):
    text = column.texts
    if not len(text):
        return np.zeros(0, np.uint64)
    digits = ''.join(text)
    if not (digits.isascii() and digits.isdecimal() and
            text.str.len().between(1, 19).all()):
        good = text.str.fullmatch('[0-9]{1,20}')
        # Twenty-digit ids may exceed 2^64 - 1.
        good &= (text.str.len() < 20) | (text.str.zfill(20) <=
                                         str(2 ** 64 - 1))
        column.check(good, _item_problem)
    return np.fromiter(map(int, text), np.uint64, len(text))


def _actions(column, names, count):
    """Texts; without a column, as if all were empty."""
    if column is None:
        return np.full(count, '', object)
    column.check_utf8()
    if names:
        column.check(column.texts.isin(['', *names]),
                     'is not one of the actions ' + ', '.join(names))
    return column.texts


def _times(column, unit):
    """Microseconds since 1970."""
    times, error = csv_times.microseconds(column.texts.to_list(), unit)
    if error:
        column.refuse(*error)
    return times


def _finite(column):
    import pandas as pd
    values = pd.to_numeric(column.texts, errors='coerce')
    with np.errstate(over='ignore'):  # To what is not finite.
        values = values.astype(np.float32)
    good = np.isfinite(values)
    if _NO_NUMBER.search(''.join(column.texts)):
        # What pandas takes for a number beyond those of the command line.
        good &= ~column.texts.str.contains(_NO_NUMBER)
    column.check(good, lambda text: 'is not a finite number' + (
        ': write a point for the comma' if _DECIMAL_COMMA.fullmatch(text)
        else ''))
    return values


def _number_or_nothing(column):
    given = column.texts != ''
    filled = column.replaced(~given, '0')
    return np.where(given, _finite(filled), np.nan).astype(np.float64)


def _label(column):
    """1, 0, or NaN where the cell is empty."""
    values = column.texts.map({'0': 0., '1': 1., '': -1.})
    column.check(values.notna(), 'is not 0, 1 or nothing')
    return values.replace(-1., np.nan).astype(np.float32)
