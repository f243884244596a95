"""Keeps what trainings measured, and makes the pages' tables from it.

    ./run bench quality
    ./run bench quality keep --runs runs/ml-1m --data-set ml-1m

The first writes the quality tables of docs/ anew from the results in
bench/quality/results. The second takes the results of a sweep there, in place
of those of its runs' names, and then does the same.
"""

import argparse
import pathlib
import sys

from bench.quality import keep
from bench.quality import pages


def _parser():
    parser = argparse.ArgumentParser(
        prog='./run bench quality', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command')
    sub = commands.add_parser('pages', help='write the tables; the default')
    sub.add_argument('--check', action='store_true', help='write nothing; say '
                     'which pages are not what the results give')
    sub = commands.add_parser('keep', help='take the results of a sweep')
    sub.add_argument('--runs', required=True, type=pathlib.Path,
                     metavar='DIR', help='what the sweep wrote')
    sub.add_argument('--data-set', required=True, metavar='NAME', help='as '
                     'ml-1m; attention-ml-1m for the comparison of mechanisms')
    sub.add_argument('--only', action='append', default=[], metavar='RUN',
                     help='keep this run only; may be repeated')
    sub.add_argument('--force', action='store_true', help='keep also what was '
                     'trained by code that differs from its commit, or of an '
                     'unknown one')
    return parser


def _keep(args):
    runs = keep.read_sweep(args.runs, args.only)
    wrong = keep.mixtures(runs)
    if not args.force:
        wrong += keep.objections(runs)
    if wrong:
        raise ValueError('nothing is kept:\n  ' + '\n  '.join(wrong))
    for path in keep.keep(runs, args.data_set):
        print(path)


def main(arguments=None):
    """0, or 1 for an error or a page that is out of date."""
    args = _parser().parse_args(arguments)
    try:
        if args.command == 'keep':
            _keep(args)
        if args.command == 'pages' and args.check:
            wrong = pages.stale()
            for path in wrong:
                print(f'{path} is not what bench/quality/results gives',
                      file=sys.stderr)
            return 1 if wrong else 0
        for path in pages.fill():
            print(path)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
