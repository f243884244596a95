"""Draws what runs measured, from their data alone."""

import matplotlib

matplotlib.use('Agg')

from matplotlib import pyplot  # noqa: E402  (after the backend is chosen)

from bench.performance import engine as engine_section  # noqa: E402
from bench.performance import machine, rows  # noqa: E402


# {file: (the sections it needs, the function that draws them)}
PLOTS = {
    'load.png': (('load',), lambda axes, *data: _load(axes, *data)),
    'history.png': (('history', 'softmax'),
                    lambda axes, *data: _history(axes, *data)),
    'engine.png': (('engine',), lambda axes, *data: _engine(axes, *data)),
    'peers.png': (('peers',), lambda axes, *data: _peers(axes, *data)),
    'rpc.png': (('rpc',), lambda axes, *data: _rpc(axes, *data)),
    'memory.png': (('memory',), lambda axes, *data: _memory(axes, *data)),
    'overload.png': (('overload',),
                     lambda axes, *data: _overload(axes, *data)),
}


def draw_all(machines, folder):
    """Writes the PNG files of every machine, each of the runs nearest to the
    medians; their paths. machines: store.read_all's of `folder`."""
    paths = []
    for name, runs in machines.items():
        for file, figure in drawn(runs).items():
            figure.savefig(folder / name / file)
            pyplot.close(figure)
            paths.append(folder / name / file)
    return paths


def drawn(runs):
    """{file: pyplot figure} of a machine's runs. A title says of which
    processor and of what commit it is."""
    found = {}
    for file, (needs, plot) in PLOTS.items():
        chosen = [rows.representative(runs, name) for name in needs]
        if None in chosen:
            continue
        data = [run.sections[name].data for name, run in zip(needs, chosen)]
        figure, axes = pyplot.subplots(figsize=(6.4, 4.0), dpi=90)
        plot(axes, *data)
        axes.grid(True, which='major', alpha=.3)
        codes = ' and '.join(dict.fromkeys(run.code for run in chosen))
        axes.set_title(f'{machine.title(chosen[0].machine)}, {codes}',
                       fontsize=8)
        figure.tight_layout()
        found[file] = figure
    return found


def _load(axes, load):
    for kind, style in (('closed', 's--'), ('open', 'o-')):
        runs = [run for run in load[kind] if run['latency_ms']]
        for quantile, colour in (('p50', 'tab:blue'), ('p99', 'tab:red')):
            axes.plot([run['per_second'] for run in runs],
                      [run['latency_ms'][quantile] for run in runs], style,
                      color=colour, label=f'{kind} loop, {quantile}')
    axes.set_yscale('log')
    axes.set_xlabel('requests a second, 2,048 candidates each')
    axes.set_ylabel('latency, ms')
    axes.legend(fontsize=8)


def _history(axes, history, softmax):
    points = sorted((int(n), ms) for n, ms in history['p50_ms'].items())
    axes.plot(*zip(*points), 'o-', color='tab:blue',
              label='qlarank, round trip, p50')
    times = softmax['softmax_ms']
    for label, colour in (('PyTorch', 'tab:orange'),
                          ('ONNX Runtime', 'tab:red')):
        points = sorted((int(n), by[label]) for n, by in times.items()
                        if label in by)
        axes.plot(*zip(*points), 's--', color=colour,
                  label=f'softmax attention, one layer, {label}')
    axes.set_xscale('log')
    axes.set_yscale('log')
    axes.set_xlabel("events in the user's history")
    axes.set_ylabel('1,000 candidates, ms')
    axes.legend(fontsize=8)


def _engine(axes, engine):
    shares = {name: times['share'] for name, times in engine['times'].items()
              if times.get('share')}
    bars = axes.bar(list(shares), [100 * share for share in shares.values()],
                    color='tab:blue', label='measured')
    axes.bar_label(bars, fmt='%.0f %%')
    for index, name in enumerate(shares):
        bound = 100 * engine_section.TARGETS[name]
        axes.plot([index - .4, index + .4], [bound, bound], 'k--',
                  label='target' if index == 0 else None)
    axes.set_ylim(0, 100)
    axes.set_xlabel('precision')
    axes.set_ylabel("share of the hardware's peak, %" if 'peaks' in engine
                    else "share of oneDNN's fastest product, %")
    axes.legend(fontsize=8)


def _peers(axes, peers):
    times = {**{label: ms for label, ms in peers['peers_ms'].items()},
             **{f'engine {name}': ms
                for name, ms in peers['engine_ms'].items()}}
    ordered = sorted(times.items(), key=lambda pair: -pair[1])
    bars = axes.barh([label for label, _ in ordered],
                     [ms for _, ms in ordered],
                     color=['tab:blue' if label.startswith('engine')
                            else '0.6' for label, _ in ordered])
    axes.bar_label(bars, fmt='%.1f', padding=2)
    axes.margins(x=.12)  # room for the longest bar's label
    axes.set_xlabel('2,000 candidates on one core, ms')


def _rpc(axes, rpc):
    for name, label in (('d128', 'd=128, H=4, L=2'), ('null', 'null model')):
        points = sorted((int(n), latency['p50'])
                        for n, latency in rpc['round_trip_ms'][name].items())
        axes.plot(*zip(*points), 'o-', label=label)
    axes.set_xscale('log')
    axes.set_yscale('log')
    axes.set_xlabel('candidates')
    axes.set_ylabel('round trip, p50, ms')
    axes.legend(fontsize=8)


def _memory(axes, memory):
    axes.plot([t for t, _ in memory['samples']],
              [size / 2**20 for _, size in memory['samples']], label='resident')
    # Before budgets there was a limit by another name.
    budget = memory.get('budget', memory.get('limit'))
    if budget:
        axes.axhline(budget / 2**20, color='k', linestyle='--', label='budget')
    axes.set_ylim(0)
    axes.set_xlabel('seconds under full load')
    axes.set_ylabel('resident, MiB')
    axes.legend(fontsize=8)


def _overload(axes, overload):
    flows = overload['per_second'].values()
    for kind, colour in (('answered', 'tab:blue'), ('refused', 'tab:red')):
        axes.plot([max(.5, sum(counts))
                   for counts in zip(*(flow[kind] for flow in flows))],
                  color=colour, label=kind)
    axes.axhline(overload['capacity'], color='k', linestyle='--',
                 label='capacity')
    axes.set_yscale('log')
    axes.set_xlabel('seconds')
    axes.set_ylabel('requests a second')
    axes.legend(fontsize=8)
