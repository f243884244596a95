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


def markdown(processors):
    """The tables of docs/performance.md: for each processor one for each run
    that its sections are from. processors: {processor: {name: (machine,
    figures, ...)}}."""
    runs = {}
    for sections in processors.values():
        for name, (machine, figures_, *_) in sections.items():
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


def headline(processors):
    """The README's table: figures with a target, a column for each processor,
    and no notes; what is missed is bold."""
    rows = {}
    for processor, sections in processors.items():
        for name, (_, figures_, *_) in sections.items():
            for figure in figures_:
                if figure.target:
                    rows.setdefault((name, figure.name), {})[processor] = figure
    lines = ['| | ' + ' | '.join(processors) + ' | target |',
             '|---|' + '---:|' * (len(processors) + 1)]
    for (name, label), by_processor in rows.items():
        cells = [_judged(by_processor.get(processor))
                 for processor in processors]
        # A target can depend on the machine, as twice a tile's time does.
        targets = dict.fromkeys(figure.target
                                for figure in by_processor.values())
        lines.append(f'| {name}: {label} | ' + ' | '.join(cells) +
                     f' | {" or ".join(targets)} |')
    return '\n'.join(lines)


def _judged(figure):
    if figure is None or figure.met is None:
        return '-'
    return _value(figure) if figure.met else f'**{_value(figure)}**'


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
