"""Bytes of a user, and of the process under load."""

import pathlib
import statistics
import threading
import time
from concurrent import futures

from bench.performance import figures

MIB = 1 << 20
BUDGET = 384 * MIB
USERS, EVENTS, RATE = 20_000, 200_000, 10_000
DEFAULT_MINUTES = .75
# A server that does nothing else stays within any budget.
RANKINGS = 20
SAMPLES_KEPT = 300


class Sampler(threading.Thread):
    """Resident bytes of a process, twice a second, until stopped."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.samples = []  # (seconds, bytes)
        self._status = pathlib.Path(f'/proc/{pid}/status')
        self._begin, self._done = time.monotonic(), threading.Event()

    def resident(self):
        for line in self._status.read_text().splitlines():
            if line.startswith('VmRSS:'):
                return 1024 * int(line.split()[1])
        raise RuntimeError(f'{self._status} has no VmRSS: the server is gone')

    def run(self):
        while not self._done.wait(.5):
            self.samples.append((time.monotonic() - self._begin,
                                 self.resident()))

    def stop(self):
        self._done.set()
        self.join()


def run(context):
    minutes = context.minutes or DEFAULT_MINUTES
    with context.server(memory=f'budget_bytes: {BUDGET}') as server:
        sampler = Sampler(server.process.pid)
        idle = sampler.resident()
        context.say(f'filling: {USERS:,} users, {EVENTS:,} events')
        context.send_events(server, USERS, EVENTS)
        server.wait_until_folded()
        sampler.start()
        context.say(f'full load for {60 * minutes:.0f} s')
        flow, applied = _load(context, server, 60 * minutes)
        sampler.stop()
        state = server.metric(
            'qlarank_state_bytes{model="random",version="1"}')
        cached_users = server.metric('qlarank_cached_users')
        cached = server.metric('qlarank_cached_state_bytes') / cached_users
    samples = sampler.samples
    most = max(size for _, size in samples)
    return figures.Result([
        figures.plain('a state of d=128, H=4, L=2', state, 'bytes',
                      'whatever the history'),
        figures.plain('a cached user', cached, 'bytes'),
        figures.plain('resident after start, no user', idle / MIB, 'MiB'),
        figures.at_most('resident under load, the most', most / MIB,
                        BUDGET / MIB, 'MiB', 'target: memory.budget_bytes; '
                        f'{cached_users:,.0f} of {USERS:,} users cached; '
                        f'{minutes:g} minutes', every=True,
                        needs=('rankings meanwhile', 'events meanwhile')),
        figures.at_least('rankings meanwhile', flow['per_second'], RANKINGS,
                         'requests/s', 'of 2,048 candidates, 4 under way'),
        figures.at_least('events meanwhile', applied / (60 * minutes),
                         .95 * RATE, 'events/s'),
        figures.plain('growth in the second half', growth(samples) / MIB,
                      'MiB/min'),
        figures.at_most('errors', sum(flow['errors'].values()), 0,
                        'requests', every=True),
    ], {'samples': [(round(t, 1), size) for t, size in thinned(samples)],
        'budget': BUDGET})


def _load(context, server, seconds):
    """Rankings as many as fit, their flow; and how many of the events beside
    them were applied."""
    with futures.ThreadPoolExecutor() as pool:
        events = pool.submit(
            context.send_events, server, USERS, int(RATE * seconds), rate=RATE,
            source='load', timeout_s=seconds + 300)
        flows, _ = context.load(server, USERS, 'load:closed:4:2048',
                                warm_up='0s', duration=f'{seconds:.0f}s')
        return flows['load'], events.result()['applied']


def thinned(samples):
    """At most SAMPLES_KEPT of them, evenly."""
    step = -(-len(samples) // SAMPLES_KEPT) or 1
    return samples[::step]


def growth(samples):
    """Bytes a minute: the slope from the middle of the samples on."""
    later = samples[len(samples) // 2:]
    if len(later) < 2:
        return 0.0
    mean_t = statistics.mean(t for t, _ in later)
    mean_b = statistics.mean(size for _, size in later)
    return 60 * (sum((t - mean_t) * (size - mean_b) for t, size in later) /
                 sum((t - mean_t) ** 2 for t, _ in later))
