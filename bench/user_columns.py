"""Puts what a table of users says into files of events, for the command line."""

import csv
import pathlib

from trainer import csv_events
from trainer import csv_rows


def with_users(config, folder, out):
    """The folder, or `out` with the same files, whose events have the columns
    of data.users that are context features."""
    folder, out, data = pathlib.Path(folder), pathlib.Path(out), config.data
    if not data.users:
        return folder
    users = csv_events.read_users(folder / data.users, config)
    for name in {*data.train, *data.heldout}:
        with open(out / name, 'w', newline='') as file:
            _join(folder / name, data.user, users, csv.writer(file))
    for name in filter(None, (data.catalogue, data.users)):
        (out / name).write_bytes((folder / name).read_bytes())
    return out


def _join(path, user, users, rows):
    for at, part in enumerate(csv_rows.parts(path)):
        kept = [name for name in part.header if name not in users]
        if at == 0:
            rows.writerow([*kept, *users])
        columns = [part.texts(name) for name in kept]
        of_user = part.texts(user)
        columns += [[known.get(one, '') for one in of_user]
                    for known in users.values()]
        rows.writerows(zip(*columns))
