"""Draws a soak: resident memory, open files, latencies."""

import matplotlib

matplotlib.use('Agg')

from matplotlib import pyplot  # noqa: E402  (after the backend is chosen)


def draw(data, path):
    figure, (memory, latency) = pyplot.subplots(2, figsize=(6.4, 5.6), dpi=90)
    seconds = [t for t, _, _ in data['samples']]
    memory.plot([t / 60 for t in seconds],
                [size / 2**20 for _, size, _ in data['samples']],
                color='tab:blue', label='resident, MiB')
    files = memory.twinx()
    files.plot([t / 60 for t in seconds],
               [count for _, _, count in data['samples']],
               color='tab:orange', label='open files')
    memory.set_ylim(0)
    files.set_ylim(0)
    memory.set_ylabel('resident, MiB')
    files.set_ylabel('open files')
    step = seconds[-1] / 60 / len(data['slices'])
    middles = [(i + .5) * step for i in range(len(data['slices']))]
    for quantile, colour in (('p50', 'tab:blue'), ('p99', 'tab:red')):
        latency.plot(middles, [part[quantile] for part in data['slices']],
                     'o-', color=colour, label=quantile)
    latency.set_yscale('log')
    latency.set_xlabel('minutes')
    latency.set_ylabel('latency, ms')
    latency.legend(fontsize=8)
    for axes in (memory, latency):
        axes.grid(True, which='major', alpha=.3)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
