"""A catalogue larger than memory: its table in files, beside one in memory."""

import contextlib

from bench import memory_limit
from bench.performance import context as context_lib
from bench.performance import figures

GIB = 1 << 30
# d = 128: an item takes 512 bytes of embedding and 2,048 of the first layer.
ITEMS, ITEM_BYTES = 2_000_000, 2_560
LIMIT = 3 * GIB // 2
# Spread over the whole table, so that few share a page.
HOT, USERS, CANDIDATES, SECONDS = 20_000, 1_000, 2_048, 15


def run(context):
    in_memory = _measure(context, contextlib.nullcontext())
    with memory_limit.Limit(LIMIT) as limit:
        in_files = _measure(context, limit)
    table = ITEMS * ITEM_BYTES / GIB
    return figures.Result([
        figures.plain('the table', table, 'GiB', f'{ITEMS:,} items'),
        figures.below('memory for it, and for all else', LIMIT / GIB,
                      table / 2, 'GiB', 'a limit of the kernel\'s'),
        *(figures.plain(f'{where}, {what}: {name}',
                        found[what]['latency_ms'][name], 'ms')
          for where, found in (('in memory', in_memory),
                               ('in files', in_files))
          for what in ('hot items', 'any items')
          for name in ('p50', 'p99')),
        figures.at_most(
            'hot items: p99 in files, of that in memory',
            _p99(in_files) / _p99(in_memory),
            1.2, '', f'{CANDIDATES:,} candidates of {HOT:,} items'),
        figures.at_most('errors', sum(
            context_lib.errors(flow) for found in (in_memory, in_files)
            for flow in found.values()), 0, 'requests', every=True),
    ])


def _p99(found):
    return found['hot items']['latency_ms']['p99']


def _measure(context, limit):
    """Flows of requests for hot items and for any, one under way."""
    where = context.cache / 'tables'
    where.mkdir(exist_ok=True)
    model = f'item_share_bytes: {8 * GIB} '
    command = ()
    if isinstance(limit, memory_limit.Limit):
        model += f'item_table_path: "{where.resolve()}"'
        command = limit.command
    context.say(f'loading {ITEMS:,} items')
    with context.server('large', command=command, model=model,
                        store=f'user_cache_bytes: {64 << 20} '
                        f'block_cache_bytes: {64 << 20}') as server:
        context.send_events(server, USERS, 20 * USERS)
        server.wait_until_folded()
        found = {}
        for what, items, warm_up in (('hot items', HOT, SECONDS),
                                     ('any items', ITEMS, 1)):
            context.say(f'{what}, {warm_up} s before and {SECONDS} s of it')
            flows, _ = context.load(
                server, USERS, f'load:closed:1:{CANDIDATES}', items=items,
                warm_up=f'{warm_up}s', duration=f'{SECONDS}s')
            found[what] = flows['load']
    return found
