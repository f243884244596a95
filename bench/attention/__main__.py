"""Races attention mechanisms, and puts what was measured into a page.

    ./run bench attention
    ./run bench attention pages

The first measures, which takes about three minutes of one core, prints the
tables, and keeps the results in bench/attention/results in place of those of
the run before. Both then write tables and images of docs/attention.md from
what is kept.
"""

import argparse
import os
import pathlib
import subprocess
import sys

from bench.attention import pages
from bench.attention import report
from bench.attention import store
from bench.performance import machine

_MEASURED = 'build/bench'  # where attention_bench writes


def _parser():
    parser = argparse.ArgumentParser(
        prog='./run bench attention', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('command', nargs='?', choices=['measure', 'pages'],
                        default='measure')
    parser.add_argument('--build', default='build/release', type=pathlib.Path,
                        metavar='DIR')
    return parser


def _measure(build, measured, results):
    """Keeps what attention_bench measures now."""
    said = machine.commit()
    date, load_begin = machine.now(), list(os.getloadavg())
    subprocess.run([build / 'bench' / 'attention_bench', measured],
                   check=True)
    store.keep(measured, store.Run(
        commit=said['commit'], commit_date=said['commit_date'],
        changed=said['dirty'], date=date, machine=machine.describe(),
        caches=machine.caches(), compiler=machine.compiler(build),
        load_begin=load_begin, load_end=list(os.getloadavg())), results)


def _print_tables(race):
    for make in report.TABLES.values():
        print(f'\n{make(race)}')
    print(f'\nexponents: fitted over histories of {store.FIT_FROM:,} to '
          f'{store.FIT_TO:,} events\n{report.origin(race.run)}')


def main(arguments=None, root=pages.ROOT):
    """0, or 1 when something could not be measured or written; root: of the
    working tree."""
    args = _parser().parse_args(arguments)
    results = root / store.RESULTS.relative_to(pages.ROOT)
    try:
        if args.command == 'measure':
            _measure(args.build, root / _MEASURED, results)
            _print_tables(store.read(results))
        for path in pages.fill(root, results):
            print(path.relative_to(root))
    except (store.ResultsError, ValueError, OSError,
            subprocess.CalledProcessError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
