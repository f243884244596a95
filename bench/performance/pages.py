"""Puts the results into the pages that quote them.

Tables stand between BEGIN and END. A figure within a sentence stands between
two comments, the first of which says which it is:

    <!-- figure MACHINE/SECTION/NAME -->14.8 ms<!-- /figure -->

MACHINE is a folder of bench/performance/results. What follows a bar behind the
name says how it is written: `bare` without its unit, `spread` with the spread
over its runs.

    python3 -m bench.performance.pages [--check]

fills the pages, or says which are not what the results give and exits with 1.
"""

import argparse
import pathlib
import re
import sys

from bench.performance import figures, report, rows, store

BEGIN, END = '<!-- figures: begin -->', '<!-- figures: end -->'
ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = pathlib.Path(__file__).parent / 'results'
# {page: what makes its table}
TABLES = {'docs/performance.md': report.markdown, 'README.md': report.headline}
# Other pages that quote figures in their text.
QUOTING = ('docs/overload.md', 'docs/operations.md', 'docs/model.md')
_QUOTED = re.compile(r'<!-- figure ([^|]*?)(?: \| (\w+))? -->'
                     r'(.*?)<!-- /figure -->', re.S)


def into_page(text, table):
    """The page with the table between its markers.

    Raises ValueError when the page has no such place.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f'the page has no place between {BEGIN} and {END}')
    return f'{before}{BEGIN}\n\n{table}\n\n{END}{after}'


def quote(text, machines):
    """The text with every figure that it quotes as the results have it.

    Raises ValueError for one that no run has measured.
    """
    found = {f'{folder}/{row.section}/{row.figure.name}': row
             for folder, runs in machines.items() for row in rows.of(runs)}

    def replacement(match):
        name, style, _ = match.groups()
        row = found.get(name)
        if row is None or not row.values:
            raise ValueError(f'no run has measured {name!r}')
        opening = match[0][:match[0].index('-->') + 3]
        return f'{opening}{_written(row, style)}<!-- /figure -->'
    return _QUOTED.sub(replacement, text)


def _written(row, style):
    value = figures.number(row.figure.value)
    if style == 'bare':
        return value
    unit = row.figure.unit
    if style == 'spread' and report.spread(row):
        return f'{value} {unit} ({report.spread(row)})'.replace('  ', ' ')
    if style not in (None, 'spread'):
        raise ValueError(f'figures are written `bare` or with their `spread`, '
                         f'not {style!r}')
    return f'{value} {unit}'.strip()


def made(root=ROOT, results=RESULTS):
    """{path: what the page should be} of all pages."""
    machines = store.read_all(results)
    pages = {}
    for name in (*TABLES, *QUOTING):
        path = root / name
        text = path.read_text()
        if name in TABLES:
            text = into_page(text, TABLES[name](machines))
        try:
            pages[path] = quote(text, machines)
        except ValueError as error:
            raise ValueError(f'{name}: {error}') from error
    return pages


def fill(root=ROOT, results=RESULTS):
    """Writes the pages that change; their paths."""
    changed = [(path, text) for path, text in made(root, results).items()
               if path.read_text() != text]
    for path, text in changed:
        path.write_text(text)
    return [path for path, _ in changed]


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog='python3 -m bench.performance.pages', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--check', action='store_true')
    if not parser.parse_args(arguments).check:
        for path in fill():
            print(path)
        return 0
    wrong = [path for path, text in made().items() if path.read_text() != text]
    for path in wrong:
        print(f'{path} is not what bench/performance/results gives',
              file=sys.stderr)
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
