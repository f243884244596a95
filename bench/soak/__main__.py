"""Keeps a server under a mixed load and holds it to gates.

    ./run soak [MINUTES]m

Rankings two at a time, others whose callers give up, events, erasures and
scrapes, in slices of a minute at most. Prints a table with a verdict for each
gate (bench/soak/gates.py), writes soak.json and soak.png, and exits with 1 when
a gate is not met.
"""

import argparse
import json
import pathlib
import sys

from bench.performance import context as context_lib
from bench.performance import machine as machine_lib
from bench.performance import report
from bench.performance import store
from bench.soak import gates, load, plot

RESULTS = pathlib.Path(__file__).parent / 'results'


def _parser():
    parser = argparse.ArgumentParser(
        prog='./run soak', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('length', nargs='?', default='30m', type=minutes,
                        metavar='MINUTESm', help='default: 30m')
    parser.add_argument('--build', default='build/release', metavar='DIR')
    parser.add_argument('--cache', default='.cache/bench', metavar='DIR')
    parser.add_argument('--results', default=RESULTS, type=pathlib.Path,
                        metavar='DIR')
    return parser


def minutes(text):
    """'30m' and '0.5m' in minutes."""
    if not text.endswith('m'):
        raise argparse.ArgumentTypeError(f'{text!r}: expected minutes, as 30m')
    try:
        value = float(text[:-1])
    except ValueError:
        value = 0
    if not 0 < value < 1e5:
        raise argparse.ArgumentTypeError(f'{text!r}: expected minutes, as 30m')
    return value


def verdict(judged):
    """What a terminal is told of gates.judge's figures."""
    section = store.Section(judged)
    return (report.section_text('soak', section) + '\n'
            + report.summary({'soak': section}))


def main(arguments=None):
    args = _parser().parse_args(arguments)
    context = context_lib.Context(args.build, args.cache)
    machine = machine_lib.describe()
    data = load.run(context, 60 * args.length)
    judged = gates.judge(data)
    args.results.mkdir(parents=True, exist_ok=True)
    (args.results / 'soak.json').write_text(json.dumps(
        {'machine': machine, 'minutes': args.length,
         'figures': [figure.__dict__ for figure in judged], 'data': data}))
    plot.draw(data, args.results / 'soak.png')
    print(verdict(judged))
    return 0 if all(figure.met is not False for figure in judged) else 1


if __name__ == '__main__':
    sys.exit(main())
