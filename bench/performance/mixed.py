"""Small requests while large ones saturate the server.

What small ones may take beside large ones is what they take alone and two
tiles. Neither may get worse unseen: alone they are held to a limit, a tile is
what the engine needs for one without a server, and the large ones have to get
what is left of the processors.
"""

import statistics

from bench.performance import context as context_lib
from bench.performance import figures

SMALL = 'small:open:100:50'
LARGE = 'large:closed:4:5000'
USERS, EVENTS = 500, 10_000
TILE, WORKERS, RUNS = 64, 2, 3
ALONE_MS, OF_THE_ENGINE = 5, .75
ALONE = '50 candidates alone, p99'
LARGE_NAME = '5,000 candidates meanwhile, over the engine alone'


def run(context):
    engine_ms = context.engine_ms('f32', 2000)
    runs = []
    with context.server(rank=f'workers: {WORKERS}') as server:
        context.send_events(server, USERS, EVENTS)
        server.wait_until_folded()
        for number in range(RUNS):
            context.say(f'50 candidates alone, then beside 5,000: run '
                        f'{number + 1} of {RUNS}')
            runs.append(_run(context, server, number))
    return figures.Result(_figures(runs, engine_ms),
                          {'runs': runs, 'engine_ms': engine_ms})


def _figures(runs, engine_ms):
    middle = {name: statistics.median(run_[name] for run_ in runs)
              for name in runs[0]}
    tile_ms = engine_ms * TILE / 2000
    engine = 1e3 * 2000 / engine_ms * WORKERS
    note = f'medians of {RUNS} runs'
    return [
        figures.plain('50 candidates alone, p50', middle['alone_p50'], 'ms'),
        figures.at_most(ALONE, middle['alone_p99'], ALONE_MS, 'ms', note),
        figures.plain('50 candidates beside 5,000, p50', middle['beside_p50'],
                      'ms'),
        figures.at_most('50 candidates beside 5,000, p99',
                        middle['beside_p99'],
                        middle['alone_p99'] + 2 * tile_ms, 'ms',
                        f'target: alone, and two tiles of {tile_ms:.2f} ms; '
                        + note, needs=(ALONE, LARGE_NAME)),
        figures.plain('5,000 candidates meanwhile, p50', middle['large_p50'],
                      'ms', 'four under way'),
        figures.at_least(LARGE_NAME, middle['large_candidates'] / engine,
                         OF_THE_ENGINE, '', f'{middle["large_candidates"]:,.0f}'
                         ' candidates a second'),
        figures.at_most('errors', sum(run_['errors'] for run_ in runs), 0,
                        'requests', every=True),
    ]


def _run(context, server, seed):
    flags = {'warm_up': '1s', 'seed': 10 * seed + 1}
    before, _ = context.load(server, USERS, SMALL, duration='4s', **flags)
    flows, _ = context.load(server, USERS, SMALL, LARGE, duration='8s',
                            **flags)
    alone, beside, large = before['small'], flows['small'], flows['large']
    return {
        'alone_p50': alone['latency_ms']['p50'],
        'alone_p99': alone['latency_ms']['p99'],
        'beside_p50': beside['latency_ms']['p50'],
        'beside_p99': beside['latency_ms']['p99'],
        'large_p50': large['latency_ms']['p50'],
        'large_candidates': large['candidates'] * large['per_second'],
        'errors': sum(map(context_lib.errors, (alone, beside, large))),
    }
