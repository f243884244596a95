"""What the runs of one machine say together: a row for every figure that any
of them measured.

A row's window is all runs of one commit: the newest commit that measured the
figure with no file changed, or the newest at all where every run had changes.
Of the window it has the median, never the newest or the best.
"""

import dataclasses
import statistics

from bench.performance.figures import Figure


@dataclasses.dataclass(frozen=True)
class Row:
    """A figure of a section over its window.

    figure: of the run nearest to the median, but for its value, which is the
    median; its note is that one run's. runs: the window's, oldest first, which
    measured it. met: None without a target, or where nothing was measured.
    """
    section: str
    figure: Figure
    values: tuple
    runs: tuple
    met: bool

    @property
    def code(self):
        return self.runs[0].code

    @property
    def in_one_run(self):
        """How many of the runs had every section."""
        return sum(run.complete for run in self.runs)

    @property
    def verdict(self):
        if not self.figure.op:
            return ''
        if not self.values:
            return 'NOT MEASURED'
        if self.met:
            return 'met'
        return 'NOT met'


# In the order in which they run, and stand in tables.
SECTIONS = ('engine', 'peers', 'softmax', 'rpc', 'load', 'mixed', 'ingest',
            'rebuild', 'memory', 'startup', 'history', 'overload', 'swap',
            'migration', 'catalogue')


def of(runs):
    """[Row] of a machine's runs (store.read_all), section by section, with a
    section's figures in the order of the newest run that has them."""
    order = {section: {} for section in SECTIONS}
    for run in reversed(runs):
        for name, section in run.sections.items():
            for figure in section.figures:
                order.setdefault(name, {}).setdefault(figure.name)
    return [row for section, names in order.items()
            for row in _section(runs, section, names)]


def _section(runs, section, names):
    rows = {name: _row(section, name, _window(runs, section, name))
            for name in names}
    return [_with_needs(row, rows) for row in rows.values()]


def _window(runs, section, name):
    """The runs, all of one commit, that this figure's row is of."""
    having = [run for run in runs if _figure(run, section, name)]
    measured = [run for run in having
                if _figure(run, section, name).value is not None] or having
    clean = [run for run in measured if not run.dirty] or measured
    return [run for run in clean if run.code == clean[-1].code]


def _figure(run, section, name):
    return run.sections[section][name] if section in run.sections else None


def _row(section, name, window):
    found = [_figure(run, section, name) for run in window]
    values = [figure.value for figure in found if figure.value is not None]
    if not values:
        return Row(section, found[-1], (), tuple(window), None)
    median = statistics.median(values)
    nearest = min(found, key=lambda figure: abs(figure.value - median))
    # Limits can differ: some follow from what the same run measured.
    margins = [figure.margin for figure in found if figure.op]
    met = None
    if nearest.op and margins:
        met = nearest.holds(min(margins) if nearest.every
                            else statistics.median(margins))
    return Row(section, dataclasses.replace(nearest, value=median),
               tuple(values), tuple(window), met)


def _with_needs(row, rows):
    """Not met unless what it needs is."""
    needed = [rows.get(name) for name in row.figure.needs]
    if row.met and not all(other and other.met for other in needed):
        return dataclasses.replace(row, met=False)
    return row


def representative(runs, section):
    """The run that a plot of a section shows: of the newest window, the one
    whose figures are nearest to the medians; None when none has its data."""
    having = [run for run in runs if section in run.sections
              and run.sections[section].data]
    clean = [run for run in having if not run.dirty] or having
    if not clean:
        return None
    window = [run for run in clean if run.code == clean[-1].code]
    medians = {row.figure.name: row.figure.value
               for row in of(window) if row.section == section}
    return min(window, key=lambda run: _distance(run.sections[section],
                                                 medians))


def _distance(section, medians):
    """Sum of relative differences from the medians."""
    return sum(abs(figure.value - medians[figure.name]) /
               (abs(medians[figure.name]) or 1)
               for figure in section.figures if figure.value is not None)
