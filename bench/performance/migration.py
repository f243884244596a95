"""States of a version that was loaded while the server serves: how fast they are
made, whether the time that is said to be left is right, what a crash costs, what
is answered meanwhile, and whether they have the bits of a fold from the beginning.

Two versions, one after the other. The first is migrated to alone, for the rate
and the time left. In the middle of the second, with rankings beside it, the
server is killed, and started again. What was answered meanwhile, by the version
before and by the new one, is asked for again in the end. States are compared with
a fold of the user's log, event by event, and made anew by --rebuild_states, for
the rate.
"""

import dataclasses
import json
import pathlib
import signal
import subprocess
import tempfile
import threading
import time

from bench.performance import context as context_lib
from bench.performance import figures, swap
from bench.performance.replies import Replies

DEFAULT_USERS, EVENTS_EACH = 10_000, 100
# Events of a run of event_client, which has them all in memory.
CHUNK = 2_000_000
FIRST_SECOND = 1_500_000_000
# The light load.
LOAD, LOAD_SECONDS = 'load:open:20:2048', 10
# When the time that is left is taken down: after a minute, or so much of it.
ETA_SECONDS, ETA_SHARE, ETA_WITHIN = 60, .2, .2
# server_config.proto's default.
SHARE = .5
# Users whose states are compared, at most.
COMPARED = 10_000
DONE = {'phase': 'done', 'users': 1, 'covered_users': 1, 'folded_events': 0,
        'seconds_left': 0}


@dataclasses.dataclass(frozen=True)
class Look:
    """What `qlarank model show` said of a migration, so long after its begin."""
    seconds: float
    coverage: float
    folded_events: int
    seconds_left: int


@dataclasses.dataclass(frozen=True)
class Case:
    """users: how many; name: of the model; base: its versions' folder's folder;
    folder: of the store."""
    context: context_lib.Context
    users: int
    name: str
    base: pathlib.Path
    folder: str

    def bundle(self, version):
        return self.base / self.name / str(version)

    def server(self, version=1):
        return self.context.server(
            self.bundle(version), self.folder, base_path=self.base,
            version=version, log='format: FORMAT_JSON')


def run(context):
    users = context.users or DEFAULT_USERS
    name = context_lib.RANDOM if context.model else swap.NAME
    base = context.versions(3, context.model or context_lib.SHIPPED)
    replies = Replies(name, users, FIRST_SECOND + users * EVENTS_EACH)
    with tempfile.TemporaryDirectory(dir=context.cache) as folder:
        case = Case(context, users, name, base, folder)
        with case.server() as server:
            _fill(context, server, users)
            before = _ranked(context, server)
            context.say('version 2, alone')
            looks = _watch(server, f'{name}/2', _load(server, f'{name}/2'))
        during, again, after_kill = _killed(case, replies)
        with case.server() as server:
            replies.ask_again(server)
        compared = _compare(case)
        rebuilt = _rebuild(case)
    data = {'model': context.model or name, 'users': users,
            'events': users * EVENTS_EACH, 'before': before,
            'during': during, 'looks': [dataclasses.astuple(l) for l in looks],
            'again': again, 'after_kill': after_kill, 'compared': compared,
            'replies': replies.counts(), 'rebuild_per_core': rebuilt}
    return figures.Result(judge(data), data)


def _fill(context, server, users):
    """So many users of EVENTS_EACH events, some users after others: those whose
    states fit into memory are folded for quickly."""
    chunk = CHUNK // EVENTS_EACH
    for first in range(0, users, chunk):
        context.say(f'{first:,} of {users:,} users of {EVENTS_EACH} events')
        some, events = min(chunk, users - first), first * EVENTS_EACH
        context.send_events(server, some, some * EVENTS_EACH, in_turn=True,
                            first_user=first, first_sequence=events + 1,
                            first_second=FIRST_SECOND + events)
    server.wait_until_folded()


def _ranked(context, server):
    flows, _ = context.load(server, DEFAULT_USERS, LOAD, warm_up='1s',
                            duration=f'{LOAD_SECONDS}s')
    flow = flows['load']
    return {**flow['latency_ms'], 'errors': context_lib.errors(flow)}


def _load(server, model):
    """Begins a migration; when."""
    begin = time.monotonic()
    server.cli('model', 'load', model)
    return begin


def _watch(server, model, begin, until=lambda look: False):
    """[Look] of a migration, until it is done or `until` says so."""
    looks = []
    while True:
        # None: it was done before the server was started again.
        said = swap.migration(server, model) or DONE
        if said['phase'] == 'failed':
            raise RuntimeError(f'the migration failed: {said}')
        looks.append(Look(time.monotonic() - begin,
                          said['covered_users'] / max(1, said['users']),
                          said['folded_events'], said['seconds_left']))
        if said['phase'] == 'done' or until(looks[-1]):
            return looks
        time.sleep(.2)


def _killed(case, replies):
    """Latencies of LOAD beside the second version's migration, the events that
    it folded after a kill at a half, and the seconds that took."""
    ranked, model = [], f'{case.name}/3'
    with case.server() as server:
        case.context.say('version 3, rankings beside it, killed at a half')
        loader = threading.Thread(
            target=lambda: ranked.append(_ranked(case.context, server)))
        loader.start()
        time.sleep(1)  # its warm-up
        begin = _load(server, model)
        with replies.asked(server, (0, 3)):
            _watch(server, model, begin, until=lambda look: look.coverage >= .5)
            loader.join()
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    with case.server() as server:
        with replies.asked(server, (0, 3)):
            looks = _watch(server, model, time.monotonic())
    return ranked[0], looks[-1].folded_events, looks[-1].seconds


def _compare(case):
    """check_states' reports, by version."""
    every = -(-case.users // COMPARED)
    found = {}
    for version in (2, 3):
        case.context.say(
            f'states of version {version} against a fold of the log')
        found[version] = case.context.run_json(
            'check_states', f'{case.folder}/store', case.bundle(version), every,
            timeout=3600)
    return found


def _rebuild(case):
    """Events a second and core of --rebuild_states."""
    case.context.say('the same states by --rebuild_states')
    with case.server(version=2) as server:
        config = f'{server.folder}/server.textproto'
    result = subprocess.run(
        [case.context.programs.server, '--rebuild_states',
         f'--config_file={config}'], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=True, timeout=7200)
    for line in result.stdout.splitlines():
        if '"rebuilt states"' in line:
            return float(json.loads(line)['events_per_s_per_core'])
    raise RuntimeError(f'nothing was rebuilt: {result.stdout}')


def judge(data):
    """The figures of what was measured."""
    before, during = data['before'], data['during']
    return [
        *_of_speed([Look(*values) for values in data['looks']], data),
        figures.plain('killed at a half: events folded afterwards',
                      data['again'] / data['events'], 'of all',
                      f'in {data["after_kill"]:.1f} s'),
        *_of_bits(data),
        figures.plain('20 rankings a second before, p99', before['p99'], 'ms',
                      f'p50 {figures.number(before["p50"])} ms'),
        figures.plain('20 rankings a second beside it, p99', during['p99'],
                      'ms', f'p50 {figures.number(during["p50"])} ms'),
        figures.at_most('errors', before['errors'] + during['errors'], 0,
                        'requests', every=True)]


def _of_speed(looks, data):
    took, events = looks[-1].seconds, data['events']
    rate = events / took
    allowed = SHARE * data['rebuild_per_core']
    eta = eta_look(looks)
    return [
        figures.at_least(
            'over the rate of --rebuild_states times its share', rate / allowed,
            .9, 'x', f'{rate:,.0f} events/s of {data["rebuild_per_core"]:,.0f} '
            f'a core, with {SHARE:g} of a processor'),
        figures.plain('all states made', took, 's',
                      f'{data["users"]:,} users of {EVENTS_EACH} events, model '
                      f'{data["model"]}'),
        figures.within(
            'time said to be needed over time taken',
            (eta.seconds + eta.seconds_left) / took, 1 - ETA_WITHIN,
            1 + ETA_WITHIN, 'x', f'{eta.seconds_left} s were left after '
            f'{eta.seconds:.1f} s, of {took:.1f} s')]


def _of_bits(data):
    found = {kind: sum(report[kind] for report in data['compared'].values())
             for kind in ('different', 'missing', 'same')}
    replies = data['replies']
    return [
        figures.at_most('states that differ from a fold of the log',
                        found['different'] + found['missing'], 0, 'states',
                        f'{found["same"]:,} of two versions are the same, bit '
                        f'for bit; {found["missing"]:,} missing', every=True),
        figures.at_most('replies that differ from their version\'s afterwards',
                        replies['different'], 0, 'replies',
                        f'{replies["same"]:,} are the same, bit for bit: '
                        + ', '.join(f'{count:,} by version {version}' for
                                    version, count in
                                    sorted(replies['by_version'].items())),
                        every=True)]


def eta_look(looks):
    """The one whose time left is judged."""
    took = looks[-1].seconds
    due = min(ETA_SECONDS, ETA_SHARE * took)
    return next(look for look in looks if look.seconds >= due)
