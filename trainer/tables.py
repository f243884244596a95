"""Tables and plots over the runs of a sweep, mean and spread over seeds."""

import json
import pathlib
import statistics

from trainer import sweep


def load(folder):
    """{run name: metrics.json of each seed}, names in order of the folder."""
    runs = {}
    for path in sorted(pathlib.Path(folder).glob(f'*/*/{sweep.METRICS}')):
        runs.setdefault(path.parts[-3], []).append(
            json.loads(path.read_text(encoding='utf-8')))
    if not runs:
        raise ValueError(f'{folder}: no */*/{sweep.METRICS} there')
    return runs


def table(runs, part, columns, order=()):
    """Lines of a Markdown table: one row a run.

    part: 'metrics' (validation) or 'test'. columns: 'row.key' such as
    'is_click.auc' or 'model, all terms.repeat.hit@10'. order: names to show, in
    this order; () for all. A cell is the mean, and the sample standard
    deviation of two seeds or more.
    """
    names = order or list(runs)
    for name in names:
        if name not in runs:
            raise ValueError(f'no run is called {name!r}; there are ' +
                             ', '.join(runs))
    head = ['run', *(column.replace('.', ' ') for column in columns),
            'parameters', 'seconds', 'seeds']
    lines = ['| ' + ' | '.join(head) + ' |', '|---' * len(head) + '|']
    for name in names:
        seeds = runs[name]
        cells = [_cell([_value(run, part, column) for run in seeds])
                 for column in columns]
        seconds = statistics.mean(run.get('seconds', 0) for run in seeds)
        cells += [f'{seeds[0].get("parameters", 0):,}', f'{seconds:.0f}',
                  str(len(seeds))]
        lines.append('| ' + ' | '.join([name, *cells]) + ' |')
    return lines


def _value(run, part, column):
    """The figure, or None where the run has none: not every task is in all."""
    found = run.get(part, {})
    for key in column.split('.'):
        found = found.get(key, {})
    return found if isinstance(found, (int, float)) else None


def _cell(values):
    known = [value for value in values if value is not None]
    if not known:
        return ''
    mean = f'{statistics.mean(known):.4f}'
    if len(known) == 1:
        return mean
    return f'{mean} ± {statistics.stdev(known):.4f}'


def plot_reliability(runs, part, names, path):
    """Predicted against observed rates, one panel a task, all seeds.

    Bins have equal mass; a calibrated model's lie on the diagonal.
    """
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot as plt
    tasks = [task for task, values in runs[names[0]][0][part].items()
             if isinstance(values, dict) and 'reliability' in values]
    figure, panels = plt.subplots(1, len(tasks), squeeze=False,
                                  figsize=(4 * len(tasks), 3.8))
    for axes, task in zip(panels[0], tasks):
        top = 0
        for index, name in enumerate(names):
            for run in runs[name]:
                if task not in run[part]:
                    continue
                predicted, observed, _ = zip(*run[part][task]['reliability'])
                label = name if run is runs[name][0] else None
                axes.plot(predicted, observed, '-o', markersize=3,
                          linewidth=.8, color=f'C{index}', label=label)
                top = max(top, *predicted, *observed)
        axes.plot([0, top], [0, top], color='grey', linewidth=.8)
        axes.set(title=task, xlabel='predicted rate', ylabel='observed rate')
    panels[0][0].legend(fontsize='small')
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)
