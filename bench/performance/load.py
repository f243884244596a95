"""Latency up to saturation, closed loop and open loop."""

from bench.performance import context as context_lib
from bench.performance import figures

CANDIDATES = 2048
USERS, EVENTS = 2000, 40_000
CONCURRENCIES = (1, 2, 4, 8, 16)
SHARES = (.2, .4, .6, .8, .9)
JUDGED = .6


def run(context):
    context.say('scheduling gaps of the machine, with nothing running')
    gaps = context.gaps()
    with context.server() as server:
        context.send_events(server, USERS, EVENTS)
        server.wait_until_folded()
        closed = [_closed(context, server, n) for n in CONCURRENCIES]
        saturation = max(run_['per_second'] for run_ in closed)
        opened = [_open(context, server, share, saturation)
                  for share in SHARES]
    judged = opened[SHARES.index(JUDGED)]
    failed = sum(map(context_lib.errors, closed + opened))
    latency = judged['latency_ms']
    return figures.Result([
        figures.plain('saturation, 2,048 candidates', saturation,
                      'requests/s', 'closed loop; the generator used '
                      f'{closed[-1]["client_processors"]:.0%} of a processor'),
        figures.plain('open loop at 60 % of it, p50', latency['p50'], 'ms'),
        figures.below('open loop at 60 % of it, p99 over p50',
                      latency['p99'] / latency['p50'], 4, 'x',
                      f'p99 {latency["p99"]:.1f} ms'),
        figures.at_most('errors', failed, 0, 'requests', 'of all rates'),
        figures.plain('longest gap of the idle machine', gaps['longest_ms'],
                      'ms', f'{gaps["above_1_ms"]} above 1 ms in '
                      f'{gaps["seconds"]:.0f} s; {gaps["stopped_share"]:.1%} '
                      'of the time was not ours'),
    ], {'closed': closed, 'open': opened, 'gaps': gaps})


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
        duration='15s' if share == JUDGED else '6s')
    return {**flows['load'], 'client_processors': used, 'share': share}
