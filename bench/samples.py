"""Samples of data at hand, as a stranger's files are: users by a hash of their
id, split in time, and a config of column names.

    python -m bench.samples --grocery DIR --ml-1m DIR --kuairand DIR \\
        --draws 4,5,6 --out samples

writes samples/NAME DRAW/{train.csv,later.csv,config.toml}, of the folders that
`python -m trainer convert-...` made:

    groceries   a tenth of the households, their purchases before November
    kinds       another twelfth, whose items are kinds of products
    films       a fifth of MovieLens-1M's users, ratings before December 2000
    clips       an eighth of KuaiRand's, what they watched before 7 May 2022

What a sample says is in docs/training.md.
"""

import argparse
import dataclasses
import pathlib
import zlib

COLUMNS = ['user', 'item', 'time']
CONFIG = '''name = "{name}"

[data]
train = ["train.csv"]
heldout = ["later.csv"]
user = "user"
item = "item"
time = "time"
time_unit = "{unit}"
'''


@dataclasses.dataclass(frozen=True)
class Sample:
    """What is drawn: one user of so many, and cut at a time (in units)."""
    salt: str
    one_of: int
    cut: int
    unit: str = 's'


SAMPLES = {'groceries': Sample('g', 10, 1_509_494_400),
           'kinds': Sample('k', 12, 1_509_494_400),
           'films': Sample('f', 5, 975_628_800),
           'clips': Sample('c', 8, 1_651_852_800_000, 'ms')}


def draw_of(sample, user):
    """In which draw a user is, of sample.one_of."""
    return zlib.crc32(f'{sample.salt}{user}'.encode()) % sample.one_of


def events_of(name, folder):
    """All events that a sample is drawn from, a data frame of COLUMNS."""
    import pandas as pd
    read = lambda part: pd.read_csv(*sorted(folder.glob(f'{part}.csv*')))
    if name in ('groceries', 'kinds'):
        events = pd.concat([read('train'), read('heldout')])
    else:
        events = read('events')
    if name == 'kinds':
        kinds = read('items').set_index('item')['type'].fillna('')
        events['item'] = events['item'].map(
            pd.Series(pd.factorize(kinds)[0] + 1, kinds.index))
        events = events[events['item'].notna()].astype({'item': int})
    if name == 'clips':
        events = events[events['action'] != 'skipped'].sort_values(
            'time', kind='stable')
    return events[COLUMNS]


def write(name, events, draws, out):
    """Writes the draws of a sample; {folder: (training events, later ones)}."""
    sample, written = SAMPLES[name], {}
    users = {user: draw_of(sample, user) for user in events['user'].unique()}
    drawn = events['user'].map(users)
    for draw in draws:
        folder = out / f'{name} {draw}'
        folder.mkdir(parents=True, exist_ok=True)
        mine = events[drawn == draw]
        late = mine['time'] >= sample.cut
        mine[~late].to_csv(folder / 'train.csv', index=False)
        mine[late].to_csv(folder / 'later.csv', index=False)
        (folder / 'config.toml').write_text(
            CONFIG.format(name=name, unit=sample.unit), encoding='utf-8')
        written[folder] = int((~late).sum()), int(late.sum())
    return written


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition('\n\n')[0])
    for folder in ('grocery', 'ml-1m', 'kuairand'):
        parser.add_argument(f'--{folder}', type=pathlib.Path, metavar='DIR')
    parser.add_argument('--draws', default='0', metavar='N,N,...')
    parser.add_argument('--out', type=pathlib.Path, required=True)
    args = parser.parse_args()
    draws = [int(draw) for draw in args.draws.split(',')]
    for name, folder in (('groceries', args.grocery), ('kinds', args.grocery),
                         ('films', args.ml_1m), ('clips', args.kuairand)):
        if not folder:
            continue
        some = [draw for draw in draws if draw < SAMPLES[name].one_of]
        for path, (known, later) in write(
                name, events_of(name, folder), some, args.out).items():
            print(f'{path}: {known:,} events, {later:,} later')


if __name__ == '__main__':
    main()
