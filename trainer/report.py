"""The training report: curves as PNG and all figures as JSON."""

import json
import pathlib


def write(folder, config, history, metrics):
    """Writes metrics.json and, where matplotlib is installed, curves.png."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    content = {'config': config.to_dict(), 'metrics': metrics,
               'history': history}
    (folder / 'metrics.json').write_text(json.dumps(content, indent=1) + '\n')
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use('Agg')
    plot(history, folder / 'curves.png')


def plot(history, path):
    """Losses and validation hits by epoch, side by side."""
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
    _plot_hits(right, points)
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _plot_hits(axes, points):
    axes.set(title='hit@10 of the next basket', xlabel='epoch')
    if not points:
        return
    epochs = [record['epoch'] for record in points]
    for name in points[-1]['validation']:
        if name == 'users':
            continue
        hits = [record['validation'][name]['hit@10'] for record in points]
        model = name.startswith('model')
        axes.plot(epochs, hits, '-o' if model else '--', markersize=3,
                  label=name)
    axes.legend()
