"""Events that `qlarank export events` wrote, as a Parquet file.

Everything has its smallest type: whole numbers for items, microseconds in UTC
for times, float32 for features. The trainer reads of it what it reads of the
CSV file, several times as fast.
"""

import os
import pathlib

from trainer import csv_cells as cells
from trainer import csv_rows

COLUMNS = ('user', 'item', 'action', 'time')
# Rows that are found together in the file.
_GROUP_ROWS = 1 << 20


def convert(events, out):
    """Writes the Parquet file `out` of a CSV file, as a whole or not at all;
    returns the number of its events.

    Raises ValueError naming file, line, column and value of a bad cell, and an
    `out` that is there already.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ValueError(f'{out}: writing Parquet needs pyarrow (pip install '
                         '-r trainer/requirements-data.txt)') from None
    if pathlib.Path(out).exists():
        raise ValueError(f'{out} is there already')
    partial = f'{out}.partial'
    count = 0
    try:
        writer = None
        for table in _groups(events, pyarrow):
            if writer is None:
                writer = parquet.ParquetWriter(partial, table.schema)
            writer.write_table(table, _GROUP_ROWS)
            count += len(table)
        writer.close()
        os.replace(partial, out)
    except OSError as error:
        raise ValueError(f'cannot write {out}: {error.strerror}') from error
    finally:
        pathlib.Path(partial).unlink(missing_ok=True)
    return count


def _groups(events, pyarrow):
    """Tables of about _GROUP_ROWS; at least one."""
    tables, count = [], 0
    for rows in csv_rows.parts(events):
        tables.append(pyarrow.table(_columns(rows, pyarrow)))
        if rows.error:
            raise rows.error
        count += len(rows)
        if count >= _GROUP_ROWS:
            yield pyarrow.concat_tables(tables)
            tables, count = [], 0
    if tables:
        yield pyarrow.concat_tables(tables)


def _columns(rows, pyarrow):
    user, item, action, time = (cells.Column(rows, name) for name in COLUMNS)
    user.check_utf8()
    action.check_utf8()
    return {
        'user': pyarrow.array(user.texts, pyarrow.string()),
        'item': pyarrow.array(cells.items(item, 'number')['items'],
                              pyarrow.uint64()),
        'action': pyarrow.array(action.texts, pyarrow.string()),
        'time': pyarrow.array(cells.times_us(time, 's'),
                              pyarrow.timestamp('us', 'UTC')),
        **{name: pyarrow.array(cells.finite(cells.Column(rows, name)),
                               pyarrow.float32())
           for name in rows.header if name not in COLUMNS}}
