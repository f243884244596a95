"""Metrics as tables for people: means with their standard errors."""

from trainer.ranking_metrics import KINDS
from trainer.ranking_metrics import OF_KINDS


def rows(metrics):
    """The rows of an evaluation's result: not its counts of users."""
    return {name: row for name, row in metrics.items() if isinstance(row, dict)}


def figure(value, error=None):
    """'.5592 ± .0105'; a whole number as it is."""
    if isinstance(value, int):
        return f'{value:,}'
    text = _without_zero(f'{value:.4f}')
    return text if error is None else f'{text} ± {_without_zero(f"{error:.4f}")}'


def _without_zero(text):
    return text[1:] if text.startswith('0.') else text


def table(found, measures):
    """Lines of a table; found: {name: {measure: mean, maybe 'standard
    errors': {measure: error}}}."""
    cells = [['', *measures]]
    for name, row in found.items():
        errors = row.get('standard errors', {})
        cells.append([name, *(figure(row[measure], errors.get(measure))
                              for measure in measures)])
    widths = [max(map(len, column)) + 2 for column in zip(*cells)]
    return [f'{line[0]:{widths[0]}}' + ''.join(
        f'{cell:>{width}}' for cell, width in zip(line[1:], widths[1:]))
        for line in cells]


def kind_lines(found):
    """Lines of a table by what targets are; [] where all are of one kind."""
    parts = [kind for kind in KINDS if all(
        kind in row for row in found.values()) and (
            kind != 'new item' or _any_found(found))]
    if len(parts) < 2:
        return []
    joined, counts = {name: {'standard errors': {}} for name in found}, []
    for kind in parts:
        for name, row in found.items():
            for measure in OF_KINDS:
                key = f'{kind} {measure}'
                joined[name][key] = row[kind][measure]
                joined[name]['standard errors'][key] = (
                    row[kind]['standard errors'][measure])
        counts.append(f'{kind} targets: {asked(row[kind])}')
    return ['', *table(joined, figures(next(iter(joined.values())))),
            '; '.join(counts)]


def _any_found(found):
    """Whether a ranking knows of new items: only models with content do."""
    return any(row['new item']['hit@10'] > 0 for row in found.values())


def figures(row):
    """{measure: value} of a row, without what else it has."""
    return {name: value for name, value in row.items()
            if isinstance(value, (int, float)) and name != 'users'}


def asked(counts):
    """'163 users', or '163 users, 1,000 moments' where some are asked about
    several; counts: what has both."""
    users, moments = counts['users'], counts.get('moments', 0)
    return f'{users:,} users' + (f', {moments:,} moments' if moments > users
                                 else '')


def lines(metrics):
    """Lines of all tables of an evaluation: one for each set of measures."""
    text = [asked(metrics)]
    groups = {}
    for name, row in rows(metrics).items():
        groups.setdefault(tuple(figures(row)), {})[name] = row
    for measures, group in groups.items():
        text += table(group, measures) + kind_lines(group)
    return text
