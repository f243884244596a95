"""Rows of a Parquet file, for the rules that a CSV file's cells are read by.

Texts, whole numbers, fractions, booleans and times are taken as they are; a
null is an empty cell. Anything else is read as its text.
"""

import numpy as np

# Rows that are held at a time.
PART_ROWS = 1 << 20


class Rows:
    """Some of the rows of a file, as csv_rows.Rows.

    header: the names of all columns. first: how many rows of the file are
    before these.
    """
    error = None

    def __init__(self, path, header, batch, first):
        self.path = path
        self.header = header
        self._batch = batch
        self._first = first

    def __len__(self):
        return self._batch.num_rows

    def place(self, row):
        """Where a row is, for a message."""
        return f'{self.path}: row {self._first + row + 1}'

    def part(self, begin, end):
        """The rows [begin, end), as a file of their own."""
        return Rows(self.path, self.header,
                    self._batch.slice(begin, end - begin), self._first + begin)

    def type_of(self, name):
        return self._column(name).type

    def array(self, name):
        """Values that are no texts, masked where they are null or NaN: whole
        numbers, floats, booleans or datetime64; None of anything else."""
        from pyarrow import types
        column = self._column(name)
        kind = column.type
        if types.is_date(kind):
            column = column.cast('timestamp[ms]')
            kind = column.type
        if types.is_timestamp(kind):
            values = np.asarray(column.cast('int64').fill_null(0))
            values = values.astype(f'M8[{kind.unit}]')
        elif types.is_boolean(kind):
            values = np.asarray(column.cast('int8').fill_null(0)).astype(bool)
        elif types.is_integer(kind):
            values = np.asarray(column.fill_null(0))
        elif types.is_float32(kind) or types.is_float64(kind):
            values = np.asarray(column.cast('float64').fill_null(np.nan))
            return np.ma.masked_invalid(values) if np.isnan(
                values).any() else np.ma.array(values)
        else:
            return None
        empty = np.asarray(column.is_null()) if column.null_count else False
        return np.ma.array(values, mask=empty)

    def coded(self, name):
        """(codes [n], the different texts) of texts; None of other types."""
        from pyarrow import types
        column = self._column(name)
        if not (types.is_string(column.type) or
                types.is_large_string(column.type)):
            return None
        encoded = column.fill_null('').dictionary_encode()
        return np.asarray(encoded.indices), encoded.dictionary.to_pylist()

    def texts(self, name):
        """All texts of a column, as a CSV file would have them."""
        from pyarrow import types
        column = self._column(name)
        kind = column.type
        if types.is_timestamp(kind):
            values = self.array(name)
            texts = np.datetime_as_string(values.data).tolist()
            empty = np.ma.getmaskarray(values)
            return ['' if is_empty else f'{text}Z'
                    for text, is_empty in zip(texts, empty)]
        if types.is_dictionary(kind):
            column = column.dictionary_decode()
        return [_text(value) for value in column.to_pylist()]

    def _column(self, name):
        return self._batch.column(self._batch.schema.names.index(name))


def _text(value):
    if value is None or value != value:
        return ''
    if isinstance(value, bytes):
        return value.decode(errors='surrogateescape')
    return str(value)


def parts(path, names):
    """The Rows of a file, PART_ROWS at a time, with the columns that are named
    and there; at least one part.

    Raises ValueError naming a file that is not Parquet, or damaged.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ValueError(f'{path}: reading Parquet needs pyarrow (pip install '
                         '-r trainer/requirements-data.txt)') from None
    first = 0
    try:
        with open(path, 'rb') as source, parquet.ParquetFile(source) as file:
            header = file.schema_arrow.names
            wanted = [name for name in dict.fromkeys(names) if name in header]
            for batch in file.iter_batches(PART_ROWS, columns=wanted):
                yield Rows(path, header, batch, first)
                first += batch.num_rows
            if not first:
                yield Rows(path, header, pyarrow.RecordBatch.from_arrays(
                    [pyarrow.array([], field.type)
                     for field in file.schema_arrow],
                    schema=file.schema_arrow), 0)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError) as error:
        raise ValueError(f'{path}: not Parquet, or damaged: {error}') from None
    except OSError as error:
        if error.strerror:
            raise ValueError(f'cannot read {path}: {error.strerror}'
                             ) from error
        raise ValueError(f'{path}: damaged ({error}): fetch or make it again'
                         ) from None
