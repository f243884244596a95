"""ONNX Runtime and PyTorch on the same network, one thread each, beside the
engine: first held to the scores that a server gives, then timed in turn."""

import csv
import os
import pathlib
import statistics
import tempfile

import numpy as np

from bench.performance import figures, google_benchmark

CANDIDATES, EVENTS, ROUNDS = 2000, 100, 5
USER, FIRST_SECOND, HOUR = 'anna', 1_500_000_000, 3600
TOLERANCE = 1e-4
TARGETS = {'f32': 1.6, 'bf16': 2.8}


def run(context):
    # Before PyTorch is loaded: it reads them then.
    os.environ['OMP_NUM_THREADS'] = '1'
    from bench.peers import race
    rows = np.random.default_rng(1).permutation(20_000)[:CANDIDATES] + 1
    bundle = context.bundle('d128')
    events = [1 + 37 * i % 20_000 for i in range(EVENTS)]
    context.say('scores of a server, to hold the peers to')
    served = _served(context, events, rows)
    context.say('building the peers, finding what each is fastest with')
    track = race.Track(bundle, events, FIRST_SECOND, HOUR, rows)
    peers, plain, refused = track.peers()
    wrong = {label: float(np.abs(peer(rows) - served).max())
             for label, peer in peers.items()}
    rounds = {label: [] for label in peers}
    engine = {}
    for number in range(ROUNDS):
        context.say(f'round {number + 1} of {ROUNDS}')
        for label, peer in peers.items():
            rounds[label].append(1e3 * race.median_seconds(
                lambda: peer(rows), min_seconds=.6))
        for key, run_ in google_benchmark.measure(
                context, f'^RankCandidates(/[a-z0-9]+)?/{CANDIDATES}(/|$)',
                min_time=.5).items():
            engine.setdefault(key[1], []).append(1e3 * run_['seconds'])
    times = {label: statistics.median(values)
             for label, values in rounds.items()}
    own = {precision: statistics.median(values)
           for precision, values in engine.items()}
    return figures.Result(_figures(times, own, wrong, plain, refused),
                          {'peers_ms': times, 'engine_ms': own,
                           'error': wrong, 'refused': refused})


def _figures(times, own, wrong, plain, refused):
    exact = max((error for label, error in wrong.items() if 'f32' in label),
                default=None)
    found = [figures.at_most('f32 peers: largest difference from served '
                             'scores', exact, TOLERANCE)]
    for precision, target in TARGETS.items():
        # A user of bf16 would take whatever is fastest, f32 too.
        allowed = ('f32',) if precision == 'f32' else ('f32', 'bf16')
        rivals = {label: ms for label, ms in times.items()
                  if label.split()[-1] in allowed}
        best = min(rivals, key=rivals.get)
        ms = own.get(precision)
        found.append(figures.at_least(
            f'{precision}: engine against the best peer',
            ms and rivals[best] / ms, target, 'x',
            f'{best}: {rivals[best]:.1f} ms; engine '
            + (f'{ms:.1f} ms' if ms else f'has no {precision} here')))
    found += [figures.plain(f'{label}, 2,000 candidates', ms, 'ms',
                            f'differs by up to {wrong[label]:.2g}; as exported, '
                            f'in one call {1e3 * plain[label]:.1f} ms')
              for label, ms in times.items()]
    found += [figures.plain(f'engine {precision}, 2,000 candidates', ms, 'ms')
              for precision, ms in own.items()]
    return found + [figures.plain(label, None, note=f'cannot: {why}')
                    for label, why in refused.items()]


def _served(context, events, rows):
    """Scores [C] of RankService for the user with these events."""
    with tempfile.TemporaryDirectory(dir=context.cache) as folder:
        folder = pathlib.Path(folder)
        with (folder / 'events.csv').open('w', newline='') as file:
            lines = csv.writer(file)
            lines.writerow(['user', 'item', 'action', 'time'])
            lines.writerows([USER, item, 'view', FIRST_SECOND + HOUR * i]
                            for i, item in enumerate(events))
        items = folder / 'items.txt'
        # Row k is item k in a random bundle.
        items.write_text('\n'.join(map(str, rows)))
        with context.server('d128', folder) as server:
            server.cli('import', folder / 'events.csv')
            reply = server.cli_json(
                'rank', '--user', USER, '--items-file', items, '--top-k',
                len(rows), '--time', FIRST_SECOND + HOUR * len(events),
                '--min-event-count', len(events))
    scores = {entry['item_id']: entry['scores']['click']
              for entry in reply['items']}
    return np.array([scores[row] for row in rows.tolist()], np.float32)
