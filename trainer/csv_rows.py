"""Rows of a CSV file, by the rules of cli/csv_reader.h.

The file that trains a model and the file that is imported are one file: what
one reader refuses, the other must not read as something else. Both are tested
with tests/csv_scenarios/.
"""

import bz2
import gzip
import lzma
import pathlib

MAX_ROW_LINES = 100
MAX_ROW_BYTES = 64 << 10

_OPENERS = {'.gz': gzip.open, '.bz2': bz2.open, '.xz': lzma.open}
_OTHER_FORMATS = {
    b'\x1f\x8b': 'compressed by gzip: call it .csv.gz',
    b'PK\x03\x04': 'a zip archive or a spreadsheet: export it as CSV',
    b'\xff\xfe': 'UTF-16: write it as UTF-8',
    b'\xfe\xff': 'UTF-16: write it as UTF-8',
}
_SEPARATORS = {';': 'semicolons', '\t': 'tabs', '|': 'bars'}
_NOT_CLOSED = 'a quote is opened and never closed'
_STRAY_QUOTE = ('has a quote inside of a field: double it, and put the field '
                'in quotes')


class Rows:
    """The rows of a file: their texts by column, and their lines.

    Texts are UTF-8; a byte that is none is a lone surrogate in its place.
    """

    def __init__(self, path, header, rows, lines):
        self.path = path
        self.header = header
        self.lines = lines
        self._rows = rows

    def __len__(self):
        return len(self._rows)

    def column(self, name):
        """All texts of a column; raises ValueError if it is not the one."""
        at = self.index(name)
        return [row[at] for row in self._rows]

    def index(self, name):
        columns = ','.join(self.header)
        if name not in self.header:
            raise ValueError(f'{self.path}: no column "{name}" in the header '
                             f'({columns}){_separator_hint(self.header)}')
        if self.header.count(name) > 1:
            raise ValueError(f'{self.path}: two columns "{name}" in the header '
                             f'({columns})')
        return self.header.index(name)


def read(path):
    """The Rows of a file. Raises ValueError naming file, line and problem."""
    lines = _lines(path)
    rows = []
    numbers = []
    header = None
    at = 0
    while at < len(lines):
        line = lines[at]
        if not line.strip(' \t\r'):
            at += 1
            continue
        try:
            fields, taken = _row(lines, at, header)
        except ValueError as error:
            raise ValueError(f'{path}:{at + 1}: {error}') from None
        if header is None:
            header = fields
        else:
            rows.append(fields)
            numbers.append(at + 1)
        at += taken
    if header is None:
        raise ValueError(f'{path}: empty, a header was expected')
    return Rows(path, header, rows, numbers)


def _lines(path):
    """Without their line feeds; the last one is '' if the file ends in one."""
    opener = _OPENERS.get(pathlib.Path(path).suffix, open)
    try:
        with opener(path, 'rb') as file:
            data = file.read()
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise ValueError(f'{path}: {error}') from error
    for beginning, what in _OTHER_FORMATS.items():
        if data.startswith(beginning):
            raise ValueError(f'{path}: not CSV, but {what}')
    # Excel's "CSV UTF-8" starts with a byte order mark.
    text = data.removeprefix(b'\xef\xbb\xbf').decode(errors='surrogateescape')
    return text.split('\n')


def _separator_hint(header):
    for separator, name in _SEPARATORS.items():
        if len(header) == 1 and separator in header[0]:
            return f'; columns are separated by commas, not by {name}'
    return ''


def _row(lines, at, header):
    """(fields, number of lines) of the row that begins at a line."""
    line = lines[at].removesuffix('\r')
    if '\0' in line:
        raise ValueError('has a NUL byte: is the file UTF-16, or binary?')
    taken = 1
    if '"' in line:
        fields, taken = _quoted_row(lines, at, header)
    elif '\r' in line:
        raise ValueError('has a carriage return that no line feed follows')
    else:
        fields = line.split(',')
        if ' ' in line or '\t' in line:
            fields = [field.strip(' \t') for field in fields]
    if header and len(fields) != len(header):
        last = at + taken == len(lines)
        raise ValueError(_wrong_number(len(fields), len(header), last))
    if header and taken > 1 and _may_have_swallowed_rows(
            lines[at:at + taken], len(header) - 1):
        raise ValueError(_NOT_CLOSED)
    return fields, taken


def _wrong_number(fields, columns, last):
    problem = (f'has {fields} field{"" if fields == 1 else "s"}, the header '
               f'has {columns} columns')
    if fields > columns:
        return (f'{problem}: name the column that has no name, or write the '
                'file without it (pandas: index=False, R: row.names=FALSE)')
    if last:
        return f'{problem}: the file ends in the middle of the line'
    return problem


def _quoted_row(lines, at, header):
    """The same for a row with quotes, which may go on over some lines."""
    text = ''
    for taken in range(1, MAX_ROW_LINES + 1):
        # The last piece behind a final line feed is no line.
        if at + taken > len(lines) or (
                taken > 1 and at + taken == len(lines) and not lines[-1]):
            raise ValueError(_NOT_CLOSED)
        text += lines[at + taken - 1]
        if taken > 1 and len(text.encode(errors='surrogateescape')) > (
                MAX_ROW_BYTES):
            break
        if '\0' in lines[at + taken - 1]:
            raise ValueError('has a NUL byte: is the file UTF-16, or binary?')
        try:
            fields = _split(text.removesuffix('\r'))
        except ValueError as error:
            raise ValueError(str(error) if taken == 1 else _NOT_CLOSED
                             ) from None
        if fields is not None:
            return fields, taken
        text += '\n'
    raise ValueError(_NOT_CLOSED)


def _split(text):
    """The fields of a row; None if it ends inside of quotes."""
    fields = []
    at = 0
    while True:
        while at < len(text) and text[at] in ' \t':
            at += 1
        if at < len(text) and text[at] == '"':
            field, at = _quoted_field(text, at + 1)
            if field is None:
                return None
        else:
            end = text.find(',', at)
            end = len(text) if end < 0 else end
            field, at = text[at:end].strip(' \t'), end
            if '"' in field:
                raise ValueError(_STRAY_QUOTE)
            if '\r' in field:
                raise ValueError('has a carriage return that no line feed '
                                 'follows')
        fields.append(field)
        if at == len(text):
            return fields
        at += 1  # the comma


def _quoted_field(text, at):
    """(field, where it ends) of a field whose quote was opened before `at`."""
    parts = []
    while True:
        quote = text.find('"', at)
        if quote < 0:
            return None, at
        parts.append(text[at:quote])
        at = quote + 1
        if at < len(text) and text[at] == '"':
            parts.append('"')
            at += 1
            continue
        while at < len(text) and text[at] in ' \t':
            at += 1
        if at < len(text) and text[at] != ',':
            raise ValueError(_STRAY_QUOTE)
        return ''.join(parts), at


def _may_have_swallowed_rows(lines, commas):
    """Whether a row's quote may well be one that was never closed."""
    if commas == 0:
        return False
    before = lines[0][:lines[0].rfind('"')]
    if lines[0].count(',') == commas and before.count(',') < commas:
        return True
    return any(line.partition('"')[0].count(',') >= commas
               for line in lines[1:])
