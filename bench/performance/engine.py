"""The engine on one core, beside what the core can do at all."""

from bench.performance import figures, google_benchmark

# Shares of the processor's peak in each precision, on the network's matrix
# work.
TARGETS = {'f32': .88, 'bf16': .78, 'int8': .60}
CANDIDATES = (1000, 2000, 4000)
# What a row alone may take of the time in which its weights are read once: an
# event's fold, and what a request costs before its candidates are scored.
LONE = {'LoneFold': 'an event alone', 'LoneRead': "a request's user forward"}
OVER_WEIGHTS = 1.5
SIDE_BY_SIDE = 64  # users whose events the server folds at a time
PATTERN = '^(RankCandidates|Share|LoneFold|LoneRead|FoldEvents|FoldColdEvents)/'


def run(context):
    context.say('multiplications and additions alone')
    peaks = context.run_json('fma_peak')
    context.say('engine_bench: the engine, beside peak and library')
    found = google_benchmark.measure(context, PATTERN, repetitions=3,
                                     min_time=.4)
    return figures.Result([*_figures(found, peaks), *lone_rows(found),
                           *folds(found)],
                          {'times': _times(found), 'peaks': peaks})


def _figures(found, peaks):
    for precision, target in TARGETS.items():
        share = found.get(('Share', precision, None))
        rank = found.get(('RankCandidates', precision, 2000))
        yield figures.at_least(
            f"{precision}: share of the hardware's peak, 2,000 candidates",
            share and share['share_of_peak'], target, '',
            '' if share else f'engine_bench has no {precision} here')
        if not share:
            continue
        yield figures.plain(
            f"{precision}: share of oneDNN's fastest product",
            share['share_of_library'])
        yield figures.plain(f'{precision}: 2,000 candidates, one core',
                            1e3 * rank['seconds'], 'ms')
        yield figures.plain(f"{precision}: hardware's peak, meanwhile",
                            share['peak_gflops'], 'GFLOP/s')
        yield figures.plain(f"{precision}: oneDNN's fastest product, meanwhile",
                            share['library_gflops'], 'GFLOP/s')
    for peak in peaks['peaks']:
        yield figures.plain(
            f'{peak["precision"]}: a loop of {peak["instructions"]} alone',
            peak['gflops'], 'GFLOP/s')
    yield figures.plain('clock', peaks['clock_ghz'], 'GHz',
                        'additions that wait for each other, one a cycle')


def lone_rows(found):
    """Figures of rows beside which there are no others: every weight is read
    for them alone."""
    for family, label in LONE.items():
        run_ = found.get((family, 'f32', None), {})
        note = ('{us:.1f} us, {kib:,.0f} KiB of weights in {weights_us:.1f}'
                .format(kib=run_['weights_bytes'] / 1024, **run_)
                if run_ else 'not measured')
        yield figures.at_most(
            f'{label}, over reading its weights once',
            run_.get('over_weights'), OVER_WEIGHTS, 'x', note)
        yield figures.plain(label, run_.get('us'), 'us')


def folds(found):
    """Figures of many users' events, whose states are in a cache or are not."""
    each = {family: found.get((family, 'f32', SIDE_BY_SIDE))
            for family in ('FoldEvents', 'FoldColdEvents')}
    hot, cold = ({'us': 1e6 * run_['seconds'] / SIDE_BY_SIDE} if run_ else {}
                 for run_ in each.values())
    name = f"an event of {SIDE_BY_SIDE} users' side by side"
    yield figures.plain(f'{name}, one state, in cache', hot.get('us'), 'us')
    yield figures.plain(f'{name}, of 20,000 states, in memory', cold.get('us'),
                        'us')


def _times(found):
    """{precision: {candidates: ms, 'share': of the peak}}."""
    times = {}
    for precision in google_benchmark.PRECISIONS:
        runs = {n: found.get(('RankCandidates', precision, n))
                for n in CANDIDATES}
        if not any(runs.values()):
            continue
        times[precision] = {str(n): 1e3 * run_['seconds']
                            for n, run_ in runs.items() if run_}
        times[precision]['share'] = found[('Share', precision,
                                           None)]['share_of_peak']
    return times
