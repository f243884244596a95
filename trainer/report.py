"""The training report: curves as PNG and all figures as JSON."""

import json
import pathlib


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


def headline(metrics):
    """The one figure of a row of metrics that says most: its key."""
    rows = [values for name, values in metrics.items() if name != 'users']
    return 'auc' if rows and 'auc' in rows[0] else 'hit@10'


def plot(history, path):
    """Losses and the validation's headline by epoch, side by side."""
    from matplotlib import pyplot as plt
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
    epochs = [record['epoch'] for record in history]
    for name, label in (('dot_loss', 'dot term (full softmax)'),
                        ('target_aware_loss', 'all terms (sampled)'),
                        ('reconstruction_loss', 'reconstruction')):
        values = [record[name] for record in history]
        if any(values):
            left.plot(epochs, values, label=label)
    left.set(title='Training loss', xlabel='epoch')
    left.legend()
    points = [record for record in history if 'validation' in record]
    _plot_validation(right, points)
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _plot_validation(axes, points):
    if not points:
        return
    key = headline(points[-1]['validation'])
    axes.set(title=f'Validation: {key}', xlabel='epoch')
    epochs = [record['epoch'] for record in points]
    for name in points[-1]['validation']:
        if name == 'users':
            continue
        figures = [record['validation'][name][key] for record in points]
        baseline = name in ('popularity', 'own history')
        axes.plot(epochs, figures, '--' if baseline else '-o', markersize=3,
                  label=name)
    axes.legend()
