"""A table of a page: which runs, which figures, and what is said of them.

What has no result is left out: a row without a run, and a table without rows
says so and how it is filled.
"""

import dataclasses
import statistics

from bench.quality import figures
from bench.quality import store


@dataclasses.dataclass(frozen=True)
class Column:
    """key: 'row.measure'; {ranking} in it is the Row's."""
    title: str
    key: str
    decimals: int = 4


@dataclasses.dataclass(frozen=True)
class Row:
    """run: its name, in which {task} stands for the first part of a column's
    key. Of several, the one with the best validation is shown. texts: the
    cells behind the figures."""
    title: str
    run: str = ''
    ranking: str = 'model, dot term'
    texts: tuple = ()
    one_of: tuple = ()


@dataclasses.dataclass(frozen=True)
class Given:
    """A row of published figures."""
    title: str
    cells: tuple


@dataclasses.dataclass(frozen=True)
class Table:
    """texts: titles of the columns of Row.texts. command: what makes it."""
    data_set: str
    head: str
    columns: tuple
    rows: tuple
    command: str
    part: str = 'test'
    texts: tuple = ()


def markdown(table, results=store.RESULTS):
    """The table with the line that says what it is of."""
    runs = store.read(table.data_set, results)
    lines, shown, notes = [], [], []
    for row in table.rows:
        if isinstance(row, Given):
            lines.append([row.title, *row.cells])
            continue
        of_row, note = _runs(table, row, runs)
        cells = [_figure(table, row, column, of_row)
                 for column in table.columns]
        if all(cell is None for cell in cells):
            continue
        lines.append([row.title, *(
            figures.text(cell, column.decimals)
            for cell, column in zip(cells, table.columns)), *row.texts])
        shown += [run for run in of_row.values() if run not in shown]
        notes += note
    if not shown:
        return f'<sub>No run is kept: `{table.command}` trains them.</sub>'
    head = [table.head, *(column.title for column in table.columns),
            *table.texts]
    return '\n'.join([written(head, lines), '',
                      figures.origin(shown), *notes])


def written(head, lines):
    """A Markdown table."""
    return '\n'.join(['| ' + ' | '.join(cells) + ' |' for cells in
                      (head, ['---'] * len(head), *lines)]).replace(
                          '| --- ', '|---').replace('|--- |', '|---|')


def _runs(table, row, runs):
    """({task: Run}, lines on how they were chosen) of a row; '' is any task."""
    if row.one_of:
        name, note = _best(row, runs)
        return ({'': runs[name]} if name else {}), note
    if '{task}' not in row.run:
        return ({'': runs[row.run]} if row.run in runs else {}), []
    tasks = [column.key.split('.')[0] for column in table.columns]
    names = {task: row.run.format(task=task) for task in tasks}
    return {task: runs[name] for task, name in names.items()
            if name in runs}, []


def _figure(table, row, column, runs):
    key = column.key.format(ranking=row.ranking)
    run = runs.get(key.split('.')[0], runs.get(''))
    return run and run.figure(table.part, key)


def _best(row, runs):
    """(name of the run that validates best, lines that say so)."""
    known = {name: loss for name in row.one_of if name in runs
             and (loss := _validation(runs[name])) is not None}
    if known:
        name = min(known, key=known.get)
        return name, [f'<sub>{row.title} is "{name}", the best on the '
                      'validation part (mean NE) of ' + ', '.join(
                          f'"{other}"' for other in known) + '.</sub>']
    kept = [name for name in row.one_of if name in runs]
    if not kept:
        return None, []
    return kept[0], [f'<sub>{row.title} is "{kept[0]}". No validation is kept '
                     'that could choose among ' + ', '.join(
                         f'"{name}"' for name in row.one_of) + '.</sub>']


def _validation(run):
    """The mean NE of all tasks, of which less is better, or None."""
    found = [run.figure('validation', f'{task}.ne')
             for task in run.rows('validation')]
    found = [figure.mean for figure in found if figure]
    return statistics.mean(found) if found else None
