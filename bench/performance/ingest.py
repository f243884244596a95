"""Events in: durable, folded, and how soon they count."""

import time

from bench.performance import context as context_lib
from bench.performance import figures

USERS, EVENTS = 2500, 500_000
APPENDED, FOLDED, FRESH_MS = 200_000, 100_000, 100
# For a p99 to be one, and for the rate to be the one that was meant.
PROBES, SENT_SHARE = 100, .95
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
        if sent['applied'] != EVENTS:
            raise RuntimeError(f'{sent["applied"]} of {EVENTS} were applied')
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
    for judge, what, value, bound, unit, note in rows:
        label = f'{name}: {what}'
        yield (judge(label, value, bound, unit, note) if targets else
               figures.plain(label, value, unit, note))
    for fresh in own['freshness']:
        yield from _fresh_figures(name, fresh, targets)


def _fresh_figures(name, fresh, targets):
    """A p99 counts only of enough probes, and at the rate that was meant."""
    latency = fresh['latency_ms'] or {'p50': None, 'p99': None}
    at = f'{name}: visible in Rank at {fresh["rate"]:,} events/s'
    if not targets:
        yield figures.plain(f'{at}, p50', latency['p50'], 'ms')
        yield figures.plain(f'{at}, p99', latency['p99'], 'ms',
                            f'{fresh["probes"]} probes')
        return
    yield figures.plain(f'{at}, p50', latency['p50'], 'ms')
    yield figures.below(
        f'{at}, p99', latency['p99'], FRESH_MS, 'ms',
        '' if fresh['latency_ms'] else 'no event counted before the load ended',
        needs=(f'{at}, probes', f'{at}, sent'))
    yield figures.at_least(f'{at}, probes', fresh['probes'], PROBES)
    yield figures.at_least(f'{at}, sent', fresh['probed_at'],
                           SENT_SHARE * fresh['rate'], 'events/s')
