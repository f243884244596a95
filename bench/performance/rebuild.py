"""All states made anew from the log, by a model that the store has not met."""

import os
import subprocess
import tempfile
import time

from bench.performance import figures

USERS, EVENTS, TARGET = 2500, 500_000, 150_000


def run(context):
    cores = os.cpu_count()
    with tempfile.TemporaryDirectory(dir=context.cache) as folder:
        context.say(f'a log of {EVENTS:,} events, folded by another model')
        with context.server('small', folder) as server:
            context.send_events(server, USERS, EVENTS)
            server.wait_until_folded()
        rate = _rebuild(context, folder)
    return figures.Result([figures.at_least(
        'states from the log, --rebuild_states', rate / cores, TARGET,
        'events/s a core', f'{rate:,.0f} on {cores} cores')], {'rate': rate})


def _rebuild(context, folder):
    """Events a second, all cores together."""
    context.say('rebuilding with --rebuild_states')
    # A start of its own writes the config of the model, and is paid for before.
    with context.server('d128', folder) as server:
        start = server.start_seconds
    begin = time.monotonic()
    subprocess.run([context.programs.server, '--rebuild_states',
                    f'--config_file={server.folder}/server.textproto'],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   check=True, timeout=600)
    return EVENTS / (time.monotonic() - begin - start)
