"""What the race of attention mechanisms measured, on disk: costs, leakage, and
the run that they are of.

    results/attention.csv            written by attention_bench
    results/attention_leakage.csv    likewise
    results/run.json                 written by ./run bench attention

The results are of one run, and the next one takes their place.
"""

import collections
import csv
import dataclasses
import hashlib
import json
import math
import pathlib

RESULTS = pathlib.Path(__file__).parent / 'results'
COSTS, LEAKAGE, RUN = 'attention.csv', 'attention_leakage.csv', 'run.json'
FORMAT = 1

# In the order of every table and legend: (name in the CSV, title).
TITLES = collections.OrderedDict([
    ('none', 'no attention: the floor'),
    ('softmax', 'softmax, keys cached'),
    ('softmax_recomputed', 'softmax, recomputed'),
    ('softmax_unmasked', 'softmax, no candidate mask'),
    ('hstu', 'HSTU, keys cached'),
    ('sliding_window', 'sliding window'),
    ('recent_softmax', 'softmax, last 200 events'),
    ('linear', 'linear'),
    ('decayed_linear', 'linear with decay'),
    ('log_linear', 'log-linear'),
    ('gated_delta', 'gated delta rule'),
    ('gated', 'QLA, gated decay'),
    ('seeds_only', 'QLA, seeds alone'),
    ('qla', 'QLA'),
    ('engine', 'QLA, the engine'),
])

# Over which the exponents are fitted: below, the constant part of the trunk
# hides the growth.
FIT_FROM, FIT_TO = 1_024, 16_384


class ResultsError(Exception):
    """A file is missing or says something impossible; str() says which."""


@dataclasses.dataclass(frozen=True)
class Run:
    """Of what the results are. machine, caches, compiler: what
    bench.performance.machine says of them; load_begin, load_end: load averages
    over 1, 5 and 15 minutes."""
    commit: str
    changed: bool  # files differed from the commit
    date: str
    machine: dict
    caches: dict
    compiler: str
    load_begin: list
    load_end: list
    commit_date: str = None

    @property
    def code(self):
        """The commit, with "+" when files differed from it."""
        return self.commit[:10] + ('+' if self.changed else '')


@dataclasses.dataclass(frozen=True)
class Race:
    """costs: read_costs's; moves: read_leakage's; digest: of both files."""
    costs: dict
    moves: dict
    run: Run
    digest: str


def read(folder=RESULTS):
    """The Race of a folder. Raises ResultsError."""
    content = [_bytes(folder / name) for name in (COSTS, LEAKAGE)]
    return Race(read_costs(folder / COSTS), read_leakage(folder / LEAKAGE),
                read_run(folder / RUN),
                hashlib.sha256(b''.join(content)).hexdigest())


def keep(measured, run, folder=RESULTS):
    """Copies what attention_bench wrote to the folder `measured`, and says
    beside it of which Run it is."""
    copies = {name: _bytes(measured / name) for name in (COSTS, LEAKAGE)}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in copies.items():
        (folder / name).write_bytes(content)
    said = {'format': FORMAT, **dataclasses.asdict(run)}
    (folder / RUN).write_text(json.dumps(said, indent=1) + '\n',
                              encoding='utf-8')


def read_run(path):
    """The Run of run.json."""
    try:
        said = json.loads(_bytes(path))
        if said.pop('format') != FORMAT:
            raise ValueError(f'its format is not {FORMAT}')
        return Run(**said)
    except (ValueError, KeyError, TypeError) as error:
        raise ResultsError(f'{path}: {error}') from error


def read_costs(path):
    """{mechanism: {quantity: {history: value}}} of attention.csv.

    Quantities: rank_ms, append_us, bytes_kept, events. Empty cells are absent.
    """
    costs = {}
    for row in _rows(path):
        history = int(row['history'])
        quantities = costs.setdefault(row['mechanism'], {})
        for name in ('rank_ms', 'append_us', 'bytes_kept', 'events'):
            if row[name]:
                quantities.setdefault(name, {})[history] = float(row[name])
    return costs


def read_leakage(path):
    """{mechanism: largest move in deviations; 0 when no bit moved}."""
    moves = {}
    for row in _rows(path):
        move = float(row['largest_move'])
        if row['bitwise_equal'] == '1' and move != 0:
            raise ResultsError(f'{path}: {row["mechanism"]}: bitwise equal, '
                               f'yet moved by {move}')
        # A move too small for a difference of values is one of bits.
        moves[row['mechanism']] = move if row['bitwise_equal'] == '1' else max(
            move, 1e-9)
    return moves


def _rows(path):
    rows = list(csv.DictReader(_bytes(path).decode('utf-8').splitlines()))
    for row in rows:
        if row['mechanism'] not in TITLES:
            raise ResultsError(f'{path}: no mechanism is called '
                               f'{row["mechanism"]!r}')
    return rows


def _bytes(path):
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ResultsError(
            f'{path} is missing: run ./run bench attention') from None


def exponent(by_history):
    """Slope of log(value) by log(history), least squares over the fit's range.

    None when fewer than two histories lie in it.
    """
    points = [(math.log(n), math.log(value)) for n, value in by_history.items()
              if FIT_FROM <= n <= FIT_TO]
    if len(points) < 2:
        return None
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    return (sum((x - mean_x) * (y - mean_y) for x, y in points) /
            sum((x - mean_x) ** 2 for x, _ in points))
