"""Rows of a CSV file, by the rules of cli/csv_reader.h.

The file that trains a model and the file that is imported are one file: what
one reader refuses, the other must not read as something else. Both are tested
with tests/csv_scenarios/.
"""

import re

from trainer import csv_fields
from trainer import csv_files

PART_ROWS = 1 << 16  # Rows that are held as texts at a time.

_MAX_SHOWN = 100  # bytes of a text in a message
_SEPARATORS = {';': 'semicolons', '\t': 'tabs', '|': 'bars'}
_UNUSUAL = re.compile('["\0\r \t]')


class Rows:
    """Some of the rows of a file.

    header: the columns' names. lines: of each row, the line on which it
    begins. error: None, or the ValueError that names the line behind the last
    row, and what is wrong with it.
    """

    def __init__(self, path, header, rows, lines, error=None):
        self.path = path
        self.header = header
        self.error = error
        self._rows = rows
        self._lines = lines

    def __len__(self):
        return len(self._rows)

    def place(self, row):
        """Where a row is, for a message."""
        return f'{self.path}:{self._lines[row]}'

    def part(self, begin, end):
        """The rows [begin, end), as a file of their own."""
        return Rows(self.path, self.header, self._rows[begin:end],
                    self._lines[begin:end])

    def array(self, name):
        """Values of a column that are no texts: a CSV file has none."""
        return None

    def coded(self, name):
        """Codes and different texts, where a file has them: CSV has not."""
        return None

    def texts(self, name):
        """All texts of a column; a byte that is not UTF-8 is a lone surrogate
        in its place."""
        at = self.header.index(name)
        return [row[at] for row in self._rows]


def check_column(rows, name, what_names_it=''):
    """Raises ValueError if a file does not have just one column of a name.

    what_names_it: the field of the config that holds the name.
    """
    columns = ','.join(shown(name) for name in rows.header)
    if name not in rows.header:
        hint = _separator_hint(rows.header)
        if not hint and what_names_it:
            hint = f': {what_names_it} says what it is called'
        raise ValueError(f'{rows.path}: no column "{name}" in the header '
                         f'({columns}){hint}')
    if rows.header.count(name) > 1:
        raise ValueError(f'{rows.path}: two columns "{name}" in the header '
                         f'({columns}): give them names of their own')


def shown(text):
    """Of a text, what a message can show; the same as in cli/shown_text.h."""
    data = text.encode(errors='surrogateescape')
    cut = data[:_MAX_SHOWN]
    is_utf8 = text.isascii() or not any('\ud800' <= char <= '\udfff'
                                        for char in text)
    if is_utf8:
        result = cut.decode(errors='ignore')  # not half a character
    else:
        result = ''.join(chr(byte) if byte < 0x80 else f'\\x{byte:02x}'
                         for byte in cut)
    for char, escaped in (('\n', '\\n'), ('\r', '\\r'), ('\t', '\\t')):
        result = result.replace(char, escaped)
    result = ''.join(f'\\x{ord(char):02x}' if char < ' ' or char == '\x7f'
                     else char for char in result)
    return result + ('...' if len(data) > _MAX_SHOWN else '')


def parts(path):
    """The Rows of a file, PART_ROWS at a time, up to the first line that is
    none; at least one part. Raises ValueError naming a file without a header.
    """
    lines = _Lines(path)
    header, error = None, None
    rows, numbers = [], []
    try:
        while lines.look_ahead():
            fields, taken = csv_fields.row(lines.texts, lines.at, header,
                                           lines.plain)
            number = lines.number
            lines.at += taken
            if fields is None:
                continue
            if header is None:
                header = fields
                continue
            rows.append(fields)
            numbers.append(number)
            if len(rows) == PART_ROWS:
                yield Rows(path, header, rows, numbers)
                rows, numbers = [], []
    except csv_fields.BadLine as problem:
        error = ValueError(f'{path}:{lines.number}: {problem}')
    if header is None:
        raise error or ValueError(f'{path}: empty, a header was expected')
    yield Rows(path, header, rows, numbers, error)


class _Lines:
    """Some lines of a file, from the next row's on.

    texts[at] is where the next row begins, and behind it are as many as a row
    can have, or the end of the file. plain: no text has quotes, blanks or
    control characters, so that no line needs a closer look.
    """

    def __init__(self, path):
        self._pieces = csv_files.pieces(path)
        self._rest = []  # What is read behind the last line feed.
        self._before = 0
        self.texts = []
        self.at = 0
        self.plain = True

    @property
    def number(self):
        return self._before + self.at + 1

    def look_ahead(self):
        """Reads on where it must; whether there is another line."""
        while (self._rest is not None and
               len(self.texts) - self.at <= csv_fields.MAX_ROW_LINES):
            self._read_on()
        return self.at < len(self.texts)

    def _read_on(self):
        del self.texts[:self.at]
        self._before += self.at
        self.at = 0
        piece = next(self._pieces, None)
        if piece is None:
            data, self._rest = b''.join(self._rest), None
        else:
            data, feed, rest = piece.rpartition(b'\n')
            if not feed:
                self._rest.append(piece)
                return
            data, self._rest = b''.join([*self._rest, data]), [rest]
        text = data.decode(errors='surrogateescape')
        self.plain = not _UNUSUAL.search('\n'.join(self.texts) + text)
        self.texts += text.split('\n')


def _separator_hint(header):
    for separator, name in _SEPARATORS.items():
        if len(header) == 1 and separator in header[0]:
            return f': columns are separated by commas, not by {name}'
    return ''
