"""Writes clicks.csv and later.csv, which have what real files have and examples
do not: other column names, columns that nobody asked for, times in
milliseconds, one user with 16,500 events and many with one to three, items
again and again, ties in time, ids up to 2^64 - 1, and later items and users
that training never saw. later.csv has a byte order mark and Windows line ends.

    python tests/served/odd_files.py FOLDER
"""

import pathlib
import sys

import numpy as np

HEADER = 'session,visitor,colour,at_ms,sku,what\n'
START_MS = 1_600_000_000_123
CUT_MS = START_MS + 30 * 86_400_000
LONG = 16_500


def line(rng, visitor, when_ms, sku, what):
    colour = rng.choice(['red', '"dark, blue"', ''])
    return f's{rng.integers(9)},{visitor},{colour},{when_ms},{sku},{what}\n'


def history(rng, visitor, count, skus):
    """Lines of one visitor before the cut, in order of time."""
    favourites = rng.choice(skus, 4)
    times = np.sort(rng.integers(START_MS, CUT_MS, count))
    times[1::5] = times[:-1:5][:len(times[1::5])]  # Ties.
    lines = []
    for when_ms in times:
        known = rng.random() < .6
        sku = rng.choice(favourites) if known else rng.choice(skus)
        what = rng.choice(['look', 'buy', 'wish list'], p=[.7, .2, .1])
        lines.append((when_ms, line(rng, visitor, when_ms, sku, what)))
    return favourites, lines


def write(folder, rng):
    """clicks.csv and later.csv; returns the visitors who are in both."""
    skus = np.concatenate([
        np.array([2 ** 64 - 1, 2 ** 63 + 1, 0], np.uint64),
        rng.integers(1, 2 ** 62, 150).astype(np.uint64)])
    new_sku = 2 ** 64 - 2
    before, after, both = [], [], 0
    for number in range(161):
        visitor = '"Ann, the first"' if number == 0 else f'Zoë/{number}'
        count = LONG if number == 0 else int(rng.integers(1, 4))
        favourites, lines = history(rng, visitor, count, skus)
        before += lines
        if number % 3 == 0:
            both += 1
            # A basket of what they like, twice, and what nobody knew.
            for sku in (favourites[0], new_sku, 2 ** 62 + number,
                        favourites[0]):
                after.append((CUT_MS + number, line(
                    rng, visitor, CUT_MS + number, sku, 'buy')))
            after.append((CUT_MS + 5_000_000, line(
                rng, visitor, CUT_MS + 5_000_000, favourites[1], 'look')))
    after.append((CUT_MS, line(rng, 'only later', CUT_MS, skus[0], 'gift')))
    _write(folder / 'clicks.csv', before, encoding='utf-8')
    # As a spreadsheet would save it.
    _write(folder / 'later.csv', after, encoding='utf-8-sig', newline='\r\n')
    return both


def _write(path, lines, **options):
    lines.sort(key=lambda pair: pair[0])
    path.write_text(HEADER + ''.join(text for _, text in lines), **options)


if __name__ == '__main__':
    target = pathlib.Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    write(target, np.random.default_rng(7))
