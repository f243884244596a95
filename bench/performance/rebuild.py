"""All states made anew from the log, by a model that the store has not met."""

import json
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
    with context.server('d128', folder,
                        log='format: FORMAT_JSON') as server:
        start = server.start_seconds
    begin = time.monotonic()
    result = subprocess.run(
        [context.programs.server, '--rebuild_states',
         f'--config_file={server.folder}/server.textproto'],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=True, timeout=600)
    seconds = time.monotonic() - begin - start
    check(result.stdout)
    return EVENTS / seconds


def check(log):
    """Everything was rebuilt: a rebuild that leaves events out is fast."""
    for line in log.splitlines():
        if '"rebuilt states"' in line:
            done = json.loads(line)
            if (int(done['events']), int(done['users'])) == (EVENTS, USERS):
                return
            raise RuntimeError(f'not all was rebuilt: {line}')
    raise RuntimeError(f'nothing was rebuilt: {log}')
