"""The tables of the race of attention mechanisms, in Markdown.

Those of quality are made elsewhere: ./run bench quality.
"""

from bench.attention import store
from bench.performance import machine as machine_lib

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
    value = store.exponent(by_history)
    return '-' if value is None else f'{round(value, 2) + 0.0:.2f}'


def cost_table(costs, quantity, unit):
    """One cost by history, with its exponent."""
    header = [unit] + [f'{n:,}' for n in SHOWN_HISTORIES] + ['exponent']
    rows = []
    for name, title in store.TITLES.items():
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
    for name, title in store.TITLES.items():
        if name not in moves:
            continue
        kept = costs.get(name, {}).get('bytes_kept', {})
        cells = [f'{kept[n]:,.0f}' if n in kept else '-'
                 for n in SHOWN_HISTORIES[1:]]
        rows.append([title] + cells + [leak(moves, name)])
    return markdown(header, rows)


def request_table(race):
    return cost_table(race.costs, 'rank_ms', 'request of 1,000 candidates, ms')


def append_table(race):
    return cost_table(race.costs, 'append_us', 'one event appended, µs')


# {name: what makes it of a store.Race}
TABLES = {
    'request': request_table,
    'append': append_table,
    'memory': lambda race: memory_table(race.costs, race.moves),
}


def origin(run):
    """The line that says of what a table is."""
    machine = run.machine
    # Processors of one name differ in these.
    model = [f'{name} {machine[name]}' for name in ('family', 'model')
             if machine[name] is not None]
    return (f'1 run of commit `{run.code}`, {run.date[:10]}, ' +
            ', '.join([machine_lib.title(machine), *model]) +
            f', {machine["processors"]} cores, {run.compiler}; load average '
            f'{run.load_begin[0]:.1f} at the beginning, '
            f'{run.load_end[0]:.1f} at the end.')
