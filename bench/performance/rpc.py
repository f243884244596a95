"""Round trips over loopback: what the server adds to engine and gRPC."""

import contextlib
import statistics

from bench.performance import figures, google_benchmark

CANDIDATES = (100, 500, 1000, 2000, 4000, 8000)
USERS, EVENTS = 200, 20_000
ONE = '4,000 candidates on one worker, p50'
ONE_OVER_ENGINE = 1.15
# In turn: the least a gRPC server can do, the least that one can do which has
# threads of its own, and servers of two models.
ECHO, HANDED, NULL, REAL = 'echo', 'handed', 'null', 'd128'
TURN_CANDIDATES = 2000
ROUNDS = 7
OVER_ECHO = 1.4


def run(context):
    data = {name: _round_trips(context, name) for name in (REAL, NULL)}
    turns = _turns(context)
    one = _one_size(context, workers=1, candidates=4000)
    two = _one_size(context, workers=2, candidates=4000)
    engine_ms = context.engine_ms('f32', 4000)
    return figures.Result([
        *judge_turns(turns),
        figures.plain(f'null model, {TURN_CANDIDATES:,} candidates, its engine '
                      'alone on one core', _null_engine_ms(context), 'ms',
                      'of the round trip, whatever serves it'),
        figures.at_least('4,000 candidates: two workers against one',
                         one / two, 1.8, 'x',
                         needs=(ONE,)),
        # Else two are easily faster.
        figures.at_most(ONE, one, ONE_OVER_ENGINE * engine_ms, 'ms',
                        f'target: {ONE_OVER_ENGINE} times the engine alone, '
                        f'{engine_ms:.1f} ms'),
        figures.plain('4,000 candidates on two workers, p50', two, 'ms'),
    ], {'round_trip_ms': data, 'turns_ms': turns, 'engine_ms': engine_ms})


def judge_turns(turns):
    """Figures of {name: p50 in ms of every round}."""
    n = f'{TURN_CANDIDATES:,} candidates'
    ratios = over(turns, ECHO)
    rounds = ', '.join(f'{ratio:.2f}' for ratio in ratios)
    yield figures.at_most(
        f'null model, {n}, round trip over a bare gRPC echo',
        statistics.median(ratios), OVER_ECHO, 'x',
        f'messages of the same sizes, the same client, in turn: {rounds}')
    yield figures.plain(
        f'null model, {n}, round trip over an echo by another thread',
        statistics.median(over(turns, HANDED)), 'x',
        "as whoever computes must answer, off gRPC's threads")
    for name, label, note in (
            (ECHO, f'bare gRPC echo of the size of {n}', ''),
            (HANDED, 'gRPC echo by another thread', ''),
            (NULL, f'null model, {n}',
             'client, loopback and server; next to no engine'),
            (REAL, f'd=128, {n}', '')):
        yield figures.plain(f'{label}, round trip, p50',
                            statistics.median(turns[name]), 'ms', note)


def over(turns, base):
    """The null model's round trip over that of `base`, round by round."""
    return [null / other for null, other in zip(turns[NULL], turns[base])]


def _turns(context):
    """{name: p50 in ms of every round} of one request at a time."""
    context.say('round trips beside a bare gRPC echo')
    turns = {ECHO: [], HANDED: [], NULL: [], REAL: []}
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(context.echo(
            TURN_CANDIDATES, from_another_thread=name == HANDED))
            for name in (ECHO, HANDED)}
        for name in (NULL, REAL):
            servers[name] = stack.enter_context(context.server(name))
            context.send_events(servers[name], USERS, EVENTS)
            servers[name].wait_until_folded()
        for turn in range(ROUNDS):
            for name, server in servers.items():
                flows, _ = context.load(
                    server, USERS, f'one:closed:1:{TURN_CANDIDATES}',
                    warm_up='200ms', duration='800ms')
                turns[name].append(flows['one']['latency_ms']['p50'])
    return turns


def _null_engine_ms(context):
    found = google_benchmark.measure(
        context, f'^RankNull/{TURN_CANDIDATES}$', min_time=.3)
    return 1e3 * found[('RankNull', 'f32', TURN_CANDIDATES)]['seconds']


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
