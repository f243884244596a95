"""A model that is changed under load: p99 of rankings in the ten seconds in which
a version is loaded, made the one that everybody gets, rolled back and unloaded,
or in which items are upserted, over that of ten seconds in which nothing was
done.

Load is open loop at half of what the server can do. All windows of a round have
the same users, candidates and arrivals, so what differs is what was done in them;
`nothing again` says how much two windows differ by themselves. Every round has a
version that the store has not met, whose states are made while it is loaded.
"""

import dataclasses
import json
import statistics
import time
from concurrent import futures
from typing import Callable

from bench.performance import context as context_lib
from bench.performance import figures

NAME = context_lib.SHIPPED.parts[-2]
CANDIDATES = 2048
USERS, EVENTS = 2000, 200_000
ROUNDS, SECONDS = 5, 10
SHARE = .5
# From the beginning of a window to what is done in it, load's warm-up included.
WARM_UP, LEAD = 1, 1
# Of p99, over that of the window in which nothing is done.
TARGET = 1.1
MIGRATION_SECONDS = 300
UPSERTS = 10_000  # a second
# Ids of a round are apart by so many; the catalogue has room for as many rows.
MOST_UPSERTS = 1_000_000
BEFORE, AGAIN = 'nothing', 'nothing again'
# Whoever gives the orders would do so from another machine, and does not take
# this one's processors from what is measured.
ELSEWHERE = ('nice', '-n', '19')


@dataclasses.dataclass(frozen=True)
class Window:
    """name: of its figures. act: what is done in it, with the context, the
    server and the round's version; it has as long as it takes. judged: whether
    p99 is held to the target."""
    name: str
    act: Callable = lambda context, server, version: None
    judged: bool = True


def _load(context, server, version):
    server.cli('model', 'load', f'{NAME}/{version}', before=ELSEWHERE)


def _label(context, server, version):
    server.cli('model', 'label', NAME, 'stable', version, before=ELSEWHERE)


def _roll_back(context, server, version):
    server.cli('model', 'rollback', NAME, before=ELSEWHERE)


def _unload(context, server, version):
    server.cli('model', 'unload', f'{NAME}/{version}', before=ELSEWHERE)


def _upsert(context, server, version):
    """New items of the version that is never unloaded, until the window ends."""
    width = next(int(line.split()[1]) for line in (
        context_lib.SHIPPED / 'model.textproto').read_text().splitlines()
        if line.startswith('d_model:'))
    seconds = SECONDS - LEAD
    found = context.run_json(
        'load/upsert_client', f'--server={server.admin_address}',
        f'--model={NAME}', '--version=1', f'--width={width}',
        f'--first_item={version * MOST_UPSERTS + 1_000_000}',
        f'--items={int(UPSERTS * seconds)}', f'--rate={UPSERTS}',
        before=ELSEWHERE)
    if found['per_second'] < .95 * UPSERTS:
        raise RuntimeError(f'only {found["per_second"]:,.0f} items a second '
                           f'were upserted, not {UPSERTS:,}')


# In this order, in every round; the first is what the others are held to.
WINDOWS = (
    Window(BEFORE, judged=False),
    Window(AGAIN, judged=False),
    Window('load', _load),
    Window('switch', _label),
    Window('roll back', _roll_back),
    Window('unload', _unload),
    Window(f'{UPSERTS:,} upserts a second', _upsert),
)


def run(context):
    base = context.versions(1 + ROUNDS)
    with context.server(base / NAME / '1', base_path=base, catalogue=
                        f'max_added_items: {MOST_UPSERTS}') as server:
        context.send_events(server, USERS, EVENTS)
        server.wait_until_folded()
        _label(context, server, 1)
        saturation = _saturation(context, server)
        rounds = [_round(context, server, 2 + number, SHARE * saturation)
                  for number in range(ROUNDS)]
    data = {'saturation': saturation, 'rounds': rounds}
    return figures.Result(judge(data), data)


def _saturation(context, server):
    context.say('saturation: closed loop, 16 under way')
    flows, _ = context.load(server, USERS, f'load:closed:16:{CANDIDATES}',
                            warm_up=f'{WARM_UP}s', duration=f'{SECONDS}s')
    return flows['load']['per_second']


def _round(context, server, version, rate):
    """{window's name: what was measured in it}."""
    found = {}
    for window in WINDOWS:
        context.say(f'version {version}: {window.name}')
        found[window.name] = _window(context, server, window, version, rate)
        wait_for_migration(server, f'{NAME}/{version}')
    return found


def _window(context, server, window, version, rate):
    with futures.ThreadPoolExecutor() as pool:
        seconds = pool.submit(_timed, context, window, server, version)
        flows, _ = context.load(
            server, USERS, f'load:open:{rate:.3f}:{CANDIDATES}',
            warm_up=f'{WARM_UP}s', duration=f'{SECONDS}s', seed=version)
        flow = flows['load']
        return {**flow['latency_ms'], 'completed': flow['completed'],
                'errors': context_lib.errors(flow), 'late_ms': flow['late_ms'],
                'act_seconds': seconds.result()}


def _timed(context, window, server, version):
    time.sleep(WARM_UP + LEAD)
    begin = time.monotonic()
    window.act(context, server, version)
    return time.monotonic() - begin


def migration(server, model):
    """How far it is (`qlarank model show --json`), None where the model is not
    loaded, or nothing is migrated to it."""
    shown = server.cli('model', 'show', model, '--json', check=False)
    if shown.returncode == 0:
        return json.loads(shown.stdout).get('migration')
    if 'NOT_FOUND' in shown.stderr:
        return None
    raise RuntimeError(f'qlarank model show {model}: {shown.stderr}')


def wait_for_migration(server, model, seconds=None):
    """Until the model's states are all made; at once where it is not served."""
    deadline = time.monotonic() + (seconds or MIGRATION_SECONDS)
    while True:
        found = migration(server, model)
        if found is None or found['phase'] == 'done':
            return found
        if found['phase'] == 'failed' or time.monotonic() > deadline:
            raise RuntimeError(f'the migration to {model} has not ended: '
                               f'{found}')
        time.sleep(.2)


def judge(data):
    """The figures of what was measured."""
    found = [figures.plain(
        'saturation, 2,048 candidates', data['saturation'], 'requests/s',
        f'closed loop, {NAME}; what follows is at {SHARE:.0%} of it')]
    rounds = data['rounds']
    found += [figures.plain(
        f'{BEFORE}, {quantile}',
        statistics.median(r[BEFORE][quantile] for r in rounds), 'ms',
        'rounds ' + _listed(r[BEFORE][quantile] for r in rounds))
        for quantile in ('p50', 'p99')]
    for window in WINDOWS[1:]:
        found += _of_window(window, rounds)
    errors = sum(part['errors'] for r in rounds for part in r.values())
    asked = sum(part['completed'] for r in rounds for part in r.values())
    return found + [figures.at_most(
        'errors', errors, 0, 'requests',
        f'{asked:,.0f} were answered, of all windows', every=True)]


def _of_window(window, rounds):
    ratios = {quantile: [r[window.name][quantile] / r[BEFORE][quantile]
                         for r in rounds] for quantile in ('p50', 'p99')}
    took = statistics.median(r[window.name]['act_seconds'] for r in rounds)
    note = 'rounds ' + _listed(ratios['p99'])
    if window.judged:
        note += f'; took {figures.number(took)} s'
    p99 = statistics.median(ratios['p99'])
    name = f'{window.name}: p99 over {BEFORE}\'s'
    return [
        figures.at_most(name, p99, TARGET, 'x', note) if window.judged
        else figures.plain(name, p99, 'x', note),
        figures.plain(f'{window.name}: p50 over {BEFORE}\'s',
                      statistics.median(ratios['p50']), 'x',
                      'rounds ' + _listed(ratios['p50']))]


def _listed(values):
    return ', '.join(map(figures.number, values))
