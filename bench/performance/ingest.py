"""Events in: durable, folded, and how soon they count."""

import time

from bench.performance import context as context_lib
from bench.performance import figures

USERS, EVENTS = 2500, 500_000
APPENDED, FOLDED, FRESH_MS = 200_000, 100_000, 100
# Half of what is to be folded, and half of what is to be appended.
FRESH_RATES = (FOLDED // 2, APPENDED // 2)


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
        fresh = [_freshness(context, server, name, rate)
                 for rate in FRESH_RATES]
    return {'appended_per_s': sent['per_second'],
            'folded_per_s': EVENTS / folded_s,
            'client_processors': sent['client_processors'],
            'freshness': fresh}


def _freshness(context, server, name, rate):
    """event_client's report at so many events a second, for 8 seconds."""
    context.say(f'{name}: freshness at {rate:,} events a second')
    report = context.send_events(server, USERS, 8 * rate, rate=rate,
                                 source=f'probe-{rate}', freshness=True)
    server.wait_until_folded()
    return {'rate': rate, 'probed_at': report['per_second'],
            'latency_ms': report['freshness']['latency_ms'],
            'probes': report['freshness']['completed']}


def _figures(name, own, targets):
    rows = [
        (figures.at_least, 'appended, synced', own['appended_per_s'], APPENDED,
         'events/s', f'the client used {own["client_processors"]:.0%} of a '
         'processor'),
        (figures.at_least, 'folded into every state', own['folded_per_s'],
         FOLDED, 'events/s', 'from the first event sent on')]
    for fresh in own['freshness']:
        latency = fresh['latency_ms']
        rows.append((
            figures.below, f'visible in Rank at {fresh["rate"]:,} events/s, '
            'p99', latency and latency['p99'], FRESH_MS, 'ms',
            f'{fresh["probes"]} probes at {fresh["probed_at"]:,.0f} events/s'
            if latency else 'no event counted before the load ended'))
    for judge, what, value, bound, unit, note in rows:
        label = f'{name}: {what}'
        yield (judge(label, value, bound, unit, note) if targets else
               figures.plain(label, value, unit, note))
