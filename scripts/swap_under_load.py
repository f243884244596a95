"""Changes a served model under load and shows p99, second by second.

    python3 scripts/swap_under_load.py --server HOST:PORT --admin-server HOST:PORT
        --model NAME --before N --version N --bundle DIR --like ITEM
        [--build build/release] ...

Rankings are asked for at half the rate that the server reaches. Meanwhile the
version, which lies below the server's model_base_path, is loaded, labelled
`stable` once users' states are made, and rolled back; and an item is added that
no version knows, with the embedding of one of them. Prints a line of each
second: p50 and p99 of the requests sent in it, a bar as long as p99, and what was
done; then what the whole says, and exits with 1 if a request failed.
"""

import argparse
import csv
import json
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile
import time

SHARE = .5  # of the rate that the server reaches
SATURATION_SECONDS = 2
# Before the first step, between two, and after the last.
QUIET_SECONDS = 4
MIGRATION_SECONDS = 120
BAR = 40  # characters
OK = 0
NEW_ITEM = 900_000_001


def _parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', default='build/release', type=pathlib.Path)
    parser.add_argument('--server', required=True)
    parser.add_argument('--admin-server', required=True)
    parser.add_argument('--model', required=True)
    parser.add_argument('--before', required=True,
                        help='the version that is served to all')
    parser.add_argument('--version', required=True)
    parser.add_argument('--users', type=int, required=True,
                        help='users are PREFIX0, PREFIX1 and so on')
    parser.add_argument('--user-prefix', default='')
    parser.add_argument('--item-file', required=True, help='ids of items')
    parser.add_argument('--bundle', required=True, type=pathlib.Path,
                        help='the folder of the version before')
    parser.add_argument('--like', required=True, type=int,
                        help="an item, whose embedding the new one gets")
    parser.add_argument('--candidates', type=int, default=2048)
    return parser


class Server:
    """What is asked of a running server."""

    def __init__(self, args):
        self._args = args

    def qlarank(self, *arguments):
        """What it printed. Raises CalledProcessError."""
        return subprocess.run(
            [self._args.build / 'cli/qlarank', '--server', self._args.server,
             '--admin-server', self._args.admin_server, *map(str, arguments)],
            check=True, stdout=subprocess.PIPE, text=True).stdout

    def await_states(self):
        """Until the users' states are made."""
        deadline = time.monotonic() + MIGRATION_SECONDS
        model = f'{self._args.model}/{self._args.version}'
        while True:
            said = json.loads(self.qlarank('model', 'show', model, '--json'))
            phase = said.get('migration', {}).get('phase', 'done')
            if phase == 'done':
                return
            if phase == 'failed' or time.monotonic() > deadline:
                raise RuntimeError(f'states of {model}: {phase}')
            time.sleep(.1)

    def load(self, flow, seconds, **flags):
        """load_client, which is to be waited for."""
        flags = {'server': self._args.server, 'users': self._args.users,
                 'user_prefix': self._args.user_prefix, 'warm_up': '0s',
                 'item_file': self._args.item_file,
                 'duration': f'{seconds}s', **flags}
        return subprocess.Popen(
            [self._args.build / 'bench/load/load_client',
             *(f'--{name}={value}' for name, value in flags.items()),
             f'load:{flow}:{self._args.candidates}'],
            stdout=subprocess.PIPE, text=True)


def embedding(bundle, item):
    """The item's row in a bundle's items.safetensors, as a list."""
    contents = (bundle / 'items.safetensors').read_bytes()
    length, = struct.unpack_from('<Q', contents)
    header = json.loads(contents[8:8 + length])

    def values(name, kind):
        begin, end = header[name]['data_offsets']
        return memoryview(contents)[8 + length + begin:8 + length + end].cast(
            kind)
    # Row 0 is of what nobody knows.
    row = values('item_ids', 'Q').tolist().index(item) + 1
    width = header['item_embedding']['shape'][1]
    return values('item_embedding', 'f')[row * width:(row + 1) * width].tolist()


def add_item(server, args):
    """An item that is unknown in one ranking, and known in the next."""
    def known():
        said = json.loads(server.qlarank(
            'rank', '--user', f'{args.user_prefix}0', '--items', NEW_ITEM,
            '--json'))
        return not said['unknown_items']
    if known():
        raise RuntimeError(f'item {NEW_ITEM} is known before it is added')
    with tempfile.NamedTemporaryFile('w', suffix='.jsonl') as file:
        json.dump({'item': NEW_ITEM, 'title': 'the new item',
                   'embedding': embedding(args.bundle, args.like)}, file)
        file.flush()
        server.qlarank('items', 'upsert', file.name, '--model',
                       f'{args.model}/{args.before}')
    if not known():
        raise RuntimeError(f'item {NEW_ITEM} was added and is not known')


def steps(server, args):
    """[(what is said, what is done)], in this order."""
    version = f'{args.model}/{args.version}'
    return [
        (f'model load {version}', lambda: server.qlarank('model', 'load', version)),
        ('all states are made', server.await_states),
        (f'model label {args.model} stable {args.version}',
         lambda: server.qlarank('model', 'label', args.model, 'stable',
                                args.version)),
        (f'model rollback {args.model}',
         lambda: server.qlarank('model', 'rollback', args.model)),
        (f'model unload {version}',
         lambda: server.qlarank('model', 'unload', version)),
        ('items upsert: one more, known to the next ranking',
         lambda: add_item(server, args)),
    ]


def read(path):
    """[(second it was sent, ms, code)] of load_client's timeline."""
    with open(path, newline='') as file:
        return [(float(sent), float(ms), int(code))
                for _, sent, ms, code in csv.reader(file)]


def p99(times):
    """Of a few: the longest of up to a hundred."""
    return sorted(times)[-(-99 * len(times) // 100) - 1]


def by_second(requests, begin):
    """{second: [ms]} of those that were answered."""
    found = {}
    for sent, ms, code in requests:
        if code == OK:
            found.setdefault(int(sent - begin), []).append(ms)
    return found


def plot(requests, done):
    """The lines. done: [(Unix second, what)]."""
    begin = min(sent for sent, _, _ in requests)
    seconds = by_second(requests, begin)
    longest = max(p99(times) for times in seconds.values())
    lines = [f'    {"s":>4} {"p50 ms":>7} {"p99 ms":>7}']
    for second, times in sorted(seconds.items()):
        here = ', '.join(what for at, what in done if int(at - begin) == second)
        bar = '█' * max(1, round(BAR * p99(times) / longest))
        lines.append(f'    {second:4} {statistics.median(times):7.1f} '
                     f'{p99(times):7.1f}  {bar:{BAR}}  {here}'.rstrip())
    return lines


def _saturation(server):
    """Requests a second, of a closed loop."""
    report, _ = server.load('closed:8', SATURATION_SECONDS).communicate()
    return json.loads(report)['flows'][0]['per_second']


def _run(server, args, timeline):
    """Rate, and [(Unix second, what was done)], while the timeline is made."""
    # What is rolled back to.
    server.qlarank('model', 'label', args.model, 'stable', args.before)
    rate = SHARE * _saturation(server)
    client = server.load(f'open:{rate:.2f}', 600, timeline=timeline)
    done = []
    try:
        for what, act in steps(server, args):
            time.sleep(QUIET_SECONDS)
            act()
            done.append((time.time(), what))
        time.sleep(QUIET_SECONDS)
    finally:
        client.terminate()
        client.communicate()
    return rate, done


def main(arguments=None):
    args = _parser().parse_args(arguments)
    with tempfile.NamedTemporaryFile() as timeline:
        rate, done = _run(Server(args), args, timeline.name)
        requests = read(timeline.name)
    errors = sum(code != OK for _, _, code in requests)
    print(f'    {rate:.0f} rankings a second of {args.candidates:,} candidates, '
          f'{SHARE:.0%} of what this machine reaches')
    print('\n'.join(plot(requests, done)))
    print(f'    {len(requests):,} rankings, {errors} errors')
    return 1 if errors else 0


if __name__ == '__main__':
    sys.exit(main())
