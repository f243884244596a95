"""The table of a run, for a terminal and for docs/performance.md."""

from bench.performance import figures

BEGIN, END = '<!-- figures: begin -->', '<!-- figures: end -->'


def machine_line(machine):
    """One sentence on where the figures are from."""
    return (f'{machine["processors"]} cores of an {machine["processor"]} '
            f'({", ".join(machine["instructions"])}), '
            f'{machine["memory_gib"]:.0f} GiB; commit {machine["commit"]}, '
            f'{machine["date"][:10]}')


def section_text(name, result):
    """Lines for a terminal."""
    lines = [f'-- {name}']
    for figure in result.figures:
        value = f'{figures.number(figure.value)} {figure.unit}'.strip()
        lines.append(f'   {figure.name:60} {value:>18}  {figure.target:>9}  '
                     f'{figure.verdict():12} {figure.note}'.rstrip())
    return '\n'.join(lines)


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
            value = f'{figures.number(figure.value)} {figure.unit}'.strip()
            verdict = figure.verdict()
            if verdict.startswith('NOT'):
                verdict = f'**{verdict}**'
            cells = [f'`{name}`' if index == 0 else '', figure.name, value,
                     figure.target, verdict, figure.note.replace('|', '/')]
            lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


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
