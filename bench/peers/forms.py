"""The forms that a peer may be run in, and which of them is its best.

A form is a name and a function that makes its runner, or raises Unsupported.
The first of a peer's is what one gets without any care: AS_EXPORTED.
"""

import statistics
import time

AS_EXPORTED = 'as exported'


class Unsupported(Exception):
    """The peer cannot do it; str() is what it says."""


def median_seconds(run, min_seconds, min_repeats=3):
    """Median processor seconds of run(), after one that is not counted.

    Processor time of all threads, as google-benchmark takes for the engine:
    what else the machine does counts little.
    """
    run()
    seconds = []
    while len(seconds) < min_repeats or sum(seconds) < min_seconds:
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


def screen(forms, rows, min_seconds=.1):
    """Tries forms out: {name: runner} and {name: seconds} of those that could
    be made, {name: why} of the others."""
    runs, times, refused = {}, {}, {}
    for name, make in forms:
        try:
            run = make()
            times[name] = median_seconds(lambda: run(rows), min_seconds, 2)
        except (Unsupported, RuntimeError, NotImplementedError) as error:
            refused[name] = str(error).strip().splitlines()[0][:160]
            continue
        runs[name] = run
    return runs, times, refused


def finalists(runs, times, count=3):
    """{name: runner} of the fastest, and of what is as exported."""
    chosen = sorted(times, key=times.get)[:count]
    return {name: run for name, run in runs.items()
            if name in chosen or name == AS_EXPORTED}


def best_seconds(forms, rows, min_seconds):
    """The least median of the finalists."""
    runs, times, _ = screen(forms, rows)
    return min(median_seconds(lambda: run(rows), min_seconds, 2)
               for run in finalists(runs, times, 2).values())
