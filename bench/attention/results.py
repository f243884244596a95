"""Reads what the attention benchmark measured: costs and leakage."""

import collections
import csv
import math

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
    try:
        with open(path, newline='', encoding='utf-8') as file:
            return list(csv.DictReader(file))
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
