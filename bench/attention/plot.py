"""Draws the attention benchmark's costs by history, logarithmic both ways."""

import matplotlib

matplotlib.use('Agg')

from matplotlib import pyplot  # noqa: E402  (after the backend is chosen)

import results  # noqa: E402

# (quantity, file, y axis)
PLOTS = [
    ('rank_ms', 'attention_request.png', 'one request, 1,000 candidates, ms'),
    ('append_us', 'attention_append.png', 'one event appended, µs'),
    ('bytes_kept', 'attention_bytes.png', 'kept per user, bytes'),
]

STYLES = {
    'none': ('0.6', ':'), 'softmax': ('tab:red', '-'),
    'softmax_recomputed': ('tab:red', '--'), 'hstu': ('tab:orange', '-.'),
    'sliding_window': ('tab:green', '-'),
    'recent_softmax': ('tab:green', '--'), 'linear': ('tab:purple', '-'),
    'decayed_linear': ('tab:purple', '--'), 'log_linear': ('tab:brown', '-'),
    'gated_delta': ('tab:pink', '-'), 'gated': ('tab:cyan', '-'),
    'seeds_only': ('tab:cyan', '--'), 'qla': ('tab:blue', '-'),
}


def draw(costs, folder):
    """Writes a PNG per quantity to the folder; returns their paths."""
    paths = []
    for quantity, file, label in PLOTS:
        figure, axes = pyplot.subplots(figsize=(6.4, 4.2), dpi=90)
        for name, (colour, line) in STYLES.items():
            by_history = costs.get(name, {}).get(quantity, {})
            points = sorted((n, value) for n, value in by_history.items()
                            if value > 0)
            if points:
                axes.plot(*zip(*points), color=colour, linestyle=line,
                          marker='.', label=results.TITLES[name])
        axes.set_xscale('log')
        axes.set_yscale('log')
        axes.set_xlabel("events in the user's history")
        axes.set_ylabel(label)
        axes.grid(True, which='major', alpha=0.3)
        axes.legend(fontsize=6)
        figure.tight_layout()
        path = folder / file
        figure.savefig(path)
        pyplot.close(figure)
        paths.append(path)
    return paths
