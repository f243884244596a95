"""What a soak is held to. Pure functions of what bench/soak/load.py saw.

The machine may have other work: latencies are judged by medians over slices,
and against the run's own beginning.
"""

import statistics

from bench.performance import figures

MIB = 1 << 20
WARM_UP = .25        # of the run: caches fill, nothing is judged
GROWTH = .05         # of resident memory, over the time that is judged
MIN_GROWTH_MIB = 8   # which is noise, however short the run
MORE_FILES = 16      # a store opens some more as it grows
DRIFT = 1.5          # of the median p99, from the first third to the last


def judge(data):
    """The figures, each with its verdict."""
    slices, samples = data['slices'], data['samples']
    judged = samples[int(WARM_UP * len(samples)):]
    resident = [(t, size) for t, size, _ in judged]
    slope = theil_sen(resident)
    span = resident[-1][0] - resident[0][0]
    median = statistics.median(size for _, size in resident)
    files = [count for _, _, count in judged]
    third = max(1, len(files) // 3)
    errors = {}
    for part in slices:
        for reason, count in part['errors'].items():
            errors[reason] = errors.get(reason, 0) + count
    first, last = thirds([part['p99'] for part in slices
                          [int(WARM_UP * len(slices)):]])
    return [
        figures.plain('rankings', sum(part['completed'] for part in slices)),
        figures.plain('events', sum(part['events'] for part in slices)),
        figures.at_most('errors', sum(errors.values()), 0, '',
                        '; '.join(errors)),
        figures.plain('resident, median', median / MIB, 'MiB'),
        figures.at_most('resident, growth of the trend', slope * span / MIB,
                        max(GROWTH * median / MIB, MIN_GROWTH_MIB), 'MiB',
                        f'over {span / 60:.1f} minutes, '
                        f'{60 * slope / MIB:.2f} MiB a minute'),
        figures.at_most('open files, the most of the last third',
                        max(files[-third:]), max(files[:third]) + MORE_FILES),
        figures.at_most('p99, last third over first', last / first, DRIFT, 'x',
                        f'medians: {first:.1f} ms, then {last:.1f} ms'),
        figures.at_most('errors in the log', data['log_errors'], 0),
        figures.at_most('exit code after SIGTERM', data['exit_code'], 0),
    ]


def thirds(values):
    """The medians of the first and of the last third."""
    third = max(1, len(values) // 3)
    return statistics.median(values[:third]), statistics.median(values[-third:])


def theil_sen(points):
    """The median slope between points that are half of them apart: what single
    peaks do not move."""
    half = len(points) // 2
    slopes = [(later[1] - earlier[1]) / (later[0] - earlier[0])
              for earlier, later in zip(points, points[half:])
              if later[0] > earlier[0]]
    return statistics.median(slopes) if slopes else 0.0
