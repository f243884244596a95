"""MovieLens-1M ratings as qlarank CSV files.

The data (Harper and Konstan 2015) may be used for research and not be passed
on, so it does not come with this repository: grouplens.org has it as
ml-1m.zip. Two forms are taken: its ratings.dat, and a CSV with the columns
user, movie, rating, timestamp whose lines are in order for every user.
"""

import pathlib

COLUMNS = ('user', 'movie', 'rating', 'timestamp')


def convert(ratings, out):
    """Writes events.csv and items.csv; returns their line counts.

    An event's action is its rating, r1 ... r5. items.csv has every item's id.
    Raises ValueError if the file is not of either form.
    """
    import pandas as pd
    lines = _read(pathlib.Path(ratings))
    events = pd.DataFrame({
        'user': lines['user'], 'item': lines['movie'],
        'action': 'r' + lines['rating'].astype(str),
        'time': lines['timestamp']})
    items = pd.DataFrame({'item': sorted(events['item'].unique())})
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    events.to_csv(out / 'events.csv', index=False)
    items.to_csv(out / 'items.csv', index=False)
    return {'events.csv': len(events), 'items.csv': len(items)}


def _read(path):
    """The ratings in order of user and time; ties as in the file."""
    import pandas as pd
    try:
        if path.suffix == '.dat':
            lines = pd.read_csv(path, sep='::', engine='python', names=COLUMNS,
                                dtype='int64')
            return lines.sort_values(['user', 'timestamp'], kind='stable')
        return pd.read_csv(path, usecols=COLUMNS, dtype='int64')
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
