"""The load of a soak, slice after slice, and what the server looked like."""

import os
import pathlib
import threading
import time

MIB = 1 << 20
USERS = 2000
# Of each user before the clock starts: the levels that compaction makes of the
# store, and what it needs for that, are those of a server that has been in use.
EVENTS_BEFORE = 500
# Two at a time, whenever they are answered: a machine with other work is not
# given more than it can do.
RANK = 'rank:closed:2:1000'
EVENTS_PER_SECOND = 2000
# Callers who wait for less than an answer takes.
IMPATIENT = 'impatient:open:10:5000'
SLICES, SLICE_SECONDS = 12, 60
USER_CACHE, BLOCK_CACHE = 48 * MIB, 32 * MIB


class Watch(threading.Thread):
    """Resident bytes and open files of a process every second, until stopped."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.samples = []  # (seconds, bytes, open files)
        self._proc = pathlib.Path(f'/proc/{pid}')
        self._begin, self._done = time.monotonic(), threading.Event()

    def run(self):
        page = os.sysconf('SC_PAGE_SIZE')
        while not self._done.wait(1):
            pages = int((self._proc / 'statm').read_text().split()[1])
            files = len(os.listdir(self._proc / 'fd'))
            self.samples.append((round(time.monotonic() - self._begin, 1),
                                 pages * page, files))

    def stop(self):
        self._done.set()
        self.join()


def run(context, seconds):
    """{'slices': [...], 'samples': [...], 'exit_code': of the server}."""
    length = min(SLICE_SECONDS, seconds / SLICES)
    with context.server(
            store=f'user_cache_bytes: {USER_CACHE} '
            f'block_cache_bytes: {BLOCK_CACHE}') as server:
        context.send_events(server, USERS, EVENTS_BEFORE * USERS,
                            source='before')
        server.wait_until_folded()
        watch = Watch(server.process.pid)
        watch.start()
        slices = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            slices.append(_slice(context, server, length, len(slices)))
            context.say('slice {}: p99 {:.1f} ms, {} errors'.format(
                len(slices), slices[-1]['p99'],
                sum(slices[-1]['errors'].values())))
        watch.stop()
        exit_code = server.stop()
        log = server.log.read_text()
    return {'slices': slices, 'samples': watch.samples,
            'exit_code': exit_code,
            'log_errors': sum(_is_error(line) for line in log.splitlines())}


def _is_error(line):
    return ' ERROR ' in line


def _slice(context, server, length, number):
    """One slice: all of its load side by side; what became of it."""
    errors, events = {}, int(EVENTS_PER_SECOND * length)

    def beside(work):
        def guarded():
            try:
                work()
            except Exception as error:  # a gate, not the end of the soak
                reason = str(error)[:200]
                errors[reason] = errors.get(reason, 0) + 1
        thread = threading.Thread(target=guarded)
        thread.start()
        return thread

    threads = [
        beside(lambda: context.send_events(
            server, USERS, events, rate=EVENTS_PER_SECOND, source='soak',
            first_sequence=number * events + 1,
            first_second=1_500_000_000 + number * events)),
        beside(lambda: context.load(
            server, USERS, IMPATIENT, seed=1000 + number, warm_up='0s',
            duration=f'{length}s', timeout='3ms')),
        beside(lambda: server.cli_json(
            'delete-user', '--yes', '--user', f'user-{number % USERS}')),
        beside(lambda: server.metric('qlarank_cached_users'))]
    flows, _ = context.load(server, USERS, RANK, seed=number, warm_up='0s',
                            duration=f'{length}s', timeout='30s')
    for thread in threads:
        thread.join()
    rank = flows['rank']
    for reason, count in rank['errors'].items():
        errors[reason] = errors.get(reason, 0) + count
    return {'completed': rank['completed'], 'errors': errors, 'events': events,
            'p50': rank['latency_ms']['p50'], 'p99': rank['latency_ms']['p99']}
