"""Trains a model from what a server logged, and one from the original file.

    python -m bench.logged_training --data ../shared/data/kuairand-pure

Users of KuaiRand-Pure, one of --one-of, whose impressions of ten minutes are
taken for one screenful. A server with a model that has learned nothing is asked
to rank every screenful before 7 May 2022, with its features and context, and is
then told what became of it; all of that is in its request log and its events.
One model is trained on the file that the screenfuls came from. The other is
trained on nothing but the request log and the events that the server exported.
Both are asked about the screenfuls of 7 and 8 May, each from its own items.

`serve` does all that needs a server and leaves its files in --out; `train`, on
any machine that the folder was copied to, does the rest.
"""

import argparse
import concurrent.futures
import json
import pathlib
import shutil
import subprocess
import sys
import zlib

CONFIG = pathlib.Path('trainer/configs/kuairand.toml')
SCREENFUL_MS = 600_000
# What of an event says that a video was clicked, and liked.
LABELS = {'click': ('clicked', 'long_viewed', 'liked'), 'like': ('liked',)}
# Of events before the log of KuaiRand begins only the order is known.
UNLABELLED = ('earlier', 'earlier_long', 'earlier_liked')
THREADS = 4
STEPS = ('serve', 'train')


def main():
    parser = argparse.ArgumentParser(
        prog='python -m bench.logged_training', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('steps', nargs='*', metavar='STEP', default=STEPS,
                        help='serve, train; both by default')
    parser.add_argument('--data', type=pathlib.Path,
                        default=pathlib.Path('../shared/data/kuairand-pure'))
    parser.add_argument('--one-of', type=int, default=32)
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--epochs', type=int, default=2)
    parser.add_argument('--build', type=pathlib.Path,
                        default=pathlib.Path('build/release'))
    parser.add_argument('--out', type=pathlib.Path,
                        default=pathlib.Path('.cache/logged'))
    args = parser.parse_args()
    for step in args.steps:
        if step not in STEPS:
            parser.error(f'there is no step {step!r}: ' + ', '.join(STEPS))
    if 'serve' in args.steps:
        if not args.data.is_dir():
            parser.error(f'{args.data} is missing: KuaiRand-Pure is not a part '
                         'of this repository (docs/kuairand.md)')
        _log_requests(args)
    if 'train' in args.steps:
        _report(args)


def _log_requests(args):
    """Leaves the two files to train on in args.out."""
    shutil.rmtree(args.out, ignore_errors=True)
    args.out.mkdir(parents=True)
    frame = screenfuls(_events(args), args.one_of)
    frame.to_csv(args.out / 'original.csv', index=False)
    config = _config(args, 'original.csv')
    say(f'{frame.user.nunique():,} users, {len(frame):,} events')
    _serve(args, config, frame)
    _convert(args, config)


def say(text):
    print(f'==> {text}', file=sys.stderr, flush=True)


def _trainer(*arguments):
    subprocess.run([sys.executable, '-m', 'trainer', *map(str, arguments)],
                   check=True)


def _events(args):
    """All of KuaiRand's, a data frame of texts."""
    import pandas as pd
    _trainer('convert-kuairand', '--data', args.data, '--out', args.out)
    path = args.out / 'events.csv'
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    path.unlink()
    return frame


def screenfuls(events, one_of):
    """The events of some users, in screenfuls: those of ten minutes have one
    time and one context, and an item is in one once. Labels are what actions
    say."""
    kept = [zlib.crc32(user.encode()) % one_of == 0 for user in events.user]
    frame = events[kept].drop(columns=['is_click', 'long_view', 'is_like'])
    frame['time'] = frame.time.astype('int64') // SCREENFUL_MS * SCREENFUL_MS
    frame = frame.drop_duplicates(['user', 'time', 'item'], keep='last')
    frame = frame.sort_values(['user', 'time'], kind='stable')
    context = _context_names()
    frame[context] = frame.groupby(['user', 'time'])[context].transform('first')
    for label, actions in LABELS.items():
        frame[label] = [
            '' if action in UNLABELLED else str(int(action in actions))
            for action in frame.action]
    return frame


def _spec():
    from trainer import config as config_lib
    return config_lib.load(CONFIG)


def _context_names():
    return [feature.name for feature in _spec().model.context_features]


def _config(args, file):
    """Path of the recipe for a file of events, or of requests."""
    text = CONFIG.read_text()
    labels = ', '.join(f'{name} = "{name}"' for name in LABELS)
    tasks = ', '.join(f'{{ name = "{name}", dot_term = false }}'
                      for name in LABELS)
    begin, end = text.index('tasks = ['), text.index('item_memory')
    text = f'{text[:begin]}tasks = [{tasks}]\n{text[end:]}'
    # Files of requests have a history once for each of them.
    for old, new in (('"events.csv"', f'"{file}"'),
                     ('min_item_count = 5', 'min_item_count = 1'),
                     ('epochs = 2', f'epochs = {args.epochs}')):
        if text.count(old) != 1:
            raise ValueError(f'{CONFIG} has {old!r} {text.count(old)} times')
        text = text.replace(old, new)
    lines = [f'labels = {{ {labels} }}' if line.startswith('labels = ')
             else line for line in text.splitlines()]
    if not file.endswith('.csv'):
        lines = [line for line in lines if not line.startswith('time_unit')]
    path = args.out / f'{pathlib.Path(file).stem}.toml'
    path.write_text('\n'.join(lines) + '\n')
    return path


def _serve(args, config, frame):
    """Leaves a request log in out/log, and the server's events in
    out/served.parquet."""
    import grpc  # which a machine that only trains may lack
    from bench import caller, local_server
    start = args.out / 'start'
    _trainer('train', '--config', config, '--data', args.out, '--out', start,
             '--final', '--set', 'training.epochs=0', '--quiet')
    bundle = args.out / 'kuairand' / '1'
    _trainer('export', '--model', start / 'model.npz', '--out', args.out)
    (args.out / 'server').mkdir()
    with local_server.LocalServer(
            local_server.built(args.build), bundle, 'kuairand', 1,
            args.out / 'server',
            request_log=f'path: "{(args.out / "log").resolve()}" sample: 1 '
            'max_age { seconds: 1000000000 }') as server:
        with grpc.insecure_channel(server.address) as channel:
            replay = _Replay(caller.Caller(channel))
            with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
                requests = sum(pool.map(replay, frame.groupby('user')))
        say(f'{requests:,} requests served')
        server.cli('export', 'events', '--out', args.out / 'served.csv',
                   timeout=3600)
    _trainer('convert-export', '--events', args.out / 'served.csv', '--out',
             args.out / 'served.parquet')


class _Replay:
    """A user's screenfuls, each ranked before its events are appended."""

    def __init__(self, call):
        spec = _spec()
        self._call = call
        self._model = spec.model
        self._context = _context_names()
        from trainer import config as config_lib
        self._test_ms = config_lib.time_us(spec.data.test_from,
                                           'data.test_from') // 1000

    def __call__(self, user_and_events):
        """Returns how many requests there were."""
        user, events = user_and_events
        known = requests = 0
        for time_ms, rows in events.groupby('time'):
            rows = rows.to_dict('records')
            if time_ms < self._test_ms and rows[0]['click']:
                self._rank(user, time_ms, rows, known)
                requests += 1
            self._append(user, time_ms, rows, known)
            known += len(rows)
        return requests

    def _rank(self, user, time_ms, rows, known):
        self._call('RankService', 'Rank', {
            'user_id': user, 'request_id': f'{user}-{time_ms}',
            'item_ids': [row['item'] for row in rows],
            'request_time': _time(time_ms), 'min_event_count': known,
            'candidate_features': [
                float(row[name]) for row in rows
                for name in self._model.candidate_features],
            'context': {name: rows[0][name] for name in self._context
                        if rows[0][name]}})

    def _append(self, user, time_ms, rows, known):
        self._call('IngestService', 'AppendEvents', {
            'source': 'replay', 'events': [
                {'user_id': user, 'sequence': known + at + 1, 'event': {
                    'item_id': row['item'], 'action': row['action'],
                    'time': _time(time_ms), 'features': [
                        float(row[name])
                        for name in self._model.event_features]}}
                for at, row in enumerate(rows)]})


def _time(time_ms):
    from google.protobuf import json_format, timestamp_pb2
    time = timestamp_pb2.Timestamp()
    time.FromMilliseconds(int(time_ms))
    return json_format.MessageToDict(time)


def _convert(args, config):
    _trainer('convert-request-log', '--log', args.out / 'log', '--events',
             args.out / 'served.parquet', '--config', config,
             *(word for label, actions in LABELS.items()
               for word in ('--label', f'{label}={",".join(actions)}')),
             '--within', 1, '--all-candidates', '--out', args.out)


def _report(args):
    """Trains on both files; prints AUC and NE of both, for each seed."""
    # Its events of the last two days are what both models are asked about.
    original = _config(args, 'original.csv')
    configs = {'the original file': original,
               'the request log': _config(args, 'requests.parquet')}
    print('| trained on | seed | ' + ' | '.join(
        f'{task}: AUC / NE' for task in LABELS) + ' |')
    print('|---|---|' + '---|' * len(LABELS), flush=True)
    for seed in range(1, args.seeds + 1):
        for name, path in configs.items():
            out = args.out / f'{path.stem}-{seed}'
            _trainer('train', '--config', path, '--data', args.out, '--out',
                     out, '--set', f'training.seed={seed}', '--quiet')
            # A bundle, which does not say what it was trained on.
            _trainer('export', '--model', out / 'model.npz', '--out', out)
            found = json.loads(subprocess.run(
                [sys.executable, '-m', 'trainer', 'evaluate', '--model', out /
                 'kuairand' / '1', '--config', original, '--data', args.out,
                 '--json'],
                check=True, stdout=subprocess.PIPE, text=True).stdout)
            print(f'| {name} | {seed} | {_figures(found)} |', flush=True)


def _figures(found):
    return ' | '.join(f'{found[task]["auc"]:.4f} / {found[task]["ne"]:.4f}'
                      for task in LABELS)


if __name__ == '__main__':
    main()
