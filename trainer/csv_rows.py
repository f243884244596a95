"""Rows of a CSV file, by the rules of cli/csv_reader.h.

The file that trains a model and the file that is imported are one file: what
one reader refuses, the other must not read as something else. Both are tested
with tests/csv_scenarios/.
"""

import re

from trainer import csv_files

PART_ROWS = 1 << 16  # Rows that are held as texts at a time.
MAX_ROW_LINES = 100
MAX_ROW_BYTES = 64 << 10

_MAX_SHOWN = 100  # bytes of a text in a message
_SEPARATORS = {';': 'semicolons', '\t': 'tabs', '|': 'bars'}
_NOT_CLOSED = 'a quote is opened and never closed'
_STRAY_QUOTE = ('has a quote inside of a field: double it, and put the field '
                'in quotes')
_STRAY_RETURN = ('has a carriage return that no line feed follows: end lines '
                 'with line feeds (tr "\\r" "\\n")')
_NUL = 'has a NUL byte: is the file UTF-16, or binary?'
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
            fields, taken = _row(lines.texts, lines.at, header, lines.plain)
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
    except _BadLine as problem:
        error = ValueError(f'{path}:{lines.number}: {problem}')
    if header is None:
        raise error or ValueError(f'{path}: empty, a header was expected')
    yield Rows(path, header, rows, numbers, error)


class _BadLine(ValueError):
    """What is wrong with a line."""


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
               len(self.texts) - self.at <= MAX_ROW_LINES):
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


def _row(lines, at, header, plain):
    """(fields, number of lines) of the row that begins at a line; (None, 1) if
    it is empty. plain: no line has quotes, blanks or control characters."""
    line = lines[at]
    taken = 1
    if plain:
        fields = line.split(',') if line else None
    elif not line.strip(' \t\r'):
        fields = None
    else:
        fields, taken = _fields(lines, at)
    if header and fields and len(fields) != len(header):
        last = at + taken == len(lines)
        raise _BadLine(_wrong_number(fields, header, last))
    if taken > 1 and _may_have_swallowed_rows(lines[at:at + taken],
                                              len(fields) - 1):
        raise _BadLine(_NOT_CLOSED)
    return fields, taken


def _fields(lines, at):
    """The same of a line that is not empty."""
    line = lines[at].removesuffix('\r')
    if '\0' in line:
        raise _BadLine(_NUL)
    if line.lstrip(' \t').startswith('\r'):
        raise _BadLine(_STRAY_RETURN)
    if '"' in line:
        return _quoted_row(lines, at)
    if '\r' in line:
        raise _BadLine(_STRAY_RETURN)
    if ' ' in line or '\t' in line:
        return [field.strip(' \t') for field in line.split(',')], 1
    return line.split(','), 1


def _wrong_number(fields, header, last):
    count = len(fields)
    problem = (f'has {count} field{"" if count == 1 else "s"}, the header '
               f'has {len(header)} columns')
    if count == len(header) + 1 and not fields[-1]:
        return (f'{problem}: leave out the comma at the end of the line, or '
                'end the header with one too')
    if count > len(header):
        return (f'{problem}: name the column that has no name, or write the '
                'file without it (pandas: index=False, R: row.names=FALSE)')
    if last:
        return f'{problem}: the file ends in the middle of the line'
    return problem


def _quoted_row(lines, at):
    """The same of a row with quotes, which may go on over some lines."""
    text = ''
    for taken in range(1, MAX_ROW_LINES + 1):
        # The last piece behind a final line feed is no line.
        if at + taken > len(lines) or (
                taken > 1 and at + taken == len(lines) and not lines[-1]):
            raise _BadLine(_NOT_CLOSED)
        text += lines[at + taken - 1]
        if taken > 1 and len(text.encode(errors='surrogateescape')) > (
                MAX_ROW_BYTES):
            break
        if '\0' in lines[at + taken - 1]:
            raise _BadLine(_NUL)
        try:
            fields = _split(text.removesuffix('\r'))
        except _BadLine as error:
            raise _BadLine(str(error) if taken == 1 else _NOT_CLOSED
                             ) from None
        if fields is not None:
            return fields, taken
        text += '\n'
    raise _BadLine(_NOT_CLOSED)


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
            if '\r' in field.partition('"')[0]:
                raise _BadLine(_STRAY_RETURN)
            if '"' in field:
                raise _BadLine(_STRAY_QUOTE)
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
            raise _BadLine(_STRAY_RETURN if text[at] == '\r'
                             else _STRAY_QUOTE)
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
