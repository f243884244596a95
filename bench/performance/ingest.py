"""Events in: durable, folded, and how soon they count."""

import time

from bench.performance import context as context_lib
from bench.performance import figures

USERS, EVENTS = 2500, 500_000
APPENDED, FOLDED, FRESH_MS = 200_000, 100_000, 100


def run(context):
    found, data = [], {}
    for name, bundle in (('d=128', 'd128'), ('groceries', context_lib.SHIPPED)):
        own = _measure(context, name, bundle)
        data[name] = own
        found += _figures(name, own, targets=name == 'd=128')
    return figures.Result(found, data)


def _measure(context, name, bundle):
    with context.server(bundle) as server:
        context.say(f'{name}: {EVENTS:,} events, as fast as they are taken')
        begin = time.monotonic()
        sent = context.send_events(server, USERS, EVENTS)
        # The client makes its events before its clock starts.
        making = time.monotonic() - begin - sent['seconds']
        server.wait_until_folded()
        folded_s = time.monotonic() - begin - making
        rate = FOLDED // 2
        context.say(f'{name}: freshness at {rate:,} events a second')
        probed = context.send_events(server, USERS, 8 * rate, rate=rate,
                                     source='probe', freshness=True)
    return {'appended_per_s': sent['per_second'],
            'folded_per_s': EVENTS / folded_s,
            'client_processors': sent['client_processors'],
            'probed_at': probed['per_second'],
            'freshness_ms': probed['freshness']['latency_ms'],
            'probes': probed['freshness']['completed']}


def _figures(name, own, targets):
    fresh = own['freshness_ms']
    note = (f'{own["probes"]} probes at {own["probed_at"]:,.0f} events/s'
            if fresh else 'no event counted before the load ended')
    rows = [
        (figures.at_least, 'appended, synced', own['appended_per_s'], APPENDED,
         'events/s', f'the client used {own["client_processors"]:.0%} of a '
         'processor'),
        (figures.at_least, 'folded into every state', own['folded_per_s'],
         FOLDED, 'events/s', 'from the first event sent on'),
        (figures.below, 'acknowledged to visible in Rank, p99',
         fresh and fresh['p99'], FRESH_MS, 'ms', note)]
    for judge, what, value, bound, unit, note in rows:
        label = f'{name}: {what}'
        yield (judge(label, value, bound, unit, note) if targets else
               figures.plain(label, value, unit, note))
