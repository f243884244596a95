"""A large data set on a small machine: generated, prepared, trained, exported.

    python -m bench.big_data --events 100000000 --items 5000000 --out DIR

Each stage is a process of its own, and what it took is printed: its seconds,
and the most memory that it held at once, with maps of files (which the system
takes back where it needs to) and without. The events are made up: a shop's,
in order of time, whose users come again, have favourites, and want popular
items most. The same arguments give the same files.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import threading
import time

import numpy as np

# Events of a user on average.
_EVENTS_A_USER = 70
_PART = 1 << 20
_FIRST_S = 1_600_000_000
_SECONDS = 300 * 86_400
_ACTIONS = ('view', 'cart', 'buy')

_CONFIG = '''
name = "big"
description = "Made-up events, to see what a large data set takes."

[data]
train = ["events.parquet"]
catalogue = "items.parquet"
equal_times = "order"

[model]
d_model = {width}
num_heads = {heads}
num_layers = 2
ffn_width = {width}
initial_half_lives = {lives}
target_aware = "TARGET_AWARE_OFF"
head_width = 0
actions = ["view", "cart", "buy"]

[training]
steps = {steps}
validation_share = 0.0
batch_events = 1_024
window = 256
'''


def generate(folder, events, items, seed=1):
    """Writes events.parquet and items.parquet."""
    import pyarrow as pa
    from pyarrow import parquet
    ids = _id_of(np.arange(items, dtype=np.uint64))
    parquet.write_table(pa.table({'item': np.sort(ids)}),
                        folder / 'items.parquet')
    users = max(1, events // _EVENTS_A_USER)
    schema = pa.schema([('user', pa.string()), ('item', pa.uint64()),
                        ('action', pa.string()),
                        ('time', pa.timestamp('us', 'UTC'))])
    with parquet.ParquetWriter(folder / 'events.parquet', schema) as out:
        for first in range(0, events, _PART):
            count = min(_PART, events - first)
            rng = np.random.default_rng([seed, first])
            user = rng.integers(0, users, count)
            actions = pa.DictionaryArray.from_arrays(
                rng.choice(3, count, p=[.8, .12, .08]).astype(np.int8),
                pa.array(_ACTIONS)).dictionary_decode()
            times = _FIRST_S * 1_000_000 + (
                (first + np.arange(count)) * (_SECONDS * 1_000_000 / events)
            ).astype(np.int64)
            out.write_table(pa.table([
                pa.array(np.char.add('u', user.astype(str))),
                _id_of(_wanted(rng, user, items)), actions,
                pa.array(times).cast(schema.field('time').type)],
                schema=schema))


def _wanted(rng, user, items):
    """An item's place by popularity for each event: one of the user's twenty
    favourites, or anybody's. Both are Zipf's: the k-th weighs 1 / k."""
    favourite = np.floor(20 ** rng.random(len(user))).astype(np.uint64)
    own = _mixed(user.astype(np.uint64) * np.uint64(32) + favourite)
    share = np.where(rng.random(len(user)) < .5,
                     own.astype(np.float64) / 2. ** 64, rng.random(len(user)))
    return np.minimum(np.floor(items ** share), items).astype(np.uint64) - (
        np.uint64(1))


def _id_of(place):
    """Ids that say nothing of how popular an item is."""
    return _mixed(place) >> np.uint64(1)


def _mixed(values):
    """64 bits of each value, all different (the finaliser of splitmix64)."""
    values = (values + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(
        0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(
        0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


class _Watch:
    """The most memory of a process at once, in bytes: all, and what is not a
    map of a file."""

    def __init__(self, process):
        self.most = {'VmHWM': 0, 'RssAnon': 0}
        self._process = process
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self):
        status = pathlib.Path(f'/proc/{self._process.pid}/status')
        while self._process.poll() is None:
            try:
                lines = status.read_text().splitlines()
            except OSError:
                return
            for line in lines:
                name, _, value = line.partition(':')
                if name in self.most:
                    found = int(value.split()[0]) * 1024
                    self.most[name] = max(self.most[name], found)
            time.sleep(.05)


def _stage(name, command):
    """Runs a command; prints what it took. Raises if it fails."""
    begin = time.monotonic()
    process = subprocess.Popen([sys.executable, '-m', *map(str, command)])
    watch = _Watch(process)
    if process.wait():
        raise subprocess.CalledProcessError(process.returncode, command)
    most = watch.most
    print(f'{name}: {time.monotonic() - begin:,.0f} s, at most '
          f'{most["VmHWM"] / 1e9:.2f} GB, {most["RssAnon"] / 1e9:.2f} GB of it '
          'no maps of files', flush=True)


def _write_config(out, width, steps):
    heads = 4 if width % 32 == 0 else 1
    lives = [1., 4., 16., 1_000.][-heads:]
    (out / 'big.toml').write_text(_CONFIG.format(
        width=width, heads=heads, lives=lives, steps=steps))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=(
        argparse.RawDescriptionHelpFormatter))
    parser.add_argument('--events', type=int, default=1_000_000)
    parser.add_argument('--items', type=int, default=50_000)
    parser.add_argument('--steps', type=int, default=1_000)
    parser.add_argument('--width', type=int, default=64, help='d_model')
    parser.add_argument('--out', type=pathlib.Path, required=True)
    parser.add_argument('--only', choices=['generate'],
                        help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    out, files = args.out, args.out / 'files'
    if args.only == 'generate':
        return generate(files, args.events, args.items)
    files.mkdir(parents=True, exist_ok=True)
    _write_config(out, args.width, args.steps)
    config = ['--config', out / 'big.toml']
    _stage('generate', ['bench.big_data', '--out', out, '--events', args.events,
                        '--items', args.items, '--only', 'generate'])
    _stage('prepare', ['trainer', 'prepare', *config, '--data', files,
                       '--out', out / 'big.data'])
    _stage('train', ['trainer', 'train', *config, '--data', out / 'big.data',
                     '--out', out / 'run'])
    _stage('export', ['trainer', 'export', '--model', out / 'run/model.npz',
                      '--out', out / f'models-{os.getpid()}'])
    return 0


if __name__ == '__main__':
    sys.exit(main())
