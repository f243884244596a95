"""More than the server can do, asked for by clients at the usual priority on
the server's own processors. Three parts:

Ordinary clients (bench/load/ordinary_clients.py), ghz and a Python one, on 64
and on 256 connections, with deadlines of 300 ms and 1 s; each comes back at
once whatever it was told. Their goodput is held to what the same client gets on
16 connections.

Ten times the capacity, for a minute or more, at Poisson arrivals, by three
clients at once: the flood, from 127.0.0.1; a probe beside it from the same
address, which goes on after the flood has ended and says when all is as before;
and a neighbour from 127.0.0.2, another client to the server, who asks for a
tenth of the capacity.

Two busy processes that have nothing to do with the server, at the usual
priority: rankings a second beside them, over those without.
"""

import contextlib
import csv
import dataclasses
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent import futures

from bench.load import ordinary_clients
from bench.performance import context as context_lib
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
DEFAULT_MINUTES = 1
# Of the ordinary clients.
ORDINARY_CANDIDATES = 1000
BASE_CONNECTIONS, BASE_DEADLINE_MS = 16, 1000
MANY_CONNECTIONS, DEADLINES_MS = (64, 256), (300, 1000)
ORDINARY_SECONDS = 8
# Rankings beside busy processes, alone and beside them in turn.
NEIGHBOUR_ROUNDS, NEIGHBOUR_SECONDS = 3, 4
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
        shares, alternation = _beside_busy_processes(context, server)
        ordinary, runs = _ordinary(context, server)
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
        ordinary + _figures(flows, begin, end, capacity, after, clients,
                            late_ms, most=max(size for _, size in
                                              sampler.samples)) +
        _beside_figures(shares, alternation),
        {'capacity': capacity, 'seconds': seconds, 'ordinary': runs,
         'beside_busy_processes': alternation,
         'per_second': per_second(flows, begin - LEAD, end + TAIL),
         'refusals': refusals(flows['flood'])})


def _clients_seconds():
    """Processor time of all clients that have ended; the server goes on."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _ordinary(context, server):
    """Figures of the ordinary clients, and their runs for the plot's data."""
    request = ordinary_clients.rank_request(
        'user-0', [1 + i * 7919 % context_lib.ITEMS
                   for i in range(ORDINARY_CANDIDATES)])
    found, data = [], []
    with ordinary_clients.Clients(context.cache.parent, server.address,
                                  request) as clients:
        for name, missing in clients.missing.items():
            runs = {}
            for connections, deadline_ms in () if missing else _ordinary_runs():
                context.say(f'{name}: {connections} connections, '
                            f'{deadline_ms} ms')
                run_ = clients.run(name, connections, deadline_ms,
                                   ORDINARY_SECONDS)
                runs[connections, deadline_ms] = run_
                data.append({'client': name, 'connections': connections,
                             'deadline_ms': deadline_ms,
                             **dataclasses.asdict(run_)})
            found += ordinary_figures(name, runs, missing)
    return found, data


def _ordinary_runs():
    yield BASE_CONNECTIONS, BASE_DEADLINE_MS
    for connections in MANY_CONNECTIONS:
        for deadline_ms in DEADLINES_MS:
            yield connections, deadline_ms


def ordinary_figures(name, runs, missing=''):
    """Of one client. runs: {(connections, deadline in ms): Run}, none when the
    client is missing."""
    base = runs.get((BASE_CONNECTIONS, BASE_DEADLINE_MS))
    found = [figures.plain(
        f'{name}, {BASE_CONNECTIONS} connections', base and base.goodput,
        'rankings/s', missing or f'{ORDINARY_CANDIDATES:,} candidates, at '
        f'usual priority on the server\'s processors; {_latency(base)}')]
    for connections in MANY_CONNECTIONS:
        for deadline_ms in DEADLINES_MS:
            run_ = runs.get((connections, deadline_ms))
            share = None
            note = missing
            if run_ is not None:
                share = run_.goodput / base.goodput if base.goodput else 0
                note = (f'{run_.goodput:.0f} in time a second, '
                        f'{run_.refused:.0f} refused; {_latency(run_)}')
                if run_.others():
                    note += f'; {run_.others()}'
            found.append(figures.at_least(
                f'{name}, {connections} connections, {deadline_ms} ms: goodput '
                f'over that of {BASE_CONNECTIONS}', share, .8, '', note))
    return found


def _latency(run_):
    return (f'p50 {figures.number(run_.ok_p50_ms)} ms, p99 '
            f'{figures.number(run_.ok_p99_ms)} ms')


@contextlib.contextmanager
def _busy_processes(count):
    """So many, each of which keeps a processor busy, at the usual priority.

    In the session of the server, or Linux would weigh sessions against each
    other (sched_autogroup), whatever runs in them.
    """
    processes = [subprocess.Popen([sys.executable, '-c', 'while True: pass'])
                 for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _beside_busy_processes(context, server):
    """Rankings a second beside as many busy processes as processors over those
    without, of each round; and both of each."""
    def rankings():
        flows, _ = context.load(
            server, USERS, f'load:closed:{CONCURRENCY}:{ORDINARY_CANDIDATES}',
            warm_up='1s', duration=f'{NEIGHBOUR_SECONDS}s')
        return flows['load']['per_second']

    alternation = []
    for number in range(NEIGHBOUR_ROUNDS):
        context.say(f'alone, then beside {os.cpu_count()} busy processes: '
                    f'round {number + 1} of {NEIGHBOUR_ROUNDS}')
        alone = rankings()
        with _busy_processes(os.cpu_count()):
            alternation.append({'alone': alone, 'beside': rankings()})
    return [rates['beside'] / rates['alone']
            for rates in alternation], alternation


def _beside_figures(shares, alternation):
    alone, beside = (statistics.median(rates[kind] for rates in alternation)
                     for kind in ('alone', 'beside'))
    return [
        figures.plain('rankings alone', alone, '1/s',
                      f'{ORDINARY_CANDIDATES:,} candidates, closed loop, '
                      f'{CONCURRENCY} under way'),
        # About half is fair.
        figures.at_least('rankings beside busy processes, over those alone',
                         statistics.median(shares), .4, '',
                         f'{beside:.0f} a second beside one on each processor, '
                         f'at usual priority; rounds '
                         f'{", ".join(f"{share:.2f}" for share in shares)}')]


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
        flood = pool.submit(client, 'flood', FACTOR * capacity, 0, seconds)
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
                         goodput / max(capacity, after), .8, '',
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
