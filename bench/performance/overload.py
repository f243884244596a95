"""Ten times the load that the server can take, for minutes.

Three clients at once, each on a connection of its own: the flood, from
127.0.0.1; a probe beside it from the same address, which goes on after the
flood has ended and says when all is as before; and a neighbour from 127.0.0.2,
another client to the server, who asks for a tenth of the capacity.

The flood shares the processors with the server. As a client on a machine of its
own would not, it does not interrupt the server's work to send: its requests go
some milliseconds late. Their latency counts from when they were to go.
"""

import csv
import dataclasses
import math
import resource
import statistics
import tempfile
import time
from concurrent import futures

from bench.performance import figures
from bench.performance import memory

MIB = 1 << 20
CANDIDATES = 2048
USERS, EVENTS = 2000, 40_000
CONCURRENCY = 16
FACTOR = 10
DEADLINE_MS = 200
NEIGHBOUR_SHARE = .1
PROBE_RATE = 20
# Of the probe, before the flood and after it.
LEAD, TAIL = 5, 10
DEFAULT_MINUTES = 2
BUDGET = 256 * MIB
OK, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED = 0, 4, 8


@dataclasses.dataclass(frozen=True)
class Request:
    """A line of load_client's timeline."""
    sent: float  # Unix seconds
    ms: float
    code: int


def run(context):
    seconds = 60 * (context.minutes or DEFAULT_MINUTES)
    with tempfile.TemporaryDirectory(dir=context.cache) as folder, \
            context.server(memory=f'budget_bytes: {BUDGET}') as server:
        sampler = memory.Sampler(server.process.pid)
        context.send_events(server, USERS, EVENTS)
        server.wait_until_folded()
        capacity = _capacity(context, server)
        sampler.start()
        before = _clients_seconds()
        flows, late_ms = _flood(context, server, folder, capacity, seconds)
        clients = (_clients_seconds() - before) / (LEAD + seconds + TAIL)
        after = _capacity(context, server)
        sampler.stop()
    begin = min(request.sent for request in flows['flood'])
    end = max(request.sent for request in flows['flood'])
    return figures.Result(
        _figures(flows, begin, end, capacity, after, clients, late_ms,
                 most=max(size for _, size in sampler.samples)),
        {'capacity': capacity, 'seconds': seconds,
         'per_second': per_second(flows, begin - LEAD, end + TAIL),
         'refusals': refusals(flows['flood'])})


def _clients_seconds():
    """Processor time of all clients that have ended; the server goes on."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _capacity(context, server):
    context.say(f'capacity: closed loop, {CONCURRENCY} under way')
    flows, _ = context.load(server, USERS,
                            f'load:closed:{CONCURRENCY}:{CANDIDATES}',
                            warm_up='1s', duration='10s')
    return flows['load']['per_second']


def _flood(context, server, folder, capacity, seconds):
    """{flow: [Request]} of the three clients, and how late the flood's
    requests were sent."""
    context.say(f'{FACTOR} times {capacity:.0f} a second for {seconds:.0f} s')

    def client(name, rate, begin, duration, **flags):
        flows, _ = context.load(
            server, USERS, f'{name}:open:{rate:.3f}:{CANDIDATES}',
            timeout_s=duration + 300, warm_up=f'{begin}s',
            duration=f'{duration}s', timeout=f'{DEADLINE_MS}ms',
            timeline=f'{folder}/{name}', **flags)
        return flows[name]

    with futures.ThreadPoolExecutor() as pool:
        clients = [
            pool.submit(client, 'probe', PROBE_RATE, 0, LEAD + seconds + TAIL,
                        seed=2),
            pool.submit(client, 'neighbour', NEIGHBOUR_SHARE * capacity, LEAD,
                        seconds, seed=3, source_address='127.0.0.2')]
        # Its own warm-up would be a flood, too.
        time.sleep(LEAD)
        flood = pool.submit(client, 'flood', FACTOR * capacity, 0, seconds,
                            patient=True)
        for running in clients:
            running.result()
        late_ms = flood.result()['late_ms']
    return {name: read(f'{folder}/{name}')
            for name in ('flood', 'probe', 'neighbour')}, late_ms


def read(path):
    """The requests of a timeline, in the order in which they were sent."""
    with open(path, newline='') as file:
        return sorted((Request(float(sent), float(ms), int(code))
                       for _, sent, ms, code in csv.reader(file)),
                      key=lambda request: request.sent)


def answered(requests):
    """Those with a reply, in time."""
    return [r for r in requests if r.code == OK and r.ms <= DEADLINE_MS]


def admitted_in_time(requests):
    """The share of the requests that were not refused which got a reply in
    time; None when all were refused."""
    admitted = [r for r in requests if r.code != RESOURCE_EXHAUSTED]
    return len(answered(admitted)) / len(admitted) if admitted else None


def recovery_seconds(probe, end):
    """From the flood's end until all that is sent within a second is answered
    in time; None when that is never so."""
    last = max(request.sent for request in probe)
    begin = end
    for request in probe:
        if request.sent < end:
            continue
        if request.sent > begin + 1:
            return begin - end
        if request.code != OK or request.ms > DEADLINE_MS:
            begin = request.sent
    return begin - end if last > begin + 1 else None


def quantile(values, share):
    """The smallest that so many do not exceed, None of none."""
    values = sorted(values)
    return values[max(0, math.ceil(share * len(values)) - 1)] if values else None


def refusals(requests):
    """Milliseconds until a refusal, at the median and p99."""
    times = [r.ms for r in requests if r.code == RESOURCE_EXHAUSTED]
    return {'p50': quantile(times, .5), 'p99': quantile(times, .99)}


def per_second(flows, begin, end):
    """{flow: {'answered' and 'refused': [number in each second]}}."""
    found = {}
    for name, requests in flows.items():
        counts = {kind: [0] * math.ceil(end - begin)
                  for kind in ('answered', 'refused')}
        for request in requests:
            second = int(request.sent - begin)
            if not 0 <= second < len(counts['answered']):
                continue
            if request.code == OK:
                counts['answered'][second] += 1
            elif request.code == RESOURCE_EXHAUSTED:
                counts['refused'][second] += 1
        found[name] = counts
    return found


def _figures(flows, begin, end, capacity, after, clients, late_ms, most):
    seconds = end - begin
    during = {name: [r for r in requests if begin <= r.sent < end]
              for name, requests in flows.items()}
    everything = [r for requests in during.values() for r in requests]
    admitted = [r for r in everything if r.code != RESOURCE_EXHAUSTED]
    goodput = len(answered(everything)) / seconds
    refused = refusals(everything)
    neighbour = during['neighbour']
    return [
        figures.plain('capacity, 2,048 candidates', capacity, 'requests/s',
                      f'closed loop, {CONCURRENCY} under way; '
                      f'{after:.0f} afterwards'),
        figures.plain('offered', len(everything) / seconds, 'requests/s',
                      f'for {seconds:.0f} s, deadline {DEADLINE_MS} ms; the '
                      f'clients take {clients:.2f} processors, and send '
                      f'{late_ms["p50"]:.1f} ms late, p99 '
                      f'{late_ms["p99"]:.1f} ms'),
        # The machine may have had less to give before the flood than in it.
        figures.at_least('goodput over capacity',
                         goodput / max(capacity, after), .9, '',
                         f'{goodput:.0f} replies in time a second; the '
                         'capacity before or afterwards, whichever is more'),
        figures.at_least('admitted, answered by their deadline',
                         admitted_in_time(everything), .99, '',
                         f'{len(admitted):,} admitted'),
        figures.at_most('admitted, p99', quantile(
            [r.ms for r in admitted], .99), DEADLINE_MS, 'ms', 'p50 '
            f'{statistics.median(r.ms for r in admitted):.0f} ms'),
        figures.plain('refused after, p50', refused['p50'], 'ms',
                      f'p99 {figures.number(refused["p99"])} ms'),
        figures.at_least("another client's, answered by their deadline",
                         len(answered(neighbour)) / len(neighbour), .99, '',
                         f'of {len(neighbour):,}, a tenth of the capacity'),
        figures.at_most('resident, the most', most / MIB, BUDGET / MIB, 'MiB',
                        'target: memory.budget_bytes'),
        figures.at_most('recovery after the end of the load',
                        recovery_seconds(flows['probe'], end), 1, 's',
                        f'probed {PROBE_RATE} times a second'),
    ]
