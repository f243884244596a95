"""Draws the attention benchmark's costs by history, logarithmic both ways."""

import matplotlib

matplotlib.use('Agg')

from matplotlib import pyplot  # noqa: E402  (after the backend is chosen)

from bench.attention import store  # noqa: E402
from bench.performance import machine  # noqa: E402

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


def description(race):
    """What a PNG says of the results that it was drawn from."""
    return f'results {race.digest}'


def draw(race, folder):
    """Writes a PNG per quantity of a store.Race to the folder; returns their
    paths."""
    paths = []
    for quantity, file, label in PLOTS:
        figure, axes = pyplot.subplots(figsize=(6.4, 4.2), dpi=90)
        for name, (colour, line) in STYLES.items():
            by_history = race.costs.get(name, {}).get(quantity, {})
            points = sorted((n, value) for n, value in by_history.items()
                            if value > 0)
            if points:
                axes.plot(*zip(*points), color=colour, linestyle=line,
                          marker='.', label=store.TITLES[name])
        axes.set_xscale('log')
        axes.set_yscale('log')
        axes.set_xlabel("events in the user's history")
        axes.set_ylabel(label)
        axes.grid(True, which='major', alpha=0.3)
        axes.legend(fontsize=6)
        axes.set_title(f'{machine.title(race.run.machine)}, {race.run.code}',
                       fontsize=8)
        figure.tight_layout()
        path = folder / file
        figure.savefig(path, metadata={'Description': description(race)})
        pyplot.close(figure)
        paths.append(path)
    return paths
