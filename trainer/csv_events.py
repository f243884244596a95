"""Reads the files of a data set: CSV, or Parquet by the same rules.

A file has a header row and the columns user, item, action, time (names are
configurable), and one column for each feature and label that the model
declares; others are ignored. Items are uint64 ids. The action column may be
missing, as for the command line: every event then has the first action.

Cells are read by the rules of cli/event_csv.h, and what is wrong with one is
said in the same words. A file whose name ends with .parquet has typed values
(trainer/parquet_rows.py); what is no text nor of a type that says the same is
read as the text that a CSV file would have.
"""

import collections
import functools
import re

import numpy as np

from trainer import config as config_lib
from trainer import csv_rows
from trainer import csv_times
from trainer import item_table
from trainer import keys
from trainer import parquet_rows

# Texts [n] of which many are equal: the different ones, and which it is.
Texts = collections.namedtuple('Texts', ['codes', 'values'])

_NUMBER = re.compile(r'[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?')
_DECIMAL_COMMA = re.compile('[+-]?[0-9]+,[0-9]+')
_NO_NUMBER = re.compile('[^-+.0-9eE]')
_SURROGATE = re.compile('[\ud800-\udfff]')


def parts(path, config):
    """The events of a file, some at a time: a dict of arrays with an event a
    row, but users and actions are Texts. Its keys are fields of a Dataset.

    Raises ValueError naming file, line, column and value of a bad cell: the
    first in the file.
    """
    data, model = config.data, config.model
    names = [data.user, data.item, data.action, data.time,
             *model.event_features, *model.candidate_features,
             *(feature.name for feature in model.context_features),
             *data.labels.values()]
    return _parts(path, names, lambda rows: _events(rows, config))


def read_items(path, config):
    """The item_table.Lines of a file with one line an item."""
    names = [config.data.item, *config.model.candidate_features, *(
        column.name for column in (*config.model.item_attributes,
                                   *config.model.item_numbers))]
    found, texts, numbers, features = zip(*_parts(
        path, names, lambda rows: _items(rows, config)))
    ids = np.concatenate([part['items'] for part in found])
    _refuse_repeated(path, ids, names[0])
    of_ids = keys.Keys()
    for part in found:
        of_ids.add(*part['item_keys'])
    return item_table.Lines(
        ids, of_ids, {name: [text for part in texts for text in part[name]]
              for name in texts[0]},
        *({name: np.concatenate([part[name] for part in parts])
           for name in parts[0]} for parts in (numbers, features)))


def read_users(path, config):
    """{context feature: {user: text}} of a file with one line a user, of those
    that are columns of it."""
    user = config.data.user
    names = [feature.name for feature in config.model.context_features]
    found = {}
    for users, columns in _parts(path, [user, *names],
                                 lambda rows: _users_of(rows, config)):
        for name, texts in columns.items():
            known = found.setdefault(name, {})
            for one, text in zip(users, texts):
                if known.setdefault(one, text) != text:
                    raise ValueError(f'{path}: {user} "{one}" has two lines')
    return found


def _users_of(rows, config):
    user = _Column(rows, config.data.user, 'data.user')
    columns = {feature.name: _Column(rows, feature.name)
               for feature in config.model.context_features
               if feature.name in rows.header}
    codes, values = _users(user)
    for column in columns.values():
        column.check_utf8()
    return [values[code] for code in codes], {
        name: column.texts.to_list() for name, column in columns.items()}


def _refuse_repeated(path, ids, name):
    """Raises ValueError if an item has two lines in a file."""
    _, first = np.unique(ids, return_index=True)
    if len(first) == len(ids):
        return
    is_first = np.zeros(len(ids), bool)
    is_first[first] = True
    row = int(np.flatnonzero(~is_first)[0])
    for rows in _rows(path, [name]):
        if row < len(rows):
            _Column(rows, name).refuse(row, 'has a line already')
        row -= len(rows)


class _BadCell(ValueError):
    """A cell that is not what it should be, in a row of that index."""

    def __init__(self, row, message):
        super().__init__(message)
        self.row = row


def _rows(path, names):
    if str(path).endswith('.parquet'):
        return parquet_rows.parts(path, names)
    return csv_rows.parts(path)


def _parts(path, names, convert):
    """convert(rows) of parts; it looks at one column after another, of those
    that are named."""
    for rows in _rows(path, names):
        try:
            result = convert(rows)
        except _BadCell as error:
            raise ValueError(str(_first_problem(rows, convert, error))
                             ) from None
        if rows.error:
            raise rows.error
        yield result


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
    data, model = config.data, config.model
    # That all columns are there is seen before any cell is.
    user, item, time = (_Column(rows, getattr(data, role), f'data.{role}')
                        for role in ('user', 'item', 'time'))
    action = None
    if data.action in rows.header or data.action != config_lib.Data.action:
        action = _Column(rows, data.action, 'data.action')
    numbers = [[_Column(rows, name) for name in names]
               for names in (model.event_features, model.candidate_features)]
    contexts = [_Column(rows, feature.name)
                for feature in model.context_features]
    labels = {name: _Column(rows, column)
              for name, column in data.labels.items()}
    return {
        'users': _users(user),
        'actions': _actions(action, model.actions, len(rows)),
        **_items_of(item, data.item_keys),
        'times_us': _times(time, data.time_unit),
        'event_features': _side_by_side(rows, map(_finite, numbers[0])),
        'candidate_features': _side_by_side(rows, map(_finite, numbers[1])),
        'contexts': [_coded_texts(column) for column in contexts],
        'labels': _side_by_side(rows, (
            _label(labels[task.name]) if task.name in labels
            else np.full(len(rows), np.nan) for task in model.tasks))}


def _side_by_side(rows, columns, dtype=np.float32):
    columns = list(columns)
    together = np.empty((len(rows), len(columns)), dtype)
    for at, column in enumerate(columns):
        together[:, at] = column
    return together


def _items(rows, config):
    item = _Column(rows, config.data.item, 'data.item')
    texts = {attribute.name: _Column(rows, attribute.name)
             for attribute in config.model.item_attributes}
    numbers = {number.name: _Column(rows, number.name)
               for number in config.model.item_numbers}
    features = {name: _Column(rows, name)
                for name in config.model.candidate_features
                if name in rows.header}
    found = _items_of(item, config.data.item_keys)
    for column in texts.values():
        column.check_utf8()
    return (found, {name: column.texts.to_list()
                    for name, column in texts.items()},
            *({name: _number_or_nothing(column)
               for name, column in found.items()}
              for found in (numbers, features)))


class _Column:
    """The cells of a column, and what is said of a bad one."""

    def __init__(self, rows, name, what_names_it=''):
        """Raises ValueError if the file does not have the column."""
        csv_rows.check_column(rows, name, what_names_it)
        self._rows = rows
        self._name = name

    def __len__(self):
        return len(self._rows)

    @functools.cached_property
    def texts(self):
        """A Series of the texts of all cells."""
        import pandas as pd
        return pd.Series(self._rows.texts(self._name), dtype=object)

    @functools.cached_property
    def array(self):
        """A NumPy array of what are no texts, masked where cells are empty;
        None of a column of texts, and where the file has only those."""
        return self._rows.array(self._name)

    @functools.cached_property
    def coded(self):
        """Texts."""
        import pandas as pd
        array = self.array
        if array is not None and array.dtype.kind in 'iu' and (
                not np.ma.is_masked(array)):
            codes, values = pd.factorize(array.data)
            return Texts(codes, list(map(str, values.tolist())))
        coded = self._rows.coded(self._name)
        if coded is None:
            codes, values = pd.factorize(self.texts)
            coded = codes, values.tolist()
        return Texts(*coded)

    def replaced(self, mask, text):
        """The same column with another text in some cells."""
        other = _Column(self._rows, self._name)
        other.texts = self.texts.mask(mask, text)
        other.array = None
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

    def check_each(self, is_good, problem):
        """The same by a function of a text."""
        codes, values = self.coded
        good = np.fromiter(map(is_good, values), bool, len(values))
        if not good.all():
            self.check(good[codes], problem)

    def refuse(self, row, problem):
        raise _BadCell(row, f'{self._rows.place(row)}: {self._name} '
                       f'"{csv_rows.shown(self.texts.iloc[row])}" {problem}')

    def refuse_type(self, problem):
        raise ValueError(f'{self._rows.path}: column "{self._name}" is of the '
                         f'type {self._rows.type_of(self._name)}: {problem}')

    def check_utf8(self):
        """Raises _BadCell for the first cell that is not UTF-8."""
        self.check_each(lambda text: not _SURROGATE.search(text),
                        'is not UTF-8 (iconv -f latin1 -t utf8, if it is '
                        'Latin-1)')


def _users(column):
    array = column.array
    if array is not None and array.dtype.kind not in 'iu':
        column.refuse_type('users are texts or whole numbers')
    column.check_each(bool, 'is empty')
    column.check_utf8()
    return column.coded


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
    return ('is not an item id: they are whole numbers; where items are texts, '
            'say item_keys = "text"')


def _items_of(column, kind):
    """Of items that are numbers or texts (data.item_keys): 'items', uint64
    [N], and 'item_keys', the ids [n] of different texts [n]."""
    if kind == 'number':
        return {'items': _uint64(column), 'item_keys': (np.zeros(0), [])}
    column.check_each(bool, 'is empty')
    column.check_utf8()
    codes, values = column.coded
    ids = keys.ids(values)
    return {'items': ids[codes], 'item_keys': (ids, values)}


def _uint64(column):
    array = column.array
    if array is not None and array.dtype.kind in 'iu' and (
            not np.ma.is_masked(array) and array.data.min(initial=0) >= 0):
        return array.data.astype(np.uint64)
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
        return Texts(np.zeros(count, int), [''])
    column.check_utf8()
    if names:
        column.check_each(('', *names).__contains__,
                          'is not one of the actions ' + ', '.join(names))
    return column.coded


def _times(column, unit):
    """Microseconds since 1970."""
    array, times, error = column.array, None, None
    kind = '' if array is None else array.dtype.kind
    if kind == 'M':
        times, error = csv_times.of_datetimes(array, unit)
    elif kind and kind in 'iuf':
        times = csv_times.of_numbers(array, unit)
    if times is None:
        times, error = csv_times.microseconds(column.texts.to_list(), unit)
    if error:
        column.refuse(*error)
    return times


def _coded_texts(column):
    column.check_utf8()
    return column.coded


def _number_array(column):
    """Float64 [n], NaN where a cell is empty; None of texts."""
    array = column.array
    if array is None or array.dtype.kind not in 'iufb':
        return None
    return np.ma.filled(array.astype(np.float64), np.nan)


def _finite(column):
    import pandas as pd
    values = _number_array(column)
    are_texts = values is None
    if are_texts:
        values = pd.to_numeric(column.texts, errors='coerce')
    with np.errstate(over='ignore'):  # To what is not finite.
        values = values.astype(np.float32)
    good = np.isfinite(values)
    if are_texts and _NO_NUMBER.search(''.join(column.texts)):
        # What pandas takes for a number beyond those of the command line.
        good &= ~column.texts.str.contains(_NO_NUMBER)
    column.check(good, lambda text: 'is not a finite number' + (
        ': write a point for the comma' if _DECIMAL_COMMA.fullmatch(text)
        else ''))
    return values


def _number_or_nothing(column):
    values = _number_array(column)
    given = column.texts != '' if values is None else ~np.isnan(values)
    filled = column if given.all() else column.replaced(~given, '0')
    return np.where(given, _finite(filled), np.nan).astype(np.float64)


def _label(column):
    """1, 0, or NaN where the cell is empty."""
    values = _number_array(column)
    if values is not None:
        good = np.isnan(values) | (values == 0) | (values == 1)
    else:
        codes, texts = column.coded
        known = {'0': 0., '1': 1., '': np.nan}
        values = np.array([known.get(text, -1.) for text in texts])[codes]
        good = values != -1
    column.check(good, 'is not 0, 1 or nothing')
    return values
