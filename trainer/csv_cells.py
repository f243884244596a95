"""What a cell may say, by the rules of cli/event_csv.h and in its words.

A Column is one of a part of a file. Each function here reads all of its cells
as one kind of thing, and raises BadCell for the first that is none.
"""

import collections
import functools
import re

import numpy as np

from trainer import csv_rows
from trainer import csv_times
from trainer import keys

# Texts [n] of which many are equal: the different ones, and which it is.
Texts = collections.namedtuple('Texts', ['codes', 'values'])

_NUMBER = re.compile(r'[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?')
_DECIMAL_COMMA = re.compile('[+-]?[0-9]+,[0-9]+')
_NO_NUMBER = re.compile('[^-+.0-9eE]')
_SURROGATE = re.compile('[\ud800-\udfff]')


class BadCell(ValueError):
    """A cell that is not what it should be, in a row of that index."""

    def __init__(self, row, message):
        super().__init__(message)
        self.row = row


class Column:
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
        other = Column(self._rows, self._name)
        other.texts = self.texts.mask(mask, text)
        other.array = None
        return other

    def check(self, good, problem):
        """Raises BadCell for the first cell that is not good.

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
        raise BadCell(row, f'{self._rows.place(row)}: {self._name} '
                       f'"{csv_rows.shown(self.texts.iloc[row])}" {problem}')

    def refuse_type(self, problem):
        raise ValueError(f'{self._rows.path}: column "{self._name}" is of the '
                         f'type {self._rows.type_of(self._name)}: {problem}')

    def check_utf8(self):
        """Raises BadCell for the first cell that is not UTF-8."""
        self.check_each(lambda text: not _SURROGATE.search(text),
                        'is not UTF-8 (iconv -f latin1 -t utf8, if it is '
                        'Latin-1)')


def users(column):
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


def items(column, kind):
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


def actions(column, names, count):
    """Texts; without a column, as if all were empty."""
    if column is None:
        return Texts(np.zeros(count, int), [''])
    column.check_utf8()
    if names:
        column.check_each(('', *names).__contains__,
                          'is not one of the actions ' + ', '.join(names))
    return column.coded


def times_us(column, unit):
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


def coded(column):
    column.check_utf8()
    return column.coded


def _number_array(column):
    """Float64 [n], NaN where a cell is empty; None of texts."""
    array = column.array
    if array is None or array.dtype.kind not in 'iufb':
        return None
    return np.ma.filled(array.astype(np.float64), np.nan)


def finite(column):
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


def number_or_nothing(column):
    values = _number_array(column)
    given = column.texts != '' if values is None else ~np.isnan(values)
    filled = column if given.all() else column.replaced(~given, '0')
    return np.where(given, finite(filled), np.nan).astype(np.float64)


def label(column):
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
