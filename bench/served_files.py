"""A data set's files as the command line takes them: one that is imported, and
one of what is held out."""

import csv
import dataclasses
import pathlib
import typing

from bench import table_columns
from trainer import config as config_lib
from trainer import csv_cells
from trainer import csv_rows


@dataclasses.dataclass
class Files:
    """folder: of the config's files. history: what is imported. heldout: what
    comes later; None: the history's own last events. labelled: the file whose
    labels are asked about, with all candidate features."""
    folder: pathlib.Path
    history: pathlib.Path
    heldout: typing.Optional[pathlib.Path]
    labelled: pathlib.Path


def make(config, folder, out):
    """The Files of a config's data; what has to be written for it is in `out`,
    an empty folder.

    Raises ValueError if the data has several files of a kind.
    """
    data, out = config.data, pathlib.Path(out)
    if len(data.train) != 1 or len(data.heldout) > 1:
        raise ValueError('data.train and data.heldout must be one file each '
                         f'to be served, not {data.train} and {data.heldout}')
    (out / 'joined').mkdir()
    # A caller knows what a user is; the command line, what is in a file.
    folder = table_columns.with_users(config, folder, out / 'joined')
    history, heldout = folder / data.train[0], None
    if data.heldout:
        heldout = folder / data.heldout[0]
    elif data.test_from:
        history, heldout = _cut(config, history, out)
    labelled = heldout or history
    if data.labels:
        labelled = table_columns.with_items(config, folder, labelled,
                                            out / 'labelled.csv')
    return Files(folder, history, heldout, labelled)


def _cut(config, path, out):
    """A file of events in two, before data.test_from and from then on."""
    data = config.data
    from_us = config_lib.time_us(data.test_from, 'data.test_from')
    paths = out / 'history.csv', out / 'heldout.csv'
    before, after = (open(part, 'w', newline='', errors='surrogateescape')
                     for part in paths)
    with before, after:
        writers = [csv.writer(before), csv.writer(after)]
        for at, part in enumerate(csv_rows.parts(path)):
            if at == 0:
                for rows in writers:
                    rows.writerow(part.header)
            times = csv_cells.times_us(csv_cells.Column(part, data.time),
                                       data.time_unit)
            is_after = (times >= from_us).tolist()
            for row, later in zip(zip(*map(part.texts, part.header)), is_after):
                writers[later].writerow(row)
            if part.error:
                raise part.error
    return paths
