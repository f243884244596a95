"""Puts what tables of users and items say into files of events, for the
command line."""

import csv
import pathlib

import numpy as np

from trainer import csv_events
from trainer import csv_rows
from trainer import keys


def with_users(config, folder, out):
    """The folder, or `out` with the same files, whose events have the columns
    of data.users that are context features."""
    folder, out, data = pathlib.Path(folder), pathlib.Path(out), config.data
    if not data.users:
        return folder
    users = csv_events.read_users(folder / data.users, config)
    values = {name: lambda user, known=known: known.get(user, '')
              for name, known in users.items()}
    for name in {*data.train, *data.heldout}:
        _join(folder / name, data.user, values, out / name)
    for name in filter(None, (data.catalogue, data.users)):
        (out / name).write_bytes((folder / name).read_bytes())
    return out


def with_items(config, folder, path, out):
    """A file of events, or `out` with the same lines, which have the candidate
    features that are columns of data.catalogue: their mean where that has
    none, or for categories nothing, as the trainer's events have them."""
    data = config.data
    if not data.catalogue:
        return path
    lines = csv_events.read_items(pathlib.Path(folder) / data.catalogue, config)
    if not lines.features and not lines.words:
        return path

    def item_id(cell):
        return (int(keys.ids([cell])[0]) if data.item_keys == 'text'
                else int(cell))

    def values_of(feature):
        known = ~np.isnan(feature)
        mean = feature[known].mean() if known.any() else 0.
        of_item = dict(zip(lines.ids[known].tolist(), feature[known].tolist()))
        # All digits: the command line reads the same bits back.
        return lambda cell: repr(float(np.float32(
            of_item.get(item_id(cell), mean))))

    def texts_of(words):
        of_item = dict(zip(lines.ids.tolist(), words))
        return lambda cell: of_item.get(item_id(cell), '')
    _join(path, data.item,
          {**{name: values_of(feature) for name, feature in
              lines.features.items()},
           **{name: texts_of(words) for name, words in lines.words.items()}},
          out)
    return out


def _join(path, column, values, out):
    """Writes a file's rows with more columns, {name: function of the cell of
    `column`}, in place of those of that name."""
    with open(out, 'w', newline='', errors='surrogateescape') as file:
        rows = csv.writer(file)
        for at, part in enumerate(csv_rows.parts(path)):
            kept = [name for name in part.header if name not in values]
            if at == 0:
                rows.writerow([*kept, *values])
            columns = [part.texts(name) for name in kept]
            cells = part.texts(column)
            columns += [list(map(value, cells)) for value in values.values()]
            rows.writerows(zip(*columns))
            if part.error:
                raise part.error
