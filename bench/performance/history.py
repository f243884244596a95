"""The cost of a ranking by the length of the user's history."""

import json
import os
import statistics

from bench.performance import figures

HISTORIES = (10, 1_000, 100_000, 1_000_000)
SHORTEST, *BETWEEN, LONGEST = HISTORIES
CANDIDATES, ROUNDS = 1000, 30
OVER_ENGINE, ROUND_TRIP_MS = 1.25, .3


def run(context):
    folder = context.cache / 'history'
    folder.mkdir(exist_ok=True)
    with context.server('d128', folder) as server:
        for n in HISTORIES:
            _fill(context, server, n)
        rounds = {n: [] for n in HISTORIES}
        for number in range(ROUNDS):
            if number % 10 == 0:
                context.say(f'round {number + 1} of {ROUNDS}')
            # The two that are compared one right after the other, to and fro,
            # so that a machine that slows down favours none.
            ends = ((SHORTEST, LONGEST) if number % 2 == 0
                    else (LONGEST, SHORTEST))
            for n in (*ends, *(BETWEEN if number % 4 == 0 else ())):
                flows, _ = context.load(
                    server, 1, f'one:closed:1:{CANDIDATES}', warm_up='100ms',
                    user_prefix=f'history-{n}-', duration='300ms')
                rounds[n].append(flows['one']['latency_ms']['p50'])
    engine_ms = context.engine_ms('f32', 1000)
    allowed = OVER_ENGINE * engine_ms / os.cpu_count() + ROUND_TRIP_MS
    p50 = {n: statistics.median(times) for n, times in rounds.items()}
    label = '{:,} candidates after {:,} events, p50'.format
    found = [figures.plain(label(CANDIDATES, n), p50[n], 'ms')
             for n in HISTORIES[:-1]]
    found.append(figures.at_most(
        label(CANDIDATES, LONGEST), p50[LONGEST], allowed, 'ms',
        f'target: {OVER_ENGINE} times the engine alone on all cores, '
        f'{engine_ms / os.cpu_count():.1f} ms, and a round trip'))
    ratio = statistics.median(longest / shortest for longest, shortest in zip(
        rounds[LONGEST], rounds[SHORTEST]))
    # A short history that costs more would be as wrong as a long one that does.
    return figures.Result(found + [figures.within(
        'p50 after 1,000,000 events over p50 after 10', ratio, .97, 1.03, 'x',
        f'median over {ROUNDS} rounds of both in turn',
        needs=(label(CANDIDATES, LONGEST),))],
        {'p50_ms': {str(n): value for n, value in p50.items()}})


def _fill(context, server, n):
    """The user's n events are in the store, and their state is made of them."""
    user = f'history-{n}-0'
    # Under a model that the store has not met, asking makes the state. An
    # unknown user has the exit code 1, and a reply.
    reply = server.cli('--json', '--timeout', 600, 'state', '--user', user,
                       check=False, timeout=600)
    if reply.returncode > 1:
        raise RuntimeError(f'{user}: {reply.stderr}')
    if json.loads(reply.stdout)['log_sequence'] < n:
        context.say(f'a history of {n:,} events, once')
        # What is there of an interrupted run counts as duplicates.
        context.send_events(server, 1, n, user_prefix=f'history-{n}-')
        server.cli_json('--timeout', 600, 'state', '--user', user,
                        '--min-event-count', n, timeout=600)
