"""What a user would do otherwise: softmax attention to the raw history, one
layer of the same width, computed anew in every request."""

import os

import numpy as np

from bench.performance import figures, google_benchmark

HISTORIES = (100, 1_000, 4_000, 16_000)
CANDIDATES, TARGET = 1000, 100


def run(context):
    os.environ['OMP_NUM_THREADS'] = '1'
    from bench.peers import race
    random = np.random.default_rng(1)
    rows = random.permutation(20_000)[:CANDIDATES] + 1
    track = race.Track(context.bundle('d128'), [1, 2, 3], 1_500_000_000, 3600,
                       rows)
    times = {}
    for n in HISTORIES:
        context.say(f'softmax attention to {n:,} events')
        runs = track.target_attention(random.integers(1, 20_001, n))
        times[n] = {label: 1e3 * race.median_seconds(lambda: peer(rows), 1.0)
                    for label, peer in runs.items()}
    context.say('the engine')
    engine = {key[1]: 1e3 * run_['seconds'] for key, run_ in
              google_benchmark.measure(
                  context, f'^RankCandidates(/[a-z0-9]+)?/{CANDIDATES}(/|$)',
                  repetitions=3, min_time=.5).items()}
    return figures.Result(
        list(_figures(times, engine)),
        {'softmax_ms': {str(n): by for n, by in times.items()},
         'engine_ms': engine})


def _figures(times, engine):
    longest = HISTORIES[-1]
    quickest = min(engine, key=engine.get)
    for n, by in times.items():
        best = min(by, key=by.get)
        others = ', '.join(f'{label} {ms:,.0f} ms' for label, ms in by.items())
        note = f'{others}; engine {quickest} {engine[quickest]:.1f} ms'
        label = f'softmax to {n:,} events, over the engine'
        ratio = by[best] / engine[quickest]
        yield (figures.at_least(label, ratio, TARGET, 'x', note)
               if n == longest else figures.plain(label, ratio, 'x', note))
    if 'f32' in engine and quickest != 'f32':
        yield figures.plain(
            f'the same in f32, {longest:,} events',
            min(times[longest].values()) / engine['f32'], 'x')
