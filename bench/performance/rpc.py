"""Round trips over loopback: what the server adds to the engine."""

from bench.performance import figures

CANDIDATES = (100, 500, 1000, 2000, 4000, 8000)
USERS, EVENTS = 200, 20_000
ONE = '4,000 candidates on one worker, p50'
ONE_OVER_ENGINE = 1.15


def run(context):
    data = {name: _round_trips(context, name) for name in ('d128', 'null')}
    one = _one_size(context, workers=1, candidates=4000)
    two = _one_size(context, workers=2, candidates=4000)
    null, real = data['null']['2000'], data['d128']['2000']
    engine_ms = context.engine_ms('f32', 4000)
    return figures.Result([
        figures.at_most('null model, 2,000 candidates, round trip, p50',
                        null['p50'], .3, 'ms',
                        'client, loopback and server; next to no engine'),
        figures.plain('d=128, 2,000 candidates, round trip, p50', real['p50'],
                      'ms'),
        figures.at_least('4,000 candidates: two workers against one',
                         one / two, 1.8, 'x',
                         needs=(ONE,)),
        # Else two are easily faster.
        figures.at_most(ONE, one, ONE_OVER_ENGINE * engine_ms, 'ms',
                        f'target: {ONE_OVER_ENGINE} times the engine alone, '
                        f'{engine_ms:.1f} ms'),
        figures.plain('4,000 candidates on two workers, p50', two, 'ms'),
    ], {'round_trip_ms': data, 'engine_ms': engine_ms})


def _round_trips(context, name):
    """{candidates: latencies in ms} of one request at a time."""
    context.say(f'round trips, {name} model')
    found = {}
    with context.server(name) as server:
        context.send_events(server, USERS, EVENTS)
        server.wait_until_folded()
        for n in CANDIDATES:
            flows, _ = context.load(server, USERS, f'one:closed:1:{n}',
                                    warm_up='300ms', duration='1500ms')
            found[str(n)] = flows['one']['latency_ms']
    return found


def _one_size(context, workers, candidates):
    """Median ms of a request on so many workers, none beside it."""
    context.say(f'{candidates:,} candidates, workers: {workers}')
    with context.server(rank=f'workers: {workers}') as server:
        context.send_events(server, USERS, EVENTS)
        server.wait_until_folded()
        flows, _ = context.load(server, USERS, f'one:closed:1:{candidates}',
                                warm_up='500ms', duration='3s')
    return flows['one']['latency_ms']['p50']
