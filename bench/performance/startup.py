"""From the start of the process to ready, with a million users in the store."""

import statistics

from bench.performance import figures

USERS = 1_000_000
STARTS = 3


def run(context):
    folder = _store(context)
    context.say(f'{STARTS} starts each')
    starts = {
        'empty store': _starts(context, None, 'd128'),
        'a million users': _starts(context, folder, 'd128'),
        'a million users, with their states': _starts(context, folder, 'small'),
    }
    _check(context, folder)
    worst = max(starts['a million users'] +
                starts['a million users, with their states'])
    found = [figures.plain(f'start to ready, {name}', statistics.median(times),
                           's') for name, times in starts.items()]
    return figures.Result(
        found + [figures.below('start to ready, 1,000,000 users, the slowest',
                               worst, 2, 's', every=True)],
        {'starts': starts})


def _check(context, folder):
    """The users are there, and their states need no event folded."""
    with context.server('small', folder) as server:
        for number in (0, USERS // 2, USERS - 1):
            state = server.cli_json('state', '--user', f'user-{number}')
            if state['log_sequence'] != 2 or state['folded_sequence'] != 2:
                raise RuntimeError(f'user-{number} of {folder}: {state}')


def _starts(context, folder, bundle):
    times = []
    for _ in range(STARTS):
        with context.server(bundle, folder) as server:
            times.append(server.start_seconds)
    return times


def _store(context):
    """A folder whose store has USERS users; made once and kept.

    Their states are of a small model, so that a million take 2 GB and not 33.
    """
    folder = context.cache / 'million'
    if not (folder / 'complete').exists():
        context.say('writing a million users through StreamEvents, once')
        folder.mkdir(exist_ok=True)
        with context.server('small', folder) as server:
            context.send_events(server, USERS, 2 * USERS, in_turn=True)
            server.wait_until_folded()
        (folder / 'complete').touch()
    return folder
