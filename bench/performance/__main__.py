"""Measures qlarank: all sections in one run, or those that are named.

    ./run bench [SECTION...]

Prints every figure beside its target and writes the run to a file of its own
in this machine's folder of bench/performance/results. Then plots and the tables
of docs/performance.md and README.md are made anew from all runs that are kept
there (`pages` instead of a section does only that).
"""

import argparse
import dataclasses
import importlib
import os
import pathlib
import sys
import time
import traceback

from bench.peers import blas
from bench.performance import context as context_lib
from bench.performance import machine as machine_lib
from bench.performance import pages, report, store
from bench.performance.rows import SECTIONS

PEERS = {'peers', 'softmax'}  # sections that run PyTorch


def _parser():
    parser = argparse.ArgumentParser(
        prog='./run bench', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('sections', nargs='*', metavar='SECTION',
                        help='of ' + ', '.join(SECTIONS) + '; default: all')
    parser.add_argument('--minutes', type=float, metavar='N',
                        help='how long the memory and overload sections keep '
                        'the server under load; makes the run a partial one')
    parser.add_argument('--users', type=int, metavar='N',
                        help='how many the migration section has; makes the '
                        'run a partial one')
    parser.add_argument('--model', choices=context_lib.SHAPES, metavar='NAME',
                        help='which random model the migration section has, of '
                        + ', '.join(context_lib.SHAPES) + '; default: the '
                        'groceries\', of which a million users\' states take '
                        '36 GB each version; makes the run a partial one')
    parser.add_argument('--build', default='build/release', metavar='DIR')
    parser.add_argument('--cache', default='.cache/bench', metavar='DIR',
                        help='models and stores that the next run can use')
    parser.add_argument('--results', default=pages.RESULTS, type=pathlib.Path,
                        metavar='DIR', help='of another folder, pages are '
                        'left as they are')
    return parser


def _begin(context, names):
    """A Run of this machine and commit, without sections yet."""
    context.say('the machine as it is, with nothing running')
    before = {**context.gaps(), 'load': os.getloadavg(),
              'clock_ghz': context.run_json('fma_peak')['clock_ghz']}
    return store.Run(date=machine_lib.now(), machine=machine_lib.describe(),
                     asked=names, before=before, **machine_lib.commit())


def _own_path(folder, run):
    """A file that no earlier run has."""
    while True:
        complete = dataclasses.replace(run, complete=True)
        path = store.path_of(folder, run)
        if not path.exists() and not store.path_of(folder, complete).exists():
            return path
        time.sleep(1)
        run.date = machine_lib.now()


def _measure(context, run, path):
    """Adds the sections that were asked for to the run and its file; those
    that failed are told, and the others go on."""
    failed = []
    for name in run.asked:
        print(f'==> {name}', file=sys.stderr, flush=True)
        section = importlib.import_module(f'bench.performance.{name}')
        begin = time.monotonic()
        try:
            result = section.run(context)
        except Exception:  # minutes of others' figures are not lost for it
            traceback.print_exc()
            failed.append(name)
            continue
        run.sections[name] = store.Section(
            result.figures, result.data, round(time.monotonic() - begin, 1))
        store.write(path, run)
        print(report.section_text(name, run.sections[name]), flush=True)
    return failed


def _finish(run, path, folder, whole):
    """The run's file, under the name that it has when nothing is missing."""
    if whole and tuple(run.sections) == SECTIONS:
        run.complete = True
        path.unlink()
        path = store.path_of(folder, run)
        store.write(path, run)
    print(path)


def _publish(results):
    """Plots and pages, from all runs."""
    from bench.performance import plots
    for path in plots.draw_all(store.read_all(results), results):
        print(path)
    if results == pages.RESULTS:
        for path in pages.fill():
            print(path)


def main(arguments=None):
    """0, or 1 when a section could not be measured, 2 for a wrong call. A
    target that is missed is a result, not an error."""
    args = _parser().parse_args(arguments)
    if args.sections == ['pages']:
        _publish(args.results)
        return 0
    unknown = [name for name in args.sections if name not in SECTIONS]
    if unknown:
        print(f'error: no section is called {unknown[0]!r}; there are '
              + ', '.join(SECTIONS) + ', pages, attention and quality', file=sys.stderr)
        return 2
    names = [name for name in SECTIONS
             if not args.sections or name in args.sections]
    if PEERS.intersection(names):
        blas.ensure(['-m', 'bench.performance', *(arguments or sys.argv[1:])])
    args.results.mkdir(parents=True, exist_ok=True)
    context = context_lib.Context(args.build, args.cache, args.minutes,
                                  args.users, args.model)
    run = _begin(context, names)
    path = _own_path(args.results, run)
    failed = _measure(context, run, path)
    if run.sections:
        _finish(run, path, args.results,
                whole=not (args.minutes or args.users or args.model))
        _publish(args.results)
    seconds = sum(section.seconds for section in run.sections.values())
    print(f'{report.summary(run.sections)}\nmeasured in '
          f'{seconds / 60:.1f} minutes')
    if failed:
        print('COULD NOT BE MEASURED: ' + ', '.join(failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
