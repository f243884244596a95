"""ONNX Runtime and PyTorch on the same network beside the engine: first held to
the scores that a server gives, then timed in turn.

A peer is what its fastest form is. Every form is tried once; the fastest of
each peer, and always the one as exported, then take turns with the engine, and
the least median counts: so none that the run shows is faster than what the
engine is held to.
"""

import csv
import os
import pathlib
import statistics
import tempfile

from bench.peers import blas, forms
from bench.peers.forms import AS_EXPORTED
from bench.performance import figures, google_benchmark

CANDIDATES, EVENTS, ROUNDS = 2000, 100, 5
USER, FIRST_SECOND, HOUR = 'anna', 1_500_000_000, 3600
TOLERANCE = 1e-4
TARGETS = {'f32': 1.6, 'bf16': 2.8, 'int8': None}
# A user of bf16 would take whatever is fastest, f32 too.
RIVALS = {'f32': ('f32',), 'bf16': ('f32', 'bf16'),
          'int8': ('f32', 'bf16', 'int8')}


def run(context):
    # Before PyTorch is loaded: it reads them then.
    os.environ['OMP_NUM_THREADS'] = '1'
    kernels, tried_kernels = blas.chosen()
    import numpy as np
    from bench.peers import race
    rows = np.random.default_rng(1).permutation(20_000)[:CANDIDATES] + 1
    events = [1 + 37 * i % 20_000 for i in range(EVENTS)]
    context.say('scores of a server, to hold the peers to')
    served = {precision: np.array(scores, np.float32) for precision, scores
              in _served(context, events, rows).items()}
    track = race.Track(context.bundle('d128'), events, FIRST_SECOND, HOUR, rows)
    finalists, tried, refused = {}, {}, {}
    for label, own in track.peers().items():
        context.say(f'{label}: {len(own)} forms')
        runs, times, errors = forms.screen(own, rows)
        if not runs:
            refused[label] = next(iter(errors.values()))
            continue
        finalists[label] = forms.finalists(runs, times)
        tried[label] = {'ms': {form: 1e3 * seconds
                               for form, seconds in times.items()},
                        'refused': errors}
    wrong = {label: {form: float(np.abs(peer(rows) - served['f32']).max())
                     for form, peer in runs.items()}
             for label, runs in finalists.items()}
    times, engine = _race(context, finalists, rows)
    data = summarize(times, wrong)
    own_error = {name: float(np.abs(scores - served['f32']).max())
                 for name, scores in served.items() if name in engine}
    data.update(engine_ms=engine, engine_error=own_error, tried=tried,
                refused=refused, blas=kernels, blas_gflops=tried_kernels)
    return figures.Result(judge(data), data)


def _race(context, finalists, rows):
    """{label: {form: ms}} of peers and {precision: ms} of the engine, in
    turn."""
    rounds = {label: {form: [] for form in runs}
              for label, runs in finalists.items()}
    engine = {}
    for number in range(ROUNDS):
        context.say(f'round {number + 1} of {ROUNDS}')
        for label, runs in finalists.items():
            for form, peer in runs.items():
                rounds[label][form].append(1e3 * forms.median_seconds(
                    lambda: peer(rows), min_seconds=.25, min_repeats=2))
        for key, run_ in google_benchmark.measure(
                context, f'^RankCandidates/[a-z0-9]+/{CANDIDATES}$',
                min_time=.4).items():
            engine.setdefault(key[1], []).append(1e3 * run_['seconds'])
    return ({label: {form: statistics.median(values)
                     for form, values in of_form.items()}
             for label, of_form in rounds.items()},
            {precision: statistics.median(values)
             for precision, values in engine.items()})


def summarize(times, wrong):
    """{peers_ms, form, exported_ms, error} by label, of each peer's best form,
    and all finalists_ms. times, wrong: {label: {form: value}}."""
    best = {label: min(own, key=own.get) for label, own in times.items()}
    return {'peers_ms': {label: times[label][form]
                         for label, form in best.items()},
            'form': best,
            'exported_ms': {label: own[AS_EXPORTED]
                            for label, own in times.items()
                            if AS_EXPORTED in own},
            'error': {label: wrong[label][form]
                      for label, form in best.items()},
            # Of exact peers every form has to be right.
            'worst_error': {label: max(own.values())
                            for label, own in wrong.items()},
            'finalists_ms': times}


def judge(data):
    """The figures of what was measured."""
    exact = max((error for label, error in data['worst_error'].items()
                 if label.endswith(' f32')), default=None)
    found = [figures.at_most('f32 peers: largest difference from served '
                             'scores', exact, TOLERANCE, every=True)]
    for precision, target in TARGETS.items():
        found += _against_best(precision, target, data)
    for label, ms in data['peers_ms'].items():
        count = len(data['tried'][label]['ms'])
        found.append(figures.plain(
            f'{label}, 2,000 candidates', ms, 'ms',
            f'fastest of {count} forms: {data["form"][label]}'
            + (f'; OpenBLAS: {data["blas"]}' if label == 'PyTorch f32'
               else '')))
        if label in data['exported_ms']:
            found.append(figures.plain(f'{label}, {AS_EXPORTED}',
                                       data['exported_ms'][label], 'ms'))
    for precision, ms in data['engine_ms'].items():
        found.append(figures.plain(f'engine {precision}, 2,000 candidates', ms,
                                   'ms'))
    for label, error in data['error'].items():
        if not label.endswith(' f32'):
            found.append(figures.plain(
                f'{label}: largest difference from served f32 scores', error))
    for precision, error in data['engine_error'].items():
        if precision != 'f32':
            found.append(figures.plain(
                f'engine {precision}: largest difference from served f32 '
                'scores', error))
    return found + [figures.plain(label, None, note=f'cannot: {why}')
                    for label, why in data['refused'].items()]


def _against_best(precision, target, data):
    """The ratio, and the time that it is a ratio of."""
    rivals = {label: ms for label, ms in data['peers_ms'].items()
              if label.split()[-1] in RIVALS[precision]}
    best = min(rivals, key=rivals.get)
    ms = data['engine_ms'].get(precision)
    ratio = ms and rivals[best] / ms
    name = f'{precision}: engine against the best peer'
    note = (f'{best}: {rivals[best]:.1f} ms; engine '
            + (f'{ms:.1f} ms' if ms else f'has no {precision} here'))
    return [figures.at_least(name, ratio, target, 'x', note) if target else
            figures.plain(name, ratio, 'x', note),
            figures.plain(f'{precision}: the best peer, 2,000 candidates',
                          rivals[best], 'ms', f'{best}, {data["form"][best]}')]


def _served(context, events, rows):
    """{precision: scores [C]} of RankService for the user with these events; a
    precision that the processor lacks is served in f32."""
    with tempfile.TemporaryDirectory(dir=context.cache) as folder:
        folder = pathlib.Path(folder)
        with (folder / 'events.csv').open('w', newline='') as file:
            lines = csv.writer(file)
            lines.writerow(['user', 'item', 'action', 'time'])
            lines.writerows([USER, item, 'view', FIRST_SECOND + HOUR * i]
                            for i, item in enumerate(events))
        # Row k is item k in a random bundle.
        (folder / 'items.txt').write_text('\n'.join(map(str, rows)))
        found = {}
        for precision in google_benchmark.PRECISIONS:
            with context.server('d128', folder, model='precision: PRECISION_'
                                + precision.upper()) as server:
                if not found:
                    server.cli('import', folder / 'events.csv')
                found[precision] = _scores(server, folder, len(events), rows)
        return found


def _scores(server, folder, events, rows):
    reply = server.cli_json(
        'rank', '--user', USER, '--items-file', folder / 'items.txt', '--top-k',
        len(rows), '--time', FIRST_SECOND + HOUR * events,
        '--min-event-count', events)
    scores = {int(entry['item_id']): entry['scores']['click']
              for entry in reply['items']}
    return [scores[row] for row in rows.tolist()]
