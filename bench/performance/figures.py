"""A measured figure, the target it is held to, and whether it was met."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Figure:
    """One line of the table. Its name is its identity from run to run.

    value: None when nothing could be measured; note says why then. What else
    differs from run to run belongs in the note, too.
    op: '' without a target; '>=', '<=' or '<' with `bound`, 'within' from
    `bound` to `high`.
    every: the target must hold in every run, and not for the median alone.
    needs: names of figures of the same section without whose targets this one
    is not met, either: what keeps a ratio from being met by a base that got
    worse.
    """
    name: str
    value: float = None
    unit: str = ''
    op: str = ''
    bound: float = None
    high: float = None
    every: bool = False
    needs: tuple = ()
    note: str = ''

    @property
    def target(self):
        """As the table has it; '' without one."""
        if self.op == 'within':
            return f'{number(self.bound)} to {number(self.high)}'
        return f'{self.op} {number(self.bound)}' if self.op else ''

    @property
    def margin(self):
        """How far the value is on the right side of its bound: negative on the
        wrong one; None without a target or value."""
        if not self.op or self.value is None:
            return None
        if self.op == '>=':
            return self.value - self.bound
        if self.op == 'within':
            return min(self.value - self.bound, self.high - self.value)
        return self.bound - self.value

    def holds(self, margin):
        """Whether a margin meets the target; NaN does not."""
        return margin > 0 if self.op == '<' else margin >= 0

    @property
    def met(self):
        """Whether this value meets the target, whatever it needs besides; None
        without a target or value."""
        return None if self.margin is None else self.holds(self.margin)


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


def at_least(name, value, bound, unit='', note='', every=False, needs=()):
    """A figure that shall be `bound` or more; None was not measured."""
    return Figure(name, value, unit, '>=', bound, None, every, tuple(needs),
                  note)


def at_most(name, value, bound, unit='', note='', every=False, needs=()):
    """A figure that shall be `bound` or less; None was not measured."""
    return Figure(name, value, unit, '<=', bound, None, every, tuple(needs),
                  note)


def below(name, value, bound, unit='', note='', every=False, needs=()):
    """A figure that shall be less than `bound`; None was not measured."""
    return Figure(name, value, unit, '<', bound, None, every, tuple(needs),
                  note)


def within(name, value, low, high, unit='', note='', every=False, needs=()):
    """A figure that shall lie from `low` to `high`; None was not measured."""
    return Figure(name, value, unit, 'within', low, high, every, tuple(needs),
                  note)


@dataclasses.dataclass
class Result:
    """What a section found: figures for the table, and data for the plots."""
    figures: list
    data: dict = dataclasses.field(default_factory=dict)
