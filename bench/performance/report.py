"""The tables of runs: one run for a terminal, all of them for the pages."""

import collections
import statistics

from bench.performance import figures
from bench.performance import machine as machine_lib
from bench.performance import rows as rows_lib


def section_text(name, section):
    """Lines for a terminal; section: of one run."""
    lines = [f'-- {name}']
    for row in _rows_of_one(name, section):
        figure = row.figure
        lines.append(f'   {figure.name:60} {_value(figure):>18}  '
                     f'{figure.target:>9}  '
                     f'{row.verdict:12} {figure.note}'.rstrip())
    return '\n'.join(lines)


def _rows_of_one(name, section):
    from bench.performance import store
    run = store.Run('', '', False, {}, [name], sections={name: section})
    return rows_lib.of([run])


def _value(figure):
    return f'{figures.number(figure.value)} {figure.unit}'.strip()


def summary(sections):
    """How many targets of a run were met, and which were not."""
    judged = [row for name, section in sections.items()
              for row in _rows_of_one(name, section) if row.figure.op]
    missed = [f'{row.section}: {row.figure.name}' for row in judged
              if not row.met]
    text = f'{len(judged) - len(missed)} of {len(judged)} targets met'
    return text + (':\n   not: ' + '\n   not: '.join(missed) if missed else '')


def spread(row):
    """'14.7 to 15.1', or '' of fewer than two runs."""
    if len(row.values) < 2:
        return ''
    return (f'{figures.number(min(row.values))} to '
            f'{figures.number(max(row.values))}')


def _times(count, what='run'):
    return f'{count} {what}' + ('' if count == 1 else 's')


def _bold_miss(verdict):
    return f'**{verdict}**' if verdict.startswith('NOT') else verdict


def _target(figure):
    text = figure.target
    if figure.every:
        text += ' in every run'
    if figure.needs:
        text += ', with ' + ' and '.join(figure.needs)
    return text


def markdown(machines):
    """The tables of docs/performance.md: for each machine one for each commit
    that rows are of. machines: store.read_all's."""
    parts = []
    titles = _titles(machines)
    for folder, runs in machines.items():
        by_commit = collections.OrderedDict()
        for row in rows_lib.of(runs):
            by_commit.setdefault(row.code, []).append(row)
        newest = sorted(by_commit.values(),
                        key=lambda found: found[0].runs[-1].age, reverse=True)
        parts.append(f'### {titles[folder]}\n\n'
                     + _machine_text(runs[-1].machine))
        parts += [f'{_commit_text(found)}\n\n{_table(found)}'
                  for found in newest]
    return '\n\n'.join(parts)


def _titles(machines):
    """{folder: the machine's title}, with its model and cores where another has
    the same."""
    newest = {folder: runs[-1].machine for folder, runs in machines.items()}
    titles = {folder: machine_lib.title(machine)
              for folder, machine in newest.items()}
    count = collections.Counter(titles.values())
    return {folder: title if count[title] == 1 else
            f'{title}, {_which(newest[folder])}, '
            f'{newest[folder]["processors"]} cores'
            for folder, title in titles.items()}


def _which(machine):
    exact = machine_lib.exact(machine)
    return ('family {}, model {}, stepping {}'.format(*exact[:3]) if exact
            else 'family and model not recorded')


def _machine_text(machine):
    which = _which(machine)
    return (f'{machine["processors"]} cores with '
            f'{", ".join(machine["instructions"])} ({which}), '
            f'{machine["memory_gib"]:.0f} GiB.')


def _commit_text(found):
    """Which runs a table is of, and whether one of them has it all."""
    runs = {run.date: run for row in found for run in row.runs}.values()
    whole = sum(run.complete for run in runs)
    days = sorted({run.date[:10] for run in runs})
    when = days[0] if len(days) == 1 else f'{days[0]} to {days[-1]}'
    stopped = [run.before['stopped_share'] for run in runs
               if run.before.get('stopped_share') is not None]
    gaps = (f'; before a run {statistics.median(stopped):.1%} of the time was '
            'not ours' if stopped else '')
    parts = len(runs) - whole
    kinds = [f'{whole} measured every section in one run' if whole else '',
             f'{parts} only some sections' if parts else '']
    return (f'Commit {found[0].code}, {_times(len(runs))}, {when} ('
            + ', '.join(filter(None, kinds)) + f'){gaps}:')


def _table(found):
    lines = ['| | figure | median | spread | runs | target | | |',
             '|---|---|---:|---:|---:|---|---|---|']
    last = None
    for row in found:
        figure = row.figure
        cells = [f'`{row.section}`' if row.section != last else '',
                 figure.name, _value(figure), spread(row), _runs_cell(row),
                 _target(figure), _bold_miss(row.verdict),
                 figure.note.replace('|', '/')]
        lines.append('| ' + ' | '.join(cells) + ' |')
        last = row.section
    return '\n'.join(lines)


def _runs_cell(row):
    """How many, and whether none of them measured everything."""
    count = len(row.values) or len(row.runs)
    return str(count) if row.in_one_run else f'{count}, partial'


def headline(machines):
    """The README's table: what has a target today, a column for each machine;
    what is missed is bold."""
    by_machine = {folder: {(row.section, row.figure.name): row
                           for row in rows_lib.of(runs)}
                  for folder, runs in machines.items()}
    mains = {folder: _main_commit(found.values())
             for folder, found in by_machine.items()}
    notes = {}  # {text: number}
    lines = _headline_head(machines, mains, by_machine)
    for key in _judged_keys(machines):
        rows = [found.get(key) for found in by_machine.values()]
        cells = [_cell(row, mains[folder], notes)
                 for folder, row in zip(by_machine, rows)]
        # A target can depend on the machine, as twice a tile's time does.
        targets = dict.fromkeys(row.figure.target for row in rows
                                if row and row.figure.op)
        lines.append(f'| {key[0]}: {key[1]} | ' + ' | '.join(cells) +
                     f' | {" or ".join(targets)} |')
    return '\n'.join(lines + _footnotes(notes))


def _headline_head(machines, mains, by_machine):
    titles = _titles(machines).values()
    of_runs = []
    for folder, found in by_machine.items():
        runs = {run.date: run for row in found.values() for run in row.runs
                if run.code == mains[folder]}
        whole = sum(run.complete for run in runs.values())
        of_runs.append(f'{mains[folder]}, {_times(len(runs))}, '
                       f'{whole} complete')
    return ['| | ' + ' | '.join(titles) + ' | target |',
            '|---|' + '---:|' * (len(machines) + 1),
            '| *commit, runs* | ' + ' | '.join(
                f'*{text}*' for text in of_runs) + ' | |']


def _main_commit(found):
    """The newest commit that a complete run is of, or that most rows are of."""
    rows = [row for row in found if row.figure.op]
    whole = [row for row in rows if row.in_one_run]
    if whole:
        return max(whole, key=lambda row: row.runs[-1].age).code
    return collections.Counter(row.code for row in rows).most_common(1)[0][0]


def _judged_keys(machines):
    """(section, name) of what the newest run of each section has a target for,
    whatever the machine."""
    newest = {}
    for runs in machines.values():
        for run in runs:
            for name in run.sections:
                if name not in newest or run.age > newest[name].age:
                    newest[name] = run
    order = {name: place for place, name in enumerate(rows_lib.SECTIONS)}
    return [(name, figure.name)
            for name in sorted(newest, key=lambda name: order.get(name, 99))
            for figure in newest[name].sections[name].figures if figure.op]


def _cell(row, main, notes):
    if row is None or not row.values:
        return '-'
    text = _value(row.figure)
    if spread(row):
        text += f' ({spread(row)})'
    if row.figure.op and not row.met:
        text = f'**{text}**'
    if row.code != main:
        note = f'{row.code}, {_times(len(row.runs))}'
        text += f' [{notes.setdefault(note, len(notes) + 1)}]'
    return text


def _footnotes(notes):
    if not notes:
        return []
    return ['', 'Of other commits: ' + '; '.join(
        f'[{number}] {text}' for text, number in notes.items()) + '.']
