"""What a user would do otherwise: softmax attention to the raw history,
computed anew in every request.

Once as cheaply as it can be done, one layer of target attention: only
candidates attend, events are no more than keys and values. And once as QLA's
own network has it, two layers, in which events attend to earlier events too.
"""

import os

import numpy as np

from bench.performance import figures, google_benchmark

HISTORIES = (100, 1_000, 4_000, 16_000)
CANDIDATES, TARGET = 1000, 100


def run(context):
    os.environ['OMP_NUM_THREADS'] = '1'
    from bench.peers import blas, forms, race
    random = np.random.default_rng(1)
    rows = random.permutation(20_000)[:CANDIDATES] + 1
    track = race.Track(context.bundle('d128'), [1, 2, 3], 1_500_000_000, 3600,
                       rows)
    times, network = {}, {}
    for n in HISTORIES:
        context.say(f'softmax attention to {n:,} events')
        history = random.integers(1, 20_001, n)
        whole = track.softmax_network(history)
        network[n] = 1e3 * race.median_seconds(lambda: whole(rows), .5, 2)
        times[n] = {label: 1e3 * forms.best_seconds(own, rows, .6)
                    for label, own in track.target_attention(
                        history).items()}
    context.say('the engine')
    engine = {key[1]: 1e3 * run_['seconds'] for key, run_ in
              google_benchmark.measure(
                  context, f'^RankCandidates(/[a-z0-9]+)?/{CANDIDATES}(/|$)',
                  repetitions=3, min_time=.5).items()}
    return figures.Result(
        list(_figures(times, network, engine)),
        {'softmax_ms': {str(n): by for n, by in times.items()},
         'network_ms': {str(n): ms for n, ms in network.items()},
         'engine_ms': engine, 'blas': blas.chosen()[0]})


def _figures(times, network, engine):
    own = engine['f32']
    for n, by in times.items():
        best = min(by, key=by.get)
        others = ', '.join(f'{label} {ms:,.0f} ms' for label, ms in by.items())
        note = f'{others}; engine {own:.1f} ms'
        label = f'one layer of target attention, {n:,} events'
        yield (figures.at_least(label, by[best] / own, TARGET, 'x', note)
               if n == HISTORIES[-1] else
               figures.plain(label, by[best] / own, 'x', note))
    for n, ms in network.items():
        yield figures.plain(f'both layers with softmax, {n:,} events',
                            ms / own, 'x', f'ONNX Runtime {ms:,.0f} ms')
    for precision, ms in engine.items():
        if precision != 'f32':
            yield figures.plain(
                f'one layer, {HISTORIES[-1]:,} events, engine in {precision}',
                min(times[HISTORIES[-1]].values()) / ms, 'x',
                f'engine {ms:.1f} ms')
