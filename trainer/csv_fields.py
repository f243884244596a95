"""The fields of a CSV row, by the rules of cli/csv_reader.h."""

MAX_ROW_LINES = 100
MAX_ROW_BYTES = 64 << 10

_NOT_CLOSED = 'a quote is opened and never closed'
_STRAY_QUOTE = ('has a quote inside of a field: double it, and put the field '
                'in quotes')
_STRAY_RETURN = ('has a carriage return that no line feed follows: end lines '
                 'with line feeds (tr "\\r" "\\n")')
_NUL = 'has a NUL byte: is the file UTF-16, or binary?'


class BadLine(ValueError):
    """What is wrong with a line."""


def row(lines, at, header, plain):
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
        raise BadLine(_wrong_number(fields, header, last))
    if taken > 1 and _may_have_swallowed_rows(lines[at:at + taken],
                                              len(fields) - 1):
        raise BadLine(_NOT_CLOSED)
    return fields, taken


def _fields(lines, at):
    """The same of a line that is not empty."""
    line = lines[at].removesuffix('\r')
    if '\0' in line:
        raise BadLine(_NUL)
    if line.lstrip(' \t').startswith('\r'):
        raise BadLine(_STRAY_RETURN)
    if '"' in line:
        return _quoted_row(lines, at)
    if '\r' in line:
        raise BadLine(_STRAY_RETURN)
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
            raise BadLine(_NOT_CLOSED)
        text += lines[at + taken - 1]
        if taken > 1 and len(text.encode(errors='surrogateescape')) > (
                MAX_ROW_BYTES):
            break
        if '\0' in lines[at + taken - 1]:
            raise BadLine(_NUL)
        try:
            fields = _split(text.removesuffix('\r'))
        except BadLine as error:
            raise BadLine(str(error) if taken == 1 else _NOT_CLOSED
                             ) from None
        if fields is not None:
            return fields, taken
        text += '\n'
    raise BadLine(_NOT_CLOSED)


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
                raise BadLine(_STRAY_RETURN)
            if '"' in field:
                raise BadLine(_STRAY_QUOTE)
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
            raise BadLine(_STRAY_RETURN if text[at] == '\r'
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
