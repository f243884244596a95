"""Latency up to saturation, closed loop and open loop.

A ratio of latencies is as good as its base: it is met only with both latencies
within their own limits, and saturation is held to what the engine can do. With
nearly constant service (both workers are given to one request) the server is a
queue M/D/1: at 60 % of saturation its median is 1.44 service times, its p99
5.6, and their ratio 3.9.
"""

import os

from bench.performance import context as context_lib
from bench.performance import figures

CANDIDATES = 2048
USERS, EVENTS = 2000, 40_000
CONCURRENCIES = (1, 2, 4, 8, 16)
SHARES = (.2, .4, .6, .8, .9)
JUDGED = .6
# Of service times, and of what somebody who waits for a page may notice.
P50_SERVICES, P99_SERVICES, P99_MS = 2, 8, 100
OF_THE_ENGINE = .85


def run(context):
    context.say('scheduling gaps of the machine, with nothing running')
    gaps = context.gaps()
    engine_ms = context.engine_ms('f32', 2000)
    with context.server() as server:
        context.send_events(server, USERS, EVENTS)
        server.wait_until_folded()
        closed = [_closed(context, server, n) for n in CONCURRENCIES]
        saturation = max(run_['per_second'] for run_ in closed)
        opened = [_open(context, server, share, saturation)
                  for share in SHARES]
    data = {'closed': closed, 'open': opened, 'gaps': gaps,
            'engine_ms': engine_ms, 'processors': os.cpu_count()}
    return figures.Result(judge(data), data)


def judge(data):
    """The figures of what was measured."""
    closed, opened, gaps = data['closed'], data['open'], data['gaps']
    saturation = max(run_['per_second'] for run_ in closed)
    alone = closed[0]['latency_ms']
    judged = next(run_ for run_ in opened if run_['share'] == JUDGED)
    latency = judged['latency_ms'] or {'p50': None, 'p99': None}
    failed = sum(map(context_lib.errors, closed + opened))
    p50, p99 = latency['p50'], latency['p99']
    names = [f'open loop at 60 % of it, {quantile}'
             for quantile in ('p50', 'p99')]
    return [
        figures.plain('saturation, 2,048 candidates', saturation,
                      'requests/s', 'closed loop; the generator used '
                      f'{closed[-1]["client_processors"]:.0%} of a processor'),
        *_against_engine(data, saturation),
        figures.plain('service time: one request alone, p50', alone['p50'],
                      'ms', f'p99 {alone["p99"]:.1f} ms'),
        figures.at_most(names[0], p50, P50_SERVICES * alone['p50'], 'ms',
                        f'target: {P50_SERVICES} service times'),
        figures.at_most(names[1], p99, min(P99_SERVICES * alone['p50'], P99_MS),
                        'ms', f'target: {P99_SERVICES} service times, '
                        f'{P99_MS} ms at most'),
        figures.below('open loop at 60 % of it, p99 over p50',
                      p50 and p99 / p50, 4, 'x', needs=names),
        figures.at_most('errors', failed, 0, 'requests', 'of all rates',
                        every=True),
        figures.plain('longest gap of the idle machine', gaps['longest_ms'],
                      'ms', f'{gaps["above_1_ms"]} above 1 ms in '
                      f'{gaps["seconds"]:.0f} s; {gaps["stopped_share"]:.1%} '
                      'of the time was not ours')]


def _against_engine(data, saturation):
    """What is served of what all cores' engines could score meanwhile."""
    if not data.get('engine_ms'):  # of before this was measured
        return []
    engine = 1e3 * 2000 / data['engine_ms'] * data['processors']
    return [figures.at_least(
        'saturation over the engine alone', saturation * CANDIDATES / engine,
        OF_THE_ENGINE, '', f'{engine:,.0f} candidates a second on '
        f'{data["processors"]} cores')]


def _closed(context, server, concurrency):
    context.say(f'closed loop, {concurrency} under way')
    flows, used = context.load(server, USERS,
                               f'load:closed:{concurrency}:{CANDIDATES}',
                               warm_up='500ms', duration='3s')
    return {**flows['load'], 'client_processors': used}


def _open(context, server, share, saturation):
    rate = share * saturation
    context.say(f'open loop, {share:.0%} of saturation: {rate:.0f} a second')
    flows, used = context.load(
        server, USERS, f'load:open:{rate:.3f}:{CANDIDATES}', warm_up='1s',
        duration='15s' if share == JUDGED else '5s')
    return {**flows['load'], 'client_processors': used, 'share': share}
