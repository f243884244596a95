"""Small requests while large ones saturate the server."""

import statistics

from bench.performance import context as context_lib
from bench.performance import figures

SMALL = 'small:open:100:50'
LARGE = 'large:closed:4:5000'
USERS, EVENTS = 500, 10_000
TILE, WORKERS, RUNS = 64, 2, 3


def run(context):
    runs = []
    with context.server(rank=f'workers: {WORKERS}') as server:
        context.send_events(server, USERS, EVENTS)
        server.wait_until_folded()
        for number in range(RUNS):
            context.say(f'50 candidates alone, then beside 5,000: run '
                        f'{number + 1} of {RUNS}')
            runs.append(_run(context, server, number))
    alone, beside, tile = (statistics.median(run_[name] for run_ in runs)
                           for name in ('alone_p99', 'beside_p99', 'tile_ms'))
    return figures.Result([
        figures.at_most('50 candidates beside 5,000, p99', beside,
                        alone + 2 * tile, 'ms',
                        f'alone {alone:.1f} ms, a tile {tile:.2f} ms; medians '
                        f'of {RUNS} runs'),
        figures.plain('50 candidates beside 5,000, p50', statistics.median(
            run_['beside_p50'] for run_ in runs), 'ms'),
        figures.at_most('errors', sum(run_['errors'] for run_ in runs), 0,
                        'requests'),
    ], {'runs': runs})


def _run(context, server, seed):
    flags = {'warm_up': '1s', 'seed': 10 * seed + 1}
    before, _ = context.load(server, USERS, SMALL, duration='5s', **flags)
    flows, _ = context.load(server, USERS, SMALL, LARGE, duration='10s',
                            **flags)
    alone, beside, large = before['small'], flows['small'], flows['large']
    candidates = large['candidates'] * large['per_second']
    return {
        'alone_p50': alone['latency_ms']['p50'],
        'alone_p99': alone['latency_ms']['p99'],
        'beside_p50': beside['latency_ms']['p50'],
        'beside_p99': beside['latency_ms']['p99'],
        # What a worker needs for one, going by what all of them got done.
        'tile_ms': 1e3 * TILE * WORKERS / candidates,
        'errors': sum(map(context_lib.errors, (alone, beside, large))),
    }
