"""Measures qlarank: all sections, or those that are named.

    ./run bench [SECTION...]

Prints every figure beside its target, writes the results and plots to
this processor's folder in bench/performance/results, adds a line to
history.jsonl there, and puts the tables of all processors into
docs/performance.md and README.md.
"""

import argparse
import importlib
import pathlib
import sys
import traceback

from bench.performance import context as context_lib
from bench.performance import machine as machine_lib
from bench.performance import plots, report, store

# In the order in which they run.
SECTIONS = ('engine', 'peers', 'softmax', 'rpc', 'load', 'mixed', 'ingest',
            'rebuild', 'memory', 'startup', 'history', 'overload')
RESULTS = pathlib.Path(__file__).parent / 'results'
# {page: what makes its table}
PAGES = {'docs/performance.md': report.markdown, 'README.md': report.headline}


def _parser():
    parser = argparse.ArgumentParser(
        prog='./run bench', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('sections', nargs='*', metavar='SECTION',
                        help='of ' + ', '.join(SECTIONS) + '; default: all')
    parser.add_argument('--minutes', type=float, metavar='N',
                        help='how long the memory and overload sections keep '
                        'the server under load')
    parser.add_argument('--build', default='build/release', metavar='DIR')
    parser.add_argument('--cache', default='.cache/bench', metavar='DIR',
                        help='models and stores that the next run can use')
    parser.add_argument('--results', default=RESULTS, type=pathlib.Path,
                        metavar='DIR')
    return parser


def _run(context, machine, names, folder):
    """{name: Result}; a section that fails is told and the others go on."""
    results, failed = {}, []
    for name in names:
        print(f'==> {name}', file=sys.stderr, flush=True)
        section = importlib.import_module(f'bench.performance.{name}')
        try:
            results[name] = section.run(context)
        except Exception:  # minutes of others' figures are not lost for it
            traceback.print_exc()
            failed.append(name)
            continue
        store.write(folder, machine, name, results[name])
        print(report.section_text(name, results[name]), flush=True)
    return results, failed


def _fill_pages(latest):
    for name, table in PAGES.items():
        page = pathlib.Path(name)
        page.write_text(report.into_page(page.read_text(), table(latest)))
        print(page)


def main(arguments=None):
    """0, or 1 when a section could not be measured, 2 for a wrong call. A
    target that is missed is a result, not an error."""
    args = _parser().parse_args(arguments)
    unknown = [name for name in args.sections if name not in SECTIONS]
    if unknown:
        print(f'error: no section is called {unknown[0]!r}; there are '
              + ', '.join(SECTIONS) + ' and attention', file=sys.stderr)
        return 2
    names = [name for name in SECTIONS
             if not args.sections or name in args.sections]
    context = context_lib.Context(args.build, args.cache, args.minutes)
    machine = machine_lib.describe()
    results, failed = _run(context, machine, names, args.results)
    if results:
        store.append_history(args.results, machine, results)
    latest = store.read(args.results, SECTIONS)
    own = latest.get(machine['processor'], {})
    for path in plots.draw({name: data for name, (_, _, data) in own.items()},
                           store.own_folder(args.results, machine)):
        print(path)
    if args.results == RESULTS:
        _fill_pages(latest)
    print(report.summary({name: result.figures
                          for name, result in results.items()}))
    if failed:
        print('COULD NOT BE MEASURED: ' + ', '.join(failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
