"""A measured figure, the target it is held to, and whether it was met."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Figure:
    """One line of the table.

    met: True or False for a figure with a target, None for one without, or
    when nothing could be measured (value is None then, and note says why).
    """
    name: str
    value: float = None
    unit: str = ''
    target: str = ''
    met: bool = None
    note: str = ''

    def verdict(self):
        if not self.target:
            return ''
        if self.met is None:
            return 'NOT MEASURED'
        return 'met' if self.met else 'NOT met'


def number(value):
    """Three significant digits and more, thousands separated; "-" for None."""
    if value is None:
        return '-'
    size = abs(value)
    if size >= 100:
        return f'{value:,.0f}'
    if size >= 10:
        return f'{value:.1f}'
    return f'{value:.2f}' if size >= 1 else f'{value:.3g}'


def plain(name, value, unit='', note=''):
    """A figure without a target."""
    return Figure(name, value, unit, note=note)


def at_least(name, value, bound, unit='', note=''):
    """A figure that shall be `bound` or more; None was not measured."""
    return Figure(name, value, unit, f'>= {number(bound)}',
                  None if value is None else value >= bound, note)


def at_most(name, value, bound, unit='', note=''):
    """A figure that shall be `bound` or less; None was not measured."""
    return Figure(name, value, unit, f'<= {number(bound)}',
                  None if value is None else value <= bound, note)


def below(name, value, bound, unit='', note=''):
    """A figure that shall be less than `bound`; None was not measured."""
    return Figure(name, value, unit, f'< {number(bound)}',
                  None if value is None else value < bound, note)


@dataclasses.dataclass
class Result:
    """What a section found: figures for the table, and data for the plots."""
    figures: list
    data: dict = dataclasses.field(default_factory=dict)
