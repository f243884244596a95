"""The table of a run, for a terminal and for docs/performance.md."""

from bench.performance import figures

BEGIN, END = '<!-- figures: begin -->', '<!-- figures: end -->'


def machine_line(machine):
    """One sentence on where the figures are from."""
    return (f'{machine["processors"]} cores of {machine["processor"]} '
            f'({", ".join(machine["instructions"])}), '
            f'{machine["memory_gib"]:.0f} GiB; commit {machine["commit"]}, '
            f'{machine["date"][:10]}')


def section_text(name, result):
    """Lines for a terminal."""
    lines = [f'-- {name}']
    for figure in result.figures:
        lines.append(f'   {figure.name:60} {_value(figure):>18}  '
                     f'{figure.target:>9}  '
                     f'{figure.verdict():12} {figure.note}'.rstrip())
    return '\n'.join(lines)


def _value(figure):
    return f'{figures.number(figure.value)} {figure.unit}'.strip()


def _verdict(figure):
    verdict = figure.verdict()
    return f'**{verdict}**' if verdict.startswith('NOT') else verdict


def markdown(sections):
    """The tables of docs/performance.md: one for each run that sections are
    from, usually one. sections: {name: (machine, figures)}."""
    runs = {}
    for name, (machine, figures_) in sections.items():
        runs.setdefault(machine_line(machine), {})[name] = figures_
    return '\n\n'.join(f'{line}:\n\n{_table(own)}'
                       for line, own in runs.items())


def _table(sections):
    lines = ['| | figure | measured | target | | |',
             '|---|---|---:|---:|---|---|']
    for name, figures_ in sections.items():
        for index, figure in enumerate(figures_):
            cells = [f'`{name}`' if index == 0 else '', figure.name,
                     _value(figure), figure.target, _verdict(figure),
                     figure.note.replace('|', '/')]
            lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def headline(sections):
    """The README's table: figures with a target, and no notes."""
    lines = ['| | measured | target | |', '|---|---:|---:|---|']
    for name, (_, figures_) in sections.items():
        for figure in figures_:
            if figure.target:
                lines.append(f'| {name}: {figure.name} | {_value(figure)} | '
                             f'{figure.target} | {_verdict(figure)} |')
    machines = dict.fromkeys(machine_line(machine)
                             for machine, _ in sections.values())
    return '\n'.join(lines) + '\n\n' + '; '.join(machines) + '.'


def into_page(text, table):
    """The page with the table between its markers.

    Raises ValueError when the page has no such place.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f'the page has no place between {BEGIN} and {END}')
    return f'{before}{BEGIN}\n\n{table}\n\n{END}{after}'


def summary(sections):
    """One line: how many targets were met, and which were not."""
    judged = [(name, figure) for name, figures_ in sections.items()
              for figure in figures_ if figure.target]
    missed = [f'{name}: {figure.name}' for name, figure in judged
              if figure.met is not True]
    text = f'{len(judged) - len(missed)} of {len(judged)} targets met'
    return text + (':\n   not: ' + '\n   not: '.join(missed) if missed else '')
