"""The training report: curves as PNG and all figures as JSON."""

import json
import pathlib

from trainer import baselines
from trainer import metric_tables

# The figures that say most of a row, by which rows have the first of them.
HEADLINES = (('hit@10',), ('auc', 'ne'))


def write(folder, config, history, metrics, **more):
    """Writes metrics.json and, where matplotlib is installed, curves.png.

    more: further fields of metrics.json.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    seconds = sum(record['seconds'] for record in history)
    content = {'config': config.to_dict(), 'metrics': metrics, **more,
               'seconds': round(seconds, 2), 'history': history}
    (folder / 'metrics.json').write_text(json.dumps(content, indent=1) + '\n')
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use('Agg')
    plot(history, folder / 'curves.png')


def plot(history, path):
    """Losses and the validation's headlines by epoch, side by side."""
    from matplotlib import pyplot as plt
    points = [record for record in history if 'validation' in record]
    keys = [headline[0] for headline in HEADLINES if points and any(
        headline[0] in row for row in
        metric_tables.rows(points[-1]['validation']).values())]
    figure, (left, *others) = plt.subplots(
        1, 1 + max(1, len(keys)), figsize=(4.5 * (1 + max(1, len(keys))), 3.4))
    epochs = [record['epoch'] for record in history]
    for name, label in (('dot_loss', 'dot term (full softmax)'),
                        ('target_aware_loss', 'all terms (sampled)'),
                        ('reconstruction_loss', 'reconstruction')):
        values = [record[name] for record in history]
        if any(values):
            left.plot(epochs, values, label=label)
    left.set(title='Training loss', xlabel='epoch')
    left.legend()
    for key, axes in zip(keys, others):
        _plot_validation(axes, points, key)
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _plot_validation(axes, points, key):
    axes.set(title=f'Validation: {key}', xlabel='epoch')
    epochs = [record['epoch'] for record in points]
    for name, row in metric_tables.rows(points[-1]['validation']).items():
        if key in row:
            figures = [record['validation'][name][key] for record in points]
            axes.plot(epochs, figures, '--' if name in baselines.NAMES
                      else '-o', markersize=3, label=name)
    axes.legend()
