"""All states made anew from the log, by a model that the store has not met.

With a server that has --rebuild_states, that; otherwise what its users would
pay: states made one by one, each when first asked for.
"""

import os
import subprocess
import tempfile
import time

from bench.performance import figures

USERS, EVENTS, TARGET = 2500, 500_000, 150_000
SECONDS = 5
FOLDS = 'qlarank_fold_events_total'


def run(context):
    cores = os.cpu_count()
    with tempfile.TemporaryDirectory(dir=context.cache) as folder:
        context.say(f'a log of {EVENTS:,} events, folded by another model')
        with context.server('small', folder) as server:
            context.send_events(server, USERS, EVENTS)
            server.wait_until_folded()
        if _has_command(context.programs.server):
            how, rate = _by_command(context, folder)
        else:
            how, rate = _by_first_use(context, folder)
    return figures.Result([figures.at_least(
        f'states from the log, {how}', rate / cores, TARGET,
        'events/s a core', f'{rate:,.0f} on {cores} cores')], {'rate': rate})


def _has_command(server):
    usage = subprocess.run([server, '--help=rebuild_states'],
                           stdout=subprocess.PIPE, text=True).stdout
    return '--rebuild_states' in usage


def _by_command(context, folder):
    context.say('rebuilding with --rebuild_states')
    # A start of its own writes the config of the model, and is paid for before.
    with context.server('d128', folder) as server:
        start = server.start_seconds
    begin = time.monotonic()
    subprocess.run([context.programs.server, '--rebuild_states',
                    f'--config_file={server.folder}/server.textproto'],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   check=True, timeout=600)
    return '--rebuild_states', EVENTS / (time.monotonic() - begin - start)


def _by_first_use(context, folder):
    context.say('ranking for users whose states are not made yet')
    with context.server('d128', folder) as server:
        begin, folded = time.monotonic(), server.metric(FOLDS)
        context.load(server, USERS, 'load:closed:4:1', warm_up='0s',
                     duration=f'{SECONDS}s')
        return 'on first use', (server.metric(FOLDS) - folded) / (
            time.monotonic() - begin)
