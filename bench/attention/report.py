"""Prints the tables of the attention benchmark and draws its plots.

    python3 bench/attention/report.py build/bench

The folder holds attention.csv and attention_leakage.csv, which
attention_bench writes; the plots go beside them. Tables are Markdown, as
docs/attention.md quotes them. Those of quality are made elsewhere: ./run bench
quality.
"""

import pathlib
import sys

import plot
import results

SHOWN_HISTORIES = [128, 1_024, 16_384, 1_000_000]


def markdown(header, rows):
    """A table whose columns line up; the first is text, others numbers."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [header] + rows)
              for i in range(len(header))]

    def line(cells):
        padded = [cells[0].ljust(widths[0])]
        padded += [cell.rjust(width)
                   for cell, width in zip(cells[1:], widths[1:])]
        return '| ' + ' | '.join(padded) + ' |'

    rule = ['-' * widths[0]] + ['-' * (width - 1) + ':' for width in widths[1:]]
    return '\n'.join([line(header), line(rule)] + [line(row) for row in rows])


def number(value):
    """Three significant digits, thousands separated; "-" for None."""
    if value is None:
        return '-'
    if value >= 100:
        return f'{value:,.0f}'
    return f'{value:.1f}' if value >= 10 else f'{value:.2f}'


def slope(by_history):
    """The fitted exponent; a flat cost has 0.00, whichever side it is on."""
    value = results.exponent(by_history)
    return '-' if value is None else f'{round(value, 2) + 0.0:.2f}'


def cost_table(costs, quantity, unit):
    """One cost by history, with its exponent."""
    header = [unit] + [f'{n:,}' for n in SHOWN_HISTORIES] + ['exponent']
    rows = []
    for name, title in results.TITLES.items():
        by_history = costs.get(name, {}).get(quantity, {})
        if not by_history:
            continue
        rows.append([title] +
                    [number(by_history.get(n)) for n in SHOWN_HISTORIES] +
                    [slope(by_history)])
    return markdown(header, rows)


def leak(moves, name):
    """The cell that says whether candidates see each other."""
    if name not in moves:
        return '-'
    return 'no' if moves[name] == 0 else f'yes: {moves[name]:.2g} deviations'


def memory_table(costs, moves):
    """Memory and leakage of every mechanism."""
    header = ['attention', 'bytes at 1,024', 'bytes at 16,384',
              'bytes at 1,000,000', 'leaks']
    rows = []
    for name, title in results.TITLES.items():
        if name not in moves:
            continue
        kept = costs.get(name, {}).get('bytes_kept', {})
        cells = [f'{kept[n]:,.0f}' if n in kept else '-'
                 for n in SHOWN_HISTORIES[1:]]
        rows.append([title] + cells + [leak(moves, name)])
    return markdown(header, rows)


def main(arguments):
    if len(arguments) != 1:
        print('usage: report.py FOLDER', file=sys.stderr)
        return 2
    folder = pathlib.Path(arguments[0])
    try:
        costs = results.read_costs(folder / 'attention.csv')
        moves = results.read_leakage(folder / 'attention_leakage.csv')
    except results.ResultsError as error:
        print(f'report.py: {error}', file=sys.stderr)
        return 1
    print(cost_table(costs, 'rank_ms', 'request of 1,000 candidates, ms'))
    print()
    print(cost_table(costs, 'append_us', 'one event appended, us'))
    print()
    print(memory_table(costs, moves))
    print(f'\nexponents: fitted over histories of {results.FIT_FROM:,} to '
          f'{results.FIT_TO:,} events')
    for path in plot.draw(costs, folder):
        print(path)
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
